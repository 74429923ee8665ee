//! `larder_cursor`: a listing of keys under way.

use std::collections::VecDeque;
use std::ffi::c_char;

use super::argument::{self, Buffer, larder_call, out};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::handle::Registry;
use super::status::{LARDER_EHANDLE, LARDER_EMPTY, LARDER_EPANIC, LARDER_OK, LARDER_TRUNCATED, larder_status};
use super::store::{borrow, find, forked, larder_store};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::store::Call;
use crate::sys::Ours;
use crate::timeout::Budget;

/// A listing of keys under way. A checked handle: never read through it.
pub struct larder_cursor {
    _private: [u8; 0],
}

/// A listing behind its handle.
pub(crate) struct Listing {
    store: u64,
    pattern: String,
    version: Option<String>,
    budget: Option<Budget>,
    final_key: bool,
    place: Mutex<Place>,
}

/// How far a listing is.
enum Place {
    /// Keys to hand out, and where the next page begins.
    Page(VecDeque<Vec<u8>>, Option<u64>),
    /// A thread is fetching the next page.
    Fetching,
}

pub(crate) static CURSORS: Registry<Ours<Listing>> = Registry::new(0x4C4B); // "LK"

impl Listing {
    /// Shows the next key to `take`, which says whether the listing may go on behind it; `false` at the end.
    fn next(&self, take: impl FnOnce(&[u8]) -> bool) -> Result<bool> {
        let mut page = self.take_page()?;
        let fetched = self.fill(&mut page);
        if fetched.is_ok()
            && let Some(key) = page.0.front()
            && take(key)
        {
            page.0.pop_front();
            *self.place.lock() = Place::Page(page.0, page.1);
            return Ok(true);
        }
        let is_end = page.0.is_empty();
        *self.place.lock() = Place::Page(page.0, page.1);
        fetched.map(|()| !is_end)
    }

    /// The page, for this thread alone: it is not kept locked over the network and the host's log function.
    fn take_page(&self) -> Result<(VecDeque<Vec<u8>>, Option<u64>)> {
        match std::mem::replace(&mut *self.place.lock(), Place::Fetching) {
            Place::Page(keys, next) => Ok((keys, next)),
            Place::Fetching => Err(Error::new(Kind::Busy, "another call is fetching the next keys of this listing")),
        }
    }

    /// Fetches pages until there is a key or the listing has ended. Many pages can have no key that matches: they share
    /// the time of one call.
    fn fill(&self, (keys, next): &mut (VecDeque<Vec<u8>>, Option<u64>)) -> Result<()> {
        let mut call = Call { version: self.version.as_deref(), budget: self.budget, final_key: self.final_key };
        while let (true, Some(at)) = (keys.is_empty(), *next) {
            let open = borrow(self.store as *const larder_store)?;
            call.budget = Some(open.store.budget(&call).fixed());
            let page = open.store.keys(&self.pattern, at, &call)?;
            *keys = page.keys.into();
            *next = page.next;
        }
        Ok(())
    }
}

