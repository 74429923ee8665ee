//! Where larder means to answer otherwise than Python. Nothing else may.

use super::backends::Backend;
use super::scenario::Outcome;

/// One answer that is not Python's.
#[derive(Debug, PartialEq, Eq)]
pub struct Departure {
    pub backend: &'static str,
    pub scenario: &'static str,
    pub step: usize,
    pub python: Answer,
    pub larder: Answer,
    pub reason: &'static str,
}

/// An outcome that can stand in a table.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    False,
    NoSuchKey,
}

impl Answer {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::False => Outcome::Json(false.into()),
            Self::NoSuchKey => Outcome::NoSuchKey,
        }
    }
}

/// All of them.
pub const DEPARTURES: [Departure; 1] = [Departure {
    backend: "file",
    scenario: "expired, then touch",
    step: 2,
    python: Answer::NoSuchKey,
    larder: Answer::False,
    reason: "Django's touch fails with ValueError (it seeks in the file that it has just closed as expired), which is \
             its bug; contract, pitfall 22: here the key is simply not there",
}];

impl Departure {
    /// The departure of a step, if there is one.
    pub fn find(scenario: &str, backend: &Backend, step: usize) -> Option<&'static Self> {
        DEPARTURES.iter().find(|one| one.backend == backend.name && one.scenario == scenario && one.step == step)
    }
}
