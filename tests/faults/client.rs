//! A cache under test, used by either face, and calls whose answers can be judged: every value embeds its key.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use larder::backend::{Answer, Backend, Counted, Reply, Request, Sink, Spawner, Ticket, When, Written, perform};
use larder::backend::{memcached, redis};
use larder::config::{self, BreakerRule, Flavor};
use larder::error::{Error, Result};
use larder::key::MadeKey;
use larder::log::{Log, Silent};
use larder::timeout::{Budget, Ttl};

pub use crate::common::flight::{FACES, Face, Runtime};
use crate::common::flight::{config_for, tcp};

/// A cache on a port of 127.0.0.1.
pub struct Client {
    cache: Arc<dyn Backend>,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Opens it; `breaker` is off where nothing is said.
    pub fn open(port: u16, breaker: Option<BreakerRule>) -> Self {
        let mut config = config_for(tcp(port), Flavor::DjangoRedis);
        config.server.database = 1; // so that there is a greeting, which can fail too
        config.max_connections = 8;
        config.breaker = breaker;
        let runtime = Runtime::start();
        Self { cache: redis::open(config, runtime.clone(), Arc::new(Silent)), runtime }
    }

    /// Opens one on memcached servers.
    pub fn on_memcached(config: config::Memcached) -> Self {
        let runtime = Runtime::start();
        let spawner: Arc<dyn Spawner> = runtime.clone();
        Self { cache: memcached::open(config, &spawner, &(Arc::new(Silent) as Arc<dyn Log>)), runtime }
    }

    /// The cache itself.
    pub fn cache(&self) -> &dyn Backend {
        &*self.cache
    }

    /// Runs `act` while the one thread of the runtime does nothing else: what happens meanwhile is seen all at once.
    pub fn while_busy(&self, act: impl FnOnce()) {
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let task = async move {
            begun.send(()).unwrap();
            let _ = is_done.recv();
        };
        self.runtime.spawn(Box::pin(task)).unwrap();
        has_begun.recv().unwrap();
        act();
        drop(done);
    }

    /// Begins one request on the asynchronous face.
    pub fn begin(&self, request: &Request<'_>, budget: Budget) -> Begun {
        let one = Arc::new(One::default());
        self.cache.start(*request, budget, Ticket::new(one.clone(), 0));
        Begun { budget, one }
    }

    /// Carries one request out by a face, and waits for the answer.
    pub fn call(&self, face: Face, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        match face {
            Face::Synchronous => perform(&*self.cache, request, budget),
            Face::Asynchronous => self.begin(request, budget).end(),
        }
    }

    /// Asks one thing by a face, and waits for the outcome.
    pub fn ask(&self, face: Face, ask: &Ask, budget: Budget) -> Outcome {
        ask.with_request(|request| ask.judge(self.call(face, request, budget)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.runtime.end_at_once();
    }
}

/// Where the answer to one call arrives.
#[derive(Default)]
struct One {
    answer: Mutex<Option<Result<Reply>>>,
    came: Condvar,
}

/// An operation that was begun.
pub struct Begun {
    budget: Budget,
    one: Arc<One>,
}

impl Begun {
    /// Whether it has been answered.
    pub fn is_answered(&self) -> bool {
        self.one.answer.lock().unwrap().is_some()
    }

    /// Waits for the answer.
    pub fn end(self) -> Result<Reply> {
        let answer = self.one.answer.lock().unwrap();
        let patience = self.budget.total() + Duration::from_secs(20);
        let (mut answer, _) = self.one.came.wait_timeout_while(answer, patience, |answer| answer.is_none()).unwrap();
        answer.take().expect("a call was not answered")
    }
}

impl Sink for One {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (_, answer) in answers.drain(..) {
            assert!(self.answer.lock().unwrap().replace(answer).is_none(), "two answers");
            self.came.notify_all();
        }
    }
}

/// One operation on keys that only one thread uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// The value of a key that was written before.
    Get(String),
    /// A key that is never written.
    GetMissing(String),
    /// Several keys in one call.
    GetMany(Vec<String>),
    /// Writes the value with this number.
    Set(String, u64),
    /// Adds one.
    Incr(String),
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The numbers of the values that were found; they carried the keys that were asked for.
    Found(Vec<u64>),
    /// Nothing is there.
    Missing,
    /// A key that was written before is not there.
    Gone,
    /// Written.
    Stored,
    /// The sum.
    Sum(i64),
    /// It failed.
    Failed(Error),
    /// It succeeded with something that cannot be the answer.
    Wrong(String),
}