/// Lists the keys that match a pattern: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\` before a character that means
/// itself, as Redis has it. Fetches the first page.
///
/// On Redis (SCAN) a key can come twice, and one that is added or removed meanwhile may come or not; every key that is
/// there all the time comes.
///
/// @param store the store
/// @param pattern UTF-8 text; what it matches is the key without prefix and version
/// @param pattern_len its length in bytes
/// @param call NULL, or version, deadline (of each fetch) and flags; with LARDER_CALL_FINAL_KEY the pattern and the keys
///        are those of the server
/// @param cursor receives a handle, to be given to larder_cursor_close; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EUNSUPPORTED (files, whose names are hashes, and memcached); LARDER_IGNORED; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
///         LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the cursor. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_keys(
    store: *const larder_store,
    pattern: *const c_char,
    pattern_len: usize,
    call: *const larder_call,
    cursor: *mut *mut larder_cursor,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(cursor, "cursor") }?;
        *place = std::ptr::null_mut();
        borrow(store)?;
        // SAFETY: the host passes a pattern of its length, and NULL or a call.
        let (pattern, (call, _)) = unsafe { (argument::key(pattern, pattern_len, "pattern")?, argument::call(call)?) };
        let listing = Listing {
            store: store as u64,
            pattern: pattern.into(),
            version: call.version.map(Into::into),
            budget: call.budget,
            final_key: call.final_key,
            place: Mutex::new(Place::Page(VecDeque::new(), Some(0))),
        };
        listing.next(|_| false)?; // fetches, and leaves the first key where it is
        let handle = CURSORS.insert(Ours::new(listing)).ok_or_else(|| Error::new(Kind::Memory, "too many cursors"))?;
        *place = handle as *mut larder_cursor;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Hands out the next key of a listing; go on until it answers anything but LARDER_OK. A key that does not fit stays the
/// next one.
///
/// @param cursor the cursor
/// @param buffer receives the key without a terminator; NULL only with a capacity of 0. On Redis a key that another
///        program wrote need not be UTF-8
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the key in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EMPTY at the end; LARDER_TRUNCATED; LARDER_EBUSY while another thread is at it;
///         LARDER_EHANDLE, also when the store is closed; LARDER_EFORKED for a cursor of the parent process; and as
///         larder_keys, when a page has to be fetched
///
/// Blocks: up to the deadline of the listing when a page has to be fetched. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cursor_next(
    cursor: *const larder_cursor,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a buffer of its capacity.
        let mut buffer = unsafe { Buffer::new(buffer.cast(), capacity, needed) }?;
        let listing = CURSORS
            .borrow(cursor as u64)
            .ok_or_else(|| Error::new(Kind::Handle, "the cursor is NULL, closed, or no cursor"))?;
        let listing = listing.get().ok_or_else(forked)?;
        find(listing.store)?;
        let mut fitted = true;
        let found = listing.next(|key| {
            fitted = buffer.fill(key);
            fitted
        })?;
        Ok(match (found, fitted) {
            (false, _) => LARDER_EMPTY,
            (true, true) => LARDER_OK,
            (true, false) => LARDER_TRUNCATED,
        })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Closes a listing, at its end or before.
///
/// @param cursor taken; NULL is harmless, and so is a cursor that is closed already
/// @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
///
/// Blocks: never. Threads: any. Owns: takes the cursor. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_cursor_close(cursor: *mut larder_cursor) -> larder_status {
    match quietly(|| CURSORS.close(cursor as u64)) {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_EHANDLE,
        Err(_) => LARDER_EPANIC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(place: Place) -> Listing {
        let (pattern, place) = (String::from("*"), Mutex::new(place));
        Listing { store: 0, pattern, version: None, budget: None, final_key: false, place }
    }

    #[test]
    fn a_key_stays_until_it_was_taken() {
        let listing = listing(Place::Page([b"a".to_vec(), b"b".to_vec()].into(), None));
        let mut seen = Vec::new();
        for take in [false, true, true] {
            assert!(
                listing
                    .next(|key| {
                        seen.push(key.to_vec());
                        take
                    })
                    .unwrap()
            );
        }
        assert_eq!(seen, [b"a", b"a", b"b"]);
        assert!(!listing.next(|_| true).unwrap());
    }

    #[test]
    fn a_listing_that_is_being_fetched_is_busy_and_not_a_deadlock() {
        assert_eq!(listing(Place::Fetching).next(|_| true).unwrap_err().kind(), Kind::Busy);
    }

    #[test]
    fn a_failed_fetch_can_be_tried_again() {
        let listing = listing(Place::Page(VecDeque::new(), Some(0)));
        for _ in 0..2 {
            assert_eq!(listing.next(|_| true).unwrap_err().kind(), Kind::Handle, "there is no such store");
        }
    }
}
