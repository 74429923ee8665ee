//! Where listings of keys go on: behind a key, which the caller knows by a number.

use std::collections::VecDeque;

use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;

/// So many listings can be under way.
const KEPT: usize = 256;

/// The places at which the last pages ended.
#[derive(Debug, Default)]
pub struct Cursors(Mutex<(u64, VecDeque<(u64, String)>)>);

impl Cursors {
    /// The key behind which a page begins.
    pub fn find(&self, at: u64) -> Result<String> {
        if at == 0 {
            return Ok(String::new());
        }
        let state = self.0.lock();
        let known = state.1.iter().find(|(number, _)| *number == at).map(|(_, key)| key.clone());
        drop(state);
        let reason = "this place in a listing of keys is not known any more; begin again at 0";
        known.ok_or_else(|| Error::new(Kind::Invalid, reason))
    }

    /// A number for the place behind a key.
    pub fn keep(&self, key: String) -> u64 {
        let mut state = self.0.lock();
        state.0 += 1;
        let number = state.0;
        state.1.push_back((number, key));
        if state.1.len() > KEPT {
            state.1.pop_front();
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_places_are_known() {
        let cursors = Cursors::default();
        assert_eq!(cursors.find(0).unwrap(), "");
        let first = cursors.keep("a".to_owned());
        let second = cursors.keep("b".to_owned());
        assert_eq!((cursors.find(first).unwrap(), cursors.find(second).unwrap()), ("a".to_owned(), "b".to_owned()));
        for _ in 0..KEPT - 1 {
            cursors.keep("c".to_owned());
        }
        assert_eq!(cursors.find(first).unwrap_err().kind(), Kind::Invalid);
        assert!(cursors.find(second).is_ok());
    }
}
