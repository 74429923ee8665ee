//! What the golden data asks for, and what it expects.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::backends::{Backend, setting};
use super::common::client::Ttl;
use super::common::golden;

/// Calls that are made one after the other, beginning with an empty cache.
pub struct Scenario {
    pub name: String,
    /// What the alias's entry has besides BACKEND and LOCATION.
    pub config: Map<String, Value>,
    pub start_at_full_second: bool,
    /// Whether times to live matter, so that a slow machine can spoil it.
    pub has_times: bool,
    pub steps: Vec<Step>,
    data: Value,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It answered this.
    Json(Value),
    /// Python's ValueError.
    NoSuchKey,
    /// Python's TypeError, and the errors of Redis and of memcached's clients where nothing adds to what is no number.
    WrongType,
    /// A key, or a time to live, that the client refuses.
    Refused,
    /// A key that is too long for a table.
    TooBig,
    /// Python's NotImplementedError.
    Unsupported,
    /// Anything else.
    Other(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(value) => write!(f, "{}", golden::write(value)),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Scenario {
    /// All scenarios of the golden data.
    pub fn all() -> Vec<Self> {
        let data = golden::read(&super::common::golden("behaviour.json"));
        golden::list(&data["scenarios"]).iter().map(Self::new).collect()
    }

    fn new(data: &Value) -> Self {
        let steps: Vec<Step> = golden::list(&data["steps"]).iter().cloned().map(Step).collect();
        Self {
            name: golden::text(&data["name"]).to_owned(),
            config: setting(&data["config"]),
            start_at_full_second: data["start_at_full_second"] == Value::Bool(true),
            has_times: steps.iter().any(|step| matches!(step.ttl(), Ttl::Millis(_)) || step.sleep().is_some()),
            steps,
            data: data.clone(),
        }
    }

    /// Whether the golden data has answers of this backend, or of the one that it is judged with.
    pub fn concerns(&self, backend: &Backend) -> bool {
        golden::list(&self.data["backends"]).iter().any(|name| golden::text(name) == backend.golden)
            && !self.steps.iter().any(|step| backend.lacks.contains(&step.op()))
    }

    /// What Python's backend answered to a step.
    pub fn golden(&self, backend: &Backend, step: usize) -> Outcome {
        let own = &self.data["results_by_backend"][backend.like][step.to_string()];
        Outcome::told(match backend.like {
            "dummy" => &self.data["dummy"][step],
            _ if own.is_null() => &self.data["results"][step],
            _ => own,
        })
    }

    /// Whether it cannot share a memcached server with other scenarios, each with a prefix of its own.
    pub fn wants_a_server(&self) -> bool {
        self.config.contains_key("KEY_PREFIX") || self.steps.iter().any(|step| step.op() == "clear")
    }
}

impl Outcome {
    /// An outcome of Python, as the golden data writes it.
    pub fn told(answer: &Value) -> Self {
        match answer["raises"].as_str() {
            Some("ValueError") => Self::NoSuchKey,
            Some(
                "TypeError"
                | "ResponseError"
                | "MemcacheClientError"
                | "ClientError"
                | "MemcacheIllegalInputError"
                | "OverflowError", // diskcache beyond the 64 bits of SQLite
            ) => Self::WrongType,
            Some("InvalidCacheKey" | "AllocationError") => Self::Refused, // pitfall 18: pylibmc's touch below zero
            Some("NotImplementedError") => Self::Unsupported,             // DR-43
            Some(other) => Self::Other(other.to_owned()),
            None => Self::Json(golden::read(golden::text(&answer["json"]))),
        }
    }
}

/// One call.
pub struct Step(Value);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", golden::write(&self.0))
    }
}

impl Step {
    pub fn op(&self) -> &str {
        golden::text(&self.0["op"])
    }

    /// How long to wait, if this step is to wait.
    pub fn sleep(&self) -> Option<Duration> {
        (self.op() == "sleep").then(|| {
            let seconds = golden::millis(golden::number(&self.0["seconds"]).unwrap());
            Duration::from_millis(seconds.try_into().unwrap())
        })
    }

    /// The key; Python takes anything and makes text of it (K-2).
    pub fn key(&self) -> String {
        key(&self.0["key"])
    }

    pub fn keys(&self) -> Vec<String> {
        golden::list(&self.0["keys"]).iter().map(key).collect()
    }

    /// The value as JSON text.
    pub fn value(&self) -> String {
        golden::write(&self.0["value"])
    }

    /// What a `get` answers on a miss, and what `get_or_set` sets.
    pub fn default(&self) -> Value {
        self.0["default"].clone()
    }

    /// Keys and values as JSON text.
    pub fn data(&self) -> Vec<(String, String)> {
        golden::object(&self.0["data"]).iter().map(|(key, value)| (key.clone(), golden::write(value))).collect()
    }

    /// The time to live; not given where there is none (T).
    pub fn ttl(&self) -> Ttl {
        let Some(timeout) = self.0.get("timeout") else { return Ttl::Default };
        if timeout.is_null() {
            return Ttl::Forever;
        }
        if let Some(seconds) = golden::number(timeout) {
            return Ttl::Millis(golden::millis(seconds));
        }
        assert_eq!(golden::text(timeout), "default");
        Ttl::Default
    }

    /// The version as text; `None` where it is not given (K-3).
    pub fn version(&self) -> Option<String> {
        self.0.get("version").filter(|version| !version.is_null()).map(key)
    }

    /// What to add, as it is written.
    pub fn delta(&self) -> &str {
        golden::number(&self.0["delta"]).unwrap()
    }
}

fn key(value: &Value) -> String {
    golden::number(value).map_or_else(|| golden::text(value).to_owned(), str::to_owned)
}
