//! Where larder means to answer otherwise than Python. Nothing else may.

use super::backends::Backend;
use super::common::golden;
use super::scenario::Outcome;

/// One answer that is not Python's.
#[derive(Debug, PartialEq, Eq)]
pub struct Departure {
    pub backends: &'static [&'static str],
    pub scenario: &'static str,
    pub step: usize,
    pub python: Answer,
    pub larder: Answer,
    pub reason: &'static str,
}

/// An outcome that can stand in a table.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// JSON text.
    Json(&'static str),
    NoSuchKey,
    Refused,
    TooBig,
}

impl Answer {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Json(text) => Outcome::Json(golden::read(text)),
            Self::NoSuchKey => Outcome::NoSuchKey,
            Self::Refused => Outcome::Refused,
            Self::TooBig => Outcome::TooBig,
        }
    }
}

/// All of them.
pub const DEPARTURES: [Departure; 14] = [
    Departure {
        backends: &["file", "plugged in from C, the least"],
        scenario: "expired, then touch",
        step: 2,
        python: Answer::NoSuchKey,
        larder: Answer::Json("false"),
        reason: "Django's touch fails with ValueError (it seeks in the file that it has just closed as expired), which \
                 is its bug; contract, pitfall 22: here the key is simply not there",
    },
    Departure {
        backends: &["postgresql", "mariadb"],
        scenario: "keys that memcached refuses",
        step: 2,
        python: Answer::Json("null"),
        larder: Answer::TooBig,
        reason: "Django's set says nothing when the database refuses a key of more than 255 characters (DB-9); 1.19: \
                 errors are reported",
    },
    Departure { step: 11, python: Answer::Refused, larder: Answer::Json("true"), ..TINY },
    Departure { step: 12, python: Answer::Json("\"old\""), larder: Answer::Json("null"), ..TINY },
    Departure { step: 13, python: Answer::Refused, larder: Answer::Json("false"), ..TINY },
    Departure {
        backends: &["plugged in from C", "plugged in from C, the least"],
        scenario: "random 10",
        step: 19,
        python: Answer::Json("true"),
        larder: Answer::Json("false"),
        reason: "Django's in-memory and file caches keep what was set with a time to live of 0, expired, and their delete finds it; a \
                 backend that is plugged in is never given such a value: larder deletes the key instead",
    },
    Departure { step: 5, python: Answer::Refused, larder: Answer::Json("true"), ..ZERO_BY_DEFAULT },
    Departure { step: 6, python: Answer::Json("1"), larder: Answer::Json("null"), ..ZERO_BY_DEFAULT },
    Departure {
        scenario: "None is a value",
        step: 4,
        python: Answer::Json("{}"),
        larder: Answer::Json(r#"{"n": null}"#),
        ..NONE_IN_SHARDS
    },
    Departure {
        scenario: "many",
        step: 1,
        python: Answer::Json(r#"{"a": 1, "b": "x"}"#),
        larder: Answer::Json(r#"{"a": 1, "b": "x", "c": null}"#),
        ..NONE_IN_SHARDS
    },
    Departure {
        scenario: "many",
        step: 7,
        python: Answer::Json(r#"{"b": "x"}"#),
        larder: Answer::Json(r#"{"b": "x", "c": null}"#),
        ..NONE_IN_SHARDS
    },
    Departure {
        scenario: "random 1",
        step: 13,
        python: Answer::Json(r#"{"zoe": 8, "soraka": 34}"#),
        larder: Answer::Json(r#"{"zoe": 8, "janna": null, "soraka": 34}"#),
        ..NONE_IN_SHARDS
    },
    Departure {
        scenario: "random 8",
        step: 22,
        python: Answer::Json(r#"{"nunu": 50, "elise": 29}"#),
        larder: Answer::Json(r#"{"vayne": null, "nunu": 50, "elise": 29}"#),
        ..NONE_IN_SHARDS
    },
    Departure {
        scenario: "random 11",
        step: 20,
        python: Answer::Json(r#"{"tristana": 92}"#),
        larder: Answer::Json(r#"{"malphite": null, "tristana": 92}"#),
        ..NONE_IN_SHARDS
    },
];

/// The rest of a departure about a None that ShardClient's `get_many` is asked for.
const NONE_IN_SHARDS: Departure = Departure {
    backends: &["ShardClient"],
    scenario: "",
    step: 0,
    python: Answer::NoSuchKey,
    larder: Answer::NoSuchKey,
    reason: "django-redis' ShardClient leaves out of get_many what is None, although it is there, as no other client does; \
             here it is a value as any other",
};

/// The rest of a departure about a time to live below a millisecond.
const TINY: Departure = Departure {
    backends: &["pylibmc", "pylibmc, 3 servers"],
    scenario: "timeout 0.0001",
    step: 0,
    python: Answer::NoSuchKey,
    larder: Answer::NoSuchKey,
    reason: "times to live are given in ms here, so that this is 0; pylibmc's touch with 0 is a delete (M-11), while \
             0.0001 becomes -1, which it refuses",
};

/// The rest of a departure about TIMEOUT 0.
const ZERO_BY_DEFAULT: Departure = Departure {
    backends: &["pylibmc", "pylibmc, 3 servers"],
    scenario: "TIMEOUT 0 in the config",
    step: 0,
    python: Answer::NoSuchKey,
    larder: Answer::NoSuchKey,
    reason: "Django's touch asks for an explicit 0 to delete (M-11), and hands on the default as -1, which pylibmc \
             refuses; here the default is as if it were given",
};

impl Departure {
    /// The departure of a step, if there is one.
    pub fn find(scenario: &str, backend: &Backend, step: usize) -> Option<&'static Self> {
        DEPARTURES
            .iter()
            .find(|one| one.backends.contains(&backend.name) && one.scenario == scenario && one.step == step)
    }
}