impl Outcome {
    /// Whether it succeeded.
    pub fn is_ok(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Wrong(_))
    }
}

impl Ask {
    /// Whether it changes something.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Set(..) | Self::Incr(_))
    }

    /// Shows the request to `take`.
    pub fn with_request<T>(&self, take: impl FnOnce(&Request<'_>) -> T) -> T {
        match self {
            Self::Get(key) | Self::GetMissing(key) => take(&Request::Get(&MadeKey::as_is(key))),
            Self::GetMany(keys) => {
                let keys: Vec<_> = keys.iter().map(|key| MadeKey::as_is(key)).collect();
                take(&Request::GetMany(&keys))
            }
            Self::Set(key, number) => {
                let (key, value) = (&MadeKey::as_is(key), value(key, *number));
                take(&Request::Set { key, value: (&value).into(), ttl: Ttl::Forever, when: When::Always })
            }
            Self::Incr(key) => take(&Request::Incr(&MadeKey::as_is(key), 1)),
        }
    }

    /// What an answer means. A value that does not carry its key is wrong.
    pub fn judge(&self, answer: Result<Reply>) -> Outcome {
        match (self, answer) {
            (_, Err(error)) => Outcome::Failed(error),
            (Self::GetMissing(_), Ok(Reply::Value(None))) => Outcome::Missing,
            (Self::Get(key), Ok(Reply::Value(Some(value)))) => found([(key, &value.bytes)]),
            (Self::GetMany(keys), Ok(Reply::Values(values))) if values.iter().all(Option::is_some) => {
                found(keys.iter().zip(values.iter().flatten().map(|value| &value.bytes)))
            }
            (Self::Get(_), Ok(Reply::Value(None)))
            | (Self::GetMany(_), Ok(Reply::Values(_)))
            | (Self::Incr(_), Ok(Reply::Counted(Counted::Missing))) => Outcome::Gone,
            (Self::Set(..), Ok(Reply::Written(Written::Stored))) => Outcome::Stored,
            (Self::Incr(_), Ok(Reply::Counted(Counted::Now(sum)))) => Outcome::Sum(sum),
            (_, Ok(other)) => {
                let mut shown = format!("{self:?} was answered with {other:?}");
                shown.truncate(300);
                Outcome::Wrong(shown)
            }
        }
    }
}

fn found<'a>(values: impl IntoIterator<Item = (&'a String, &'a bytes::Bytes)>) -> Outcome {
    let numbers: std::result::Result<Vec<u64>, String> =
        values.into_iter().map(|(key, value)| number_of(key, value)).collect();
    numbers.map_or_else(Outcome::Wrong, Outcome::Found)
}

/// The value number `number` of a key. The key's last digit decides its size: most are small, some are larger than
/// what is read at once.
pub fn value(key: &str, number: u64) -> Vec<u8> {
    let size = match key.as_bytes().last() {
        Some(b'7') => 60_000,
        Some(b'6') => 10_000,
        _ => 20,
    };
    sized_value(key, number, size)
}

/// A value with so many bytes between key and key.
pub fn sized_value(key: &str, number: u64, size: usize) -> Vec<u8> {
    let mut value = format!("{key}#{number}#").into_bytes();
    value.resize(value.len() + size, filling(number));
    value.extend_from_slice(format!("#{key}").as_bytes());
    value
}

fn filling(number: u64) -> u8 {
    b'a' + u8::try_from(number % 26).unwrap()
}

/// The number of a value; an error says why it is not one of the key's.
pub fn number_of(key: &str, stored: &[u8]) -> std::result::Result<u64, String> {
    let wrong = || {
        let shown = String::from_utf8_lossy(&stored[..stored.len().min(60)]);
        format!("the value of {key} has {} bytes and begins with {shown:?}", stored.len())
    };
    let mut parts = stored.splitn(3, |byte| *byte == b'#');
    let (named, number, rest) = (parts.next(), parts.next(), parts.next().ok_or_else(wrong)?);
    let number = std::str::from_utf8(number.unwrap_or_default()).ok().and_then(|text| text.parse().ok());
    let number: u64 = number.ok_or_else(wrong)?;
    let filled = rest.strip_suffix(format!("#{key}").as_bytes()).ok_or_else(wrong)?;
    let same = named == Some(key.as_bytes()) && filled.iter().all(|byte| *byte == filling(number));
    if same { Ok(number) } else { Err(wrong()) }
}

/// Waits until something holds, for `limit` at most; the time that it took.
pub fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let begin = Instant::now();
    loop {
        if holds() {
            return Some(begin.elapsed());
        }
        if begin.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
