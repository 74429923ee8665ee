//! A step of a scenario as calls of the C API, and what they answer as Python would say it.

use larder::capi::status::{
    LARDER_EINVAL, LARDER_ETOOBIG, LARDER_ETYPE, LARDER_EUNSUPPORTED, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED,
    LARDER_OK, larder_status,
};
use larder::capi::upkeep::LARDER_CLEAR_EVERYTHING;
use larder::error::Kind;
use larder::value::Number;
use serde_json::Value;

use super::backends::{ALIAS, Backend};
use super::common::client::{self, Answer, Call, Context, Failure, Input, Store};
use super::common::golden;
use super::scenario::{Outcome, Step};

/// An open alias that takes steps.
pub struct Performer<'a> {
    // Before the context, which must not shut down under it.
    store: Store,
    _context: Context,
    config: String,
    backend: &'a Backend,
}

impl<'a> Performer<'a> {
    /// Opens a configuration's one alias.
    pub fn new(config: String, backend: &'a Backend) -> Answer<Self> {
        let context = Context::open(&config)?;
        Ok(Self { store: context.store(ALIAS)?, _context: context, config, backend })
    }

    /// Makes the call of a step.
    pub fn perform(&self, step: &Step) -> Outcome {
        match self.answer(step) {
            Ok(outcome) => outcome,
            Err(failure) if failure.status == LARDER_ETYPE => Outcome::WrongType,
            Err(failure) if failure.status == LARDER_EINVAL => Outcome::Refused,
            Err(failure) if failure.status == LARDER_ETOOBIG => Outcome::TooBig,
            Err(failure) if failure.status == LARDER_EUNSUPPORTED => Outcome::Unsupported,
            Err(failure) => Outcome::Other(format!("{failure:?}")),
        }
    }

    fn answer(&self, step: &Step) -> Answer<Outcome> {
        let (store, version) = (&self.store, step.version());
        let call = Call::version(version.as_deref());
        Ok(match step.op() {
            "get" => Outcome::Json(self.get(&step.key(), call)?.unwrap_or_else(|| step.default())),
            "set" => {
                let status = store.set(&step.key(), Input::Json(&step.value()), step.ttl(), call)?;
                answered(
                    status,
                    &[(LARDER_OK, Value::Null), (LARDER_NOT_KEPT, Value::Null), (LARDER_NOT_STORED, false.into())],
                )
            }
            "add" => {
                let status = store.add(&step.key(), Input::Json(&step.value()), step.ttl(), call)?;
                yes_or_no(status, LARDER_NOT_STORED)
            }
            "touch" => yes_or_no(store.expire(&step.key(), step.ttl(), call)?, LARDER_MISS),
            "delete" => yes_or_no(store.delete(&step.key(), call)?, LARDER_MISS),
            "has_key" => yes_or_no(store.has(&step.key(), call)?, LARDER_MISS),
            "incr" => self.incr(&step.key(), step.delta(), call)?,
            "decr" => self.incr(&step.key(), &negative(step.delta()), call)?,
            "incr_version" => found(store.incr_version(&step.key(), step.delta().parse().unwrap(), call)?),
            "decr_version" => found(store.incr_version(&step.key(), negative(step.delta()).parse().unwrap(), call)?),
            "get_many" => self.get_many(&step.keys(), call)?,
            "set_many" => self.set_many(step, call)?,
            "delete_many" => {
                let keys = step.keys();
                let removed = store.delete_many(&keys.iter().map(String::as_str).collect::<Vec<_>>(), call)?;
                let counts = self.backend.delete_many_counts;
                Outcome::Json(if counts { golden::from_number(&removed.to_string()) } else { Value::Null })
            }
            "get_or_set" => self.get_or_set(step, call)?,
            "clear" => {
                let truth = if self.backend.clear_answers_true { true.into() } else { Value::Null };
                answered(store.clear(LARDER_CLEAR_EVERYTHING, call)?, &[(LARDER_OK, truth)])
            }
            other => panic!("the golden data has a call that this test does not know: {other}"),
        })
    }

