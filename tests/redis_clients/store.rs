//! A store, called by one of its faces.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use larder::backend::{Answer, Page, Sink, Ticket, Touched, When, Written};
use larder::codec::Input;
use larder::error::{Error, Result};
use larder::store::{Call, Operation, Outcome, Scope, Store, Value};
use larder::timeout::{Ttl, TtlChoice};
use larder::value::Number;

use super::common::client::rust_store;
use super::common::flight::Face;

/// An open alias.
pub struct Client {
    pub store: Arc<Store>,
    face: Face,
}

struct Answers(mpsc::Sender<Answer>);

impl Sink for Answers {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        answers.drain(..).for_each(|answer| drop(self.0.send(answer)));
    }
}

/// Calls by the face: the method, or the operation, of whose outcome `take` makes the same.
macro_rules! by_face {
    ($self:ident, $sync:expr, $operation:expr, $outcome:pat => $take:expr) => {
        match $self.face {
            Face::Synchronous => $sync,
            Face::Asynchronous => match $self.begun(&$operation)? {
                $outcome => Ok($take),
                _ => panic!("another outcome"),
            },
        }
    };
}

const CALL: Call<'static> = Call { version: None, budget: None, final_key: false };

/// A time to live in milliseconds.
pub fn millis(ms: i64) -> TtlChoice {
    TtlChoice::Of(Ttl::Millis(ms))
}

impl Client {
    /// The alias `default` of a configuration.
    pub fn open(config: &str, face: Face) -> Self {
        Self::of(config, "default", face)
    }

    /// Another alias.
    pub fn of(config: &str, alias: &str, face: Face) -> Self {
        Self { store: Arc::new(rust_store(config, alias)), face }
    }

    fn begun(&self, operation: &Operation<'_>) -> Result<Outcome> {
        let prepared = self.store.prepare(operation, &CALL)?;
        let (sender, receiver) = mpsc::channel();
        self.store.begin(&prepared, Ticket::new(Arc::new(Answers(sender)), 1));
        let (_, answer) = receiver.recv_timeout(Duration::from_mins(1)).expect("no answer");
        self.store.conclude(prepared.asked, answer)
    }

    pub fn get(&self, key: &str) -> Result<Option<Value>> {
        by_face!(self, self.store.get(key, &CALL), Operation::Get { key }, Outcome::Value(value) => value)
    }

    /// The value's JSON, which has to be exact.
    pub fn json(&self, key: &str) -> Option<String> {
        self.get(key).unwrap().map(|value| exact(&value))
    }

    pub fn write(&self, key: &str, value: Input<'_>, ttl: TtlChoice, when: When) -> Result<Written> {
        by_face!(self, self.store.set(key, value, ttl, when, &CALL),
            Operation::Set { key, value, ttl, when }, Outcome::Written(written) => written)
    }

    /// Sets a JSON value.
    pub fn set(&self, key: &str, json: &str, ttl: TtlChoice) {
        let written = self.write(key, Input::Json(json.as_bytes()), ttl, When::Always).unwrap();
        assert_eq!(written, Written::Stored, "{key}");
    }

    pub fn touch(&self, key: &str, ttl: TtlChoice) -> Result<Touched> {
        by_face!(self, self.store.touch(key, ttl, &CALL),
            Operation::Expire { key, ttl }, Outcome::Touched(touched) => touched)
    }

    pub fn persist(&self, key: &str) -> Result<Touched> {
        by_face!(self, self.store.persist(key, &CALL), Operation::Persist { key }, Outcome::Touched(touched) => touched)
    }

    pub fn ttl(&self, key: &str) -> Result<Option<Ttl>> {
        by_face!(self, self.store.ttl(key, &CALL), Operation::Ttl { key }, Outcome::Left(left) => left)
    }

    pub fn delete(&self, key: &str) -> Result<bool> {
        by_face!(self, self.store.delete(key, &CALL), Operation::Delete { key }, Outcome::Found(found) => found)
    }

