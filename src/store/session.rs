//! Sessions of `django.contrib.sessions` (contract 1.18), read and never made.

use super::{Call, Store, Value};
use crate::error::Result;

/// What Django's cache back end puts before a session key (`SessionStore.cache_key_prefix`).
pub(super) const PREFIX: &str = "django.contrib.sessions.cache";

/// Django takes nothing shorter for a session key (`SessionBase._validate_session_key`).
const SHORTEST: usize = 8;

/// Django makes 32 characters, and its table of sessions has room for 40. Nothing that is longer is worth a look.
const LONGEST: usize = 128;

/// Whether a cookie's value can be a session key. Django makes them of lower-case letters and digits, and looks at the
/// length alone; what has other characters than letters and digits no Django makes, and it could name other keys that
/// begin as those of sessions do (`d_db…` those of the `cached_db` back end).
pub fn is_session_key(key: &str) -> bool {
    (SHORTEST..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Store {
    /// The session of a session key; `None` where there is none, and for what cannot be a session key, which costs
    /// nothing.
    pub fn session(&self, key: &str, call: &Call<'_>) -> Result<Option<Value>> {
        if !is_session_key(key) {
            self.count_read(false);
            return Ok(None);
        }
        let watch = self.watch();
        let stored = self.backend.get(&self.make("session", &cache_key(key), call)?, self.budget(call));
        let stored = self.checked("session", self.forgiven("session", stored))?;
        watch.here.bytes_read(stored.as_ref().map_or(0, |stored| stored.bytes.len()));
        if self.sifts() {
            let value = stored.map(|stored| self.fetched("session", stored)).transpose();
            let value = self.sifted(self.forgiven("session", value)?);
            return Ok(value.filter(is_a_session));
        }
        self.count_read(stored.is_some());
        let value = stored.map(|stored| self.fetched("session", stored)).transpose()?;
        Ok(value.filter(is_a_session))
    }
}

/// The user's key of a session.
pub(super) fn cache_key(key: &str) -> String {
    format!("{PREFIX}{key}")
}

/// Django takes a stored `None` for no session.
pub(super) fn is_a_session(value: &Value) -> bool {
    !value.is_plain_none()
}

#[cfg(test)]
mod tests {
    use super::is_session_key;

    #[test]
    fn session_keys_are_letters_and_digits() {
        for key in ["12345678", "a".repeat(32).as_str(), "A1b2C3d4", "z".repeat(128).as_str()] {
            assert!(is_session_key(key), "{key}");
        }
    }

    #[test]
    fn what_no_django_makes_is_none() {
        let long = "a".repeat(129);
        for key in
            ["", "1234567", "ééééééééé", "12345678 ", "1234\r\n56", "1234\u{0}567", "d_db12345678", "*********", &long]
        {
            assert!(!is_session_key(key), "{key:?}");
        }
    }
}
