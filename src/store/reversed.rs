//! The user's keys in made ones (DR-2).

use super::{Call, Store};
use crate::error::{Error, Kind, Result};
use crate::key::{ReverseKey, escaped};

/// How many of a made key's bytes stand before the user's key, where that is known before the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// So many, the same for all keys; none where keys are told as the server has them.
    Known(usize),
    /// What REVERSE_KEY_FUNCTION finds in each.
    Reversed,
}

impl Store {
    /// What stands before the keys that `call` asks for.
    pub(super) fn head_of_keys(&self, call: &Call<'_>) -> Head {
        match self.alias.keys.reverse {
            _ if call.final_key => Head::Known(0),
            ReverseKey::Exact => Head::Known(self.alias.keys.head(call.version).len()),
            ReverseKey::SecondColon | ReverseKey::Own(_) => Head::Reversed,
        }
    }

    /// The user's keys in `made`, which match a pattern under `head`. Keys in which none is found are left out: Python
    /// raises an `IndexError` for the whole listing.
    pub(super) fn user_keys(&self, made: Vec<Vec<u8>>, head: Head) -> Result<Vec<Vec<u8>>> {
        let of = |key: &Vec<u8>| match head {
            Head::Known(head) => Ok(key.get(head..).map(<[u8]>::to_vec)),
            Head::Reversed => self.reversed(key),
        };
        if head == Head::Known(0) {
            return Ok(made);
        }
        let keys = made.iter().filter_map(|key| of(key).transpose()).collect::<Result<_>>();
        keys.map_err(|error| self.named("keys", error))
    }

    fn reversed(&self, made: &[u8]) -> Result<Option<Vec<u8>>> {
        match &self.key_functions.reverse {
            Some(own) => own.reverse(made),
            None => Ok(self.alias.keys.reversed(made).map(<[u8]>::to_vec)),
        }
    }

    /// Whether the keys that `call` asks for can be told as the user has them.
    pub(super) fn check_way_back(&self, call: &Call<'_>) -> Result<()> {
        match &self.key_functions.reverse {
            Some(own) if !call.final_key && !own.has_reverse() => {
                let reason = "the key function has no way back from its keys to the user's; ask for final keys";
                Err(self.named("keys", Error::new(Kind::Unsupported, reason)))
            }
            _ => Ok(()),
        }
    }

    /// The pattern over the server's keys for one over the user's (DR-26).
    pub(super) fn made_pattern(&self, operation: &'static str, pattern: &str, call: &Call<'_>) -> Result<Vec<u8>> {
        let rules = &self.alias.keys;
        match &self.key_functions.make {
            _ if call.final_key => Ok(pattern.as_bytes().to_vec()),
            None => Ok(rules.pattern(pattern, call.version)),
            Some(own) => {
                let made = own.make(pattern, &escaped(&rules.prefix), &escaped(rules.version(call.version)));
                made.map_err(|error| self.named(operation, error))
            }
        }
    }
}