    /// The value of a key, shown without loss.
    fn get(&self, key: &str, call: Call<'_>) -> Answer<Option<Value>> {
        self.store.get(key, call)?.map(|value| exact(&value)).transpose()
    }

    /// Adds a whole number through the C API, another through the store: C has no float for it.
    fn incr(&self, key: &str, delta: &str, call: Call<'_>) -> Answer<Outcome> {
        if let Ok(delta) = delta.parse() {
            return Ok(self
                .store
                .incr(key, delta, call)?
                .map_or(Outcome::NoSuchKey, |json| Outcome::Json(golden::read(&json))));
        }
        let delta = Number::Float(delta.parse().unwrap());
        let call = larder::store::Call { version: call.version, ..larder::store::Call::default() };
        Ok(match client::rust_store(&self.config, ALIAS).incr(key, &delta, &call) {
            Ok(Some(Number::Float(sum))) => Outcome::Json(golden::from_number(&format!("{sum:?}"))),
            Ok(Some(other)) => Outcome::Other(format!("{other:?}")),
            Ok(None) => Outcome::NoSuchKey,
            Err(error) if error.kind() == Kind::Type => Outcome::WrongType,
            Err(error) if error.kind() == Kind::Unsupported => Outcome::Unsupported,
            Err(error) => Outcome::Other(error.to_string()),
        })
    }

    fn get_many(&self, keys: &[String], call: Call<'_>) -> Answer<Outcome> {
        let values = self.store.get_many(&keys.iter().map(String::as_str).collect::<Vec<_>>(), call)?;
        let mut found = serde_json::Map::new();
        for (key, value) in keys.iter().zip(&values) {
            if let Some(value) = value {
                found.insert(key.clone(), exact(value)?); // O-1: equal keys fall together
            }
        }
        Ok(Outcome::Json(found.into()))
    }

    fn set_many(&self, step: &Step, call: Call<'_>) -> Answer<Outcome> {
        let data = step.data();
        let items: Vec<_> = data.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let (status, failed) = self.store.set_many(&items, step.ttl(), call)?;
        let failed = data.iter().zip(failed).filter(|(_, failed)| *failed).map(|((key, _), _)| key.as_str());
        let failed = Value::from(failed.collect::<Vec<_>>());
        Ok(answered(status, &[(LARDER_OK, failed.clone()), (LARDER_NOT_KEPT, failed)]))
    }

    /// get, add, get (O-5).
    fn get_or_set(&self, step: &Step, call: Call<'_>) -> Answer<Outcome> {
        if let Some(value) = self.get(&step.key(), call)? {
            return Ok(Outcome::Json(value));
        }
        let default = step.default();
        self.store.add(&step.key(), Input::Json(&golden::write(&default)), step.ttl(), call)?;
        Ok(Outcome::Json(self.get(&step.key(), call)?.unwrap_or(default)))
    }
}

/// A value as JSON; to lose something is a failure, since all scenarios have values that JSON holds.
fn exact(value: &client::Value) -> Answer<Value> {
    let json = value.json()?;
    if json.lossy {
        let message = format!("shown with a loss: {}", json.shown);
        return Err(Failure { status: larder::capi::status::LARDER_LOSSY, message });
    }
    Ok(golden::read(&json.shown))
}

fn answered(status: larder_status, known: &[(larder_status, Value)]) -> Outcome {
    let known = known.iter().find(|known| known.0 == status).map(|known| Outcome::Json(known.1.clone()));
    known.unwrap_or_else(|| Outcome::Other(client::name(status).to_owned()))
}

/// True for what is done, also where nothing is kept of it.
fn yes_or_no(status: larder_status, no: larder_status) -> Outcome {
    answered(status, &[(LARDER_OK, true.into()), (LARDER_NOT_KEPT, true.into()), (no, false.into())])
}

fn found(number: Option<i64>) -> Outcome {
    number.map_or(Outcome::NoSuchKey, |number| Outcome::Json(golden::from_number(&number.to_string())))
}

fn negative(delta: &str) -> String {
    delta.strip_prefix('-').map_or_else(|| format!("-{delta}"), str::to_owned)
}
