//! The user's keys in made ones (DR-2).

use super::{Call, Store};
use crate::key::ReverseKey;

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
    pub(super) fn user_keys(&self, made: Vec<Vec<u8>>, head: Head) -> Vec<Vec<u8>> {
        let of = |key: &Vec<u8>| match head {
            Head::Known(head) => key.get(head..).map(<[u8]>::to_vec),
            Head::Reversed => self.reversed(key),
        };
        if head == Head::Known(0) { made } else { made.iter().filter_map(of).collect() }
    }

    fn reversed(&self, made: &[u8]) -> Option<Vec<u8>> {
        match &self.key_functions.reverse {
            Some(own) => own.reverse(made).ok().flatten(),
            None => self.alias.keys.reversed(made).map(<[u8]>::to_vec),
        }
    }
}
