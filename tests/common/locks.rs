//! Locks, expiry at a moment and removal by pattern, over the C API: see `client`.
#![allow(unsafe_code)]

use std::ptr::null_mut;

use larder::capi::argument::larder_call;
use larder::capi::expiry::larder_expire_at;
use larder::capi::lock::{LARDER_EXTEND_ADD, LARDER_EXTEND_REPLACE, larder_lock, larder_lock_extend, larder_unlock};
use larder::capi::pattern::larder_delete_pattern;
use larder::capi::status::{LARDER_NOT_STORED, LARDER_OK, larder_status};

use super::client::{Answer, Call, Store, Ttl, ask, name};
use super::value::Value;

/// A call with a deadline.
fn within(call: Call<'_>, timeout_ms: i64) -> larder_call {
    larder_call { timeout_ms, ..call.raw() }
}

// SAFETY of all calls below: handles are checked by the library, texts live during the call, and places to be written are
// local variables.
impl Store {
    /// A lock's token; `None` while somebody else holds it.
    pub fn lock(&self, key: &str, ttl: Ttl, wait_ms: i64, timeout_ms: i64) -> Answer<Option<String>> {
        let (mut token, call) = (null_mut(), within(Call::default(), timeout_ms));
        let status = ask(|err| unsafe {
            let (key, len) = (key.as_ptr().cast(), key.len());
            larder_lock(self.0, key, len, ttl.number(), wait_ms, &raw const call, &raw mut token, err)
        })?;
        let Some(token) = Value::taken(token) else {
            assert_eq!(status, LARDER_NOT_STORED, "{}", name(status));
            return Ok(None);
        };
        assert_eq!(status, LARDER_OK, "{}", name(status));
        let token = token.text()?.shown;
        assert!(token.len() == 32 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{token}");
        Ok(Some(token))
    }

    /// Lets go of a lock.
    pub fn unlock(&self, key: &str, token: &str) -> Answer<larder_status> {
        let (token, token_len, call) = (token.as_ptr().cast(), token.len(), Call::default().raw());
        ask(|err| unsafe {
            larder_unlock(self.0, key.as_ptr().cast(), key.len(), token, token_len, &raw const call, err)
        })
    }

    /// Extends a lock.
    pub fn extend_lock(&self, key: &str, token: &str, ttl: Ttl, replace: bool) -> Answer<larder_status> {
        let how = if replace { LARDER_EXTEND_REPLACE } else { LARDER_EXTEND_ADD };
        let (token, token_len, call) = (token.as_ptr().cast(), token.len(), Call::default().raw());
        ask(|err| unsafe {
            let (key, len, ttl) = (key.as_ptr().cast(), key.len(), ttl.number());
            larder_lock_extend(self.0, key, len, token, token_len, ttl, how, &raw const call, err)
        })
    }

    /// Makes a key expire at a moment.
    pub fn expire_at(&self, key: &str, at_ms: i64, call: Call<'_>) -> Answer<larder_status> {
        let call = call.raw();
        ask(|err| unsafe { larder_expire_at(self.0, key.as_ptr().cast(), key.len(), at_ms, &raw const call, err) })
    }

    /// Removes the keys that match: how many.
    pub fn delete_pattern(&self, pattern: &str, call: Call<'_>, timeout_ms: i64) -> Answer<u64> {
        let (mut deleted, call) = (u64::MAX, within(call, timeout_ms));
        let status = ask(|err| unsafe {
            let (pattern, len) = (pattern.as_ptr().cast(), pattern.len());
            larder_delete_pattern(self.0, pattern, len, &raw const call, &raw mut deleted, err)
        })?;
        assert_eq!(status, LARDER_OK, "{}", name(status));
        Ok(deleted)
    }
}