    pub fn has(&self, key: &str) -> Result<bool> {
        by_face!(self, self.store.has(key, &CALL), Operation::Has { key }, Outcome::Found(found) => found)
    }

    /// The new number, as JSON.
    pub fn incr(&self, key: &str, delta: i64) -> Result<Option<String>> {
        let shown = |number: Number| match number {
            Number::Int(int) => int.to_string(),
            Number::Float(float) => format!("{float:?}"),
        };
        match self.face {
            Face::Synchronous => Ok(self.store.incr(key, &Number::Int(delta.into()), &CALL)?.map(shown)),
            Face::Asynchronous => match self.begun(&Operation::Incr { key, delta })? {
                Outcome::Sum(sum) => Ok(sum.map(|sum| exact(&sum))),
                _ => panic!("another outcome"),
            },
        }
    }

    pub fn incr_version(&self, key: &str, delta: i64) -> Result<Option<i64>> {
        by_face!(self, self.store.incr_version(key, delta, &CALL),
            Operation::IncrVersion { key, delta }, Outcome::Version(version) => version)
    }

    /// The value's JSON under another version.
    pub fn json_of_version(&self, key: &str, version: &str) -> Option<String> {
        let call = Call { version: Some(version), ..CALL };
        self.store.get(key, &call).unwrap().map(|value| exact(&value))
    }

    pub fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<String>>> {
        let values: Result<Vec<Option<Value>>> = by_face!(self, self.store.get_many(keys, &CALL),
            Operation::GetMany { keys }, Outcome::Values(values) => values);
        Ok(values?.iter().map(|value| value.as_ref().map(exact)).collect())
    }

    /// The values, which nobody has looked into.
    pub fn values(&self, keys: &[&str]) -> Vec<Option<Value>> {
        self.store.get_many(keys, &CALL).unwrap()
    }

    /// Which failed.
    pub fn set_many(&self, values: &[(&str, &str)], ttl: TtlChoice) -> Result<Vec<Option<Error>>> {
        let values: Vec<_> = values.iter().map(|(key, json)| (*key, Input::Json(json.as_bytes()))).collect();
        self.set_all(&values, ttl)
    }

    /// The same with values of every kind.
    pub fn set_all(&self, values: &[(&str, Input<'_>)], ttl: TtlChoice) -> Result<Vec<Option<Error>>> {
        by_face!(self, self.store.set_many(values, ttl, &CALL),
            Operation::SetMany { values, ttl }, Outcome::Failures(failures, _) => failures)
    }

    pub fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        by_face!(self, self.store.delete_many(keys, &CALL),
            Operation::DeleteMany { keys }, Outcome::Removed(count) => count)
    }

    pub fn page(&self, pattern: &str, at: u64) -> Result<Page> {
        by_face!(self, self.store.keys(pattern, at, &CALL), Operation::Keys { pattern, at }, Outcome::Page(page) => page)
    }

    pub fn delete_pattern(&self, pattern: &str) -> Result<u64> {
        by_face!(self, self.store.delete_pattern(pattern, &CALL),
            Operation::DeletePattern { pattern }, Outcome::Removed(count) => count)
    }

    pub fn clear(&self, scope: Scope) -> Result<()> {
        by_face!(self, self.store.clear(scope, &CALL), Operation::Clear { scope }, Outcome::Done => ())
    }

    pub fn ping(&self) -> Result<()> {
        by_face!(self, self.store.ping(&CALL), Operation::Ping, Outcome::Done => ())
    }

    pub fn session(&self, key: &str) -> Result<Option<Value>> {
        by_face!(self, self.store.session(key, &CALL), Operation::Session { key }, Outcome::Value(value) => value)
    }
}

/// A value's JSON, which has to be exact.
pub fn exact(value: &Value) -> String {
    let json = value.json().unwrap();
    assert!(!json.lossy, "{}", json.shown);
    json.shown.to_owned()
}
