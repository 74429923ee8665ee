//! What a program plugs in, under dotted names: key functions, serializers, compressors, backends.
//!
//! A context takes what its configuration names when it is opened; what is registered later, or not any more, changes
//! nothing for it. No lock is held while anything of the program's is called.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::argument::{invalid, name};
use super::call_out::inside;
use super::error::larder_error;
use super::guard::guard;
use super::status::{LARDER_MISS, LARDER_OK, larder_status};
use crate::error::{Error, Result};
use crate::lock::Mutex;
use crate::store::Plugins;
use crate::sys::{self, GENERATIONS, PerGeneration};

/// The longest name, in bytes.
const LONGEST_NAME: usize = 200;

/// Names that begin so are not a program's.
const TAKEN: [&str; 8] =
    ["larder", "django", "django_redis", "django_valkey", "diskcache", "redis", "valkey", "pymemcache"];

/// What is registered. The set that this leads to never changes: a new one takes its place, so that a fork in the midst
/// of that leaves a child with the one or the other.
static CURRENT: AtomicPtr<Plugins> = AtomicPtr::new(std::ptr::null_mut());

/// To be held while [`CURRENT`] is read or replaced. A child has its own: the parent's may have been locked.
static TURN: PerGeneration<Mutex<()>> = PerGeneration::new([const { Mutex::new(()) }; GENERATIONS]);

/// What is registered now.
pub fn registered() -> Plugins {
    let _turn = TURN.get().lock();
    // SAFETY: NULL, or a box that is only taken away under the same lock.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }.cloned().unwrap_or_default()
}

/// Changes what is registered.
fn change<T>(change: impl FnOnce(&mut Plugins) -> T) -> T {
    sys::watch_forks(); // so that a child has a lock of its own
    let turn = TURN.get().lock();
    let old = CURRENT.load(Ordering::Acquire);
    // SAFETY: as above.
    let mut fresh = unsafe { old.as_ref() }.cloned().unwrap_or_default();
    let answer = change(&mut fresh);
    CURRENT.store(Box::into_raw(Box::new(fresh)), Ordering::Release);
    drop(turn);
    if !old.is_null() {
        // SAFETY: it came from a box, and nobody can find it any more. This may call the program: not under the lock.
        drop(unsafe { Box::from_raw(old) });
    }
    answer
}

/// What a program says it is registering, and what it wants to get back once nothing can use it any more.
pub(super) struct Plugin {
    /// Key function, serializer, compressor, backend.
    pub noun: &'static str,
    /// Its dotted name.
    pub name: Arc<str>,
    /// Handed to its functions.
    pub user_data: *mut c_void,
    free: FreeUserData,
}

/// What frees `user_data`.
pub(super) type FreeUserData = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

// SAFETY: the host promises in the tables' contracts that its functions may be called on any thread.
unsafe impl Send for Plugin {}
// SAFETY: as above, and on several threads at once.
unsafe impl Sync for Plugin {}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the host's own function and data; this runs once, when nothing refers to the plug-in any more.
            inside(|| unsafe { free(self.user_data) });
        }
    }
}

/// Registers a plug-in that `place` puts into the set.
///
/// # Safety
/// `err` is NULL or can be written; `dotted` is NULL or a NUL-terminated text; `read` may be called, and gives the
/// function that frees, and what `place` is to be given; `user_data` is the host's.
pub(super) unsafe fn register<T>(
    (noun, dotted, user_data): (&'static str, *const c_char, *mut c_void),
    err: *mut *mut larder_error,
    read: impl FnOnce() -> Result<(FreeUserData, T)>,
    place: impl FnOnce(&mut Plugins, Arc<str>, Plugin, T),
) -> larder_status {
    let body = || {
        // SAFETY: by this function's own contract.
        let name = Arc::from(dotted_name(unsafe { name(dotted, "name") }?)?);
        let (free, table) = read()?;
        // from here on nothing fails: what was refused is not freed
        let plugin = Plugin { noun, name: Arc::clone(&name), user_data, free };
        change(|plugins| place(plugins, name, plugin, table));
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, || body().map_err(|error: Error| error.during("register"))) }
}

/// A name that a program may use: at least two parts, and not one of those that larder gives a meaning to.
fn dotted_name(name: &str) -> Result<&str> {
    if name.len() > LONGEST_NAME {
        return Err(invalid(format!("the name has {} bytes; {LONGEST_NAME} are the most", name.len())));
    }
    let is_word = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_control() || c.is_whitespace());
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    if !name.contains('.') || !name.split('.').all(is_word) {
        return Err(invalid(format!("{name:?} is not a dotted name such as \"shop.Serializer\"")));
    }
    if TAKEN.contains(&first) {
        return Err(invalid(format!("names that begin with \"{first}.\" are larder's; use one of your own")));
    }
    Ok(name)
}

/// Takes back what is registered under a name, of every kind.
///
/// Contexts that were opened before go on with it. Its `free_user_data` runs as soon as the last of them, of their
/// stores, and of the values that were read through it is gone: at once, inside this call, where there are none.
///
/// @param name the name, NUL-terminated UTF-8
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS when nothing is registered under that name; LARDER_EINVAL
///
/// Blocks: never. Threads: any, also inside a function of a plug-in. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_unregister(name: *const c_char, err: *mut *mut larder_error) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a NUL-terminated text.
        let name = unsafe { self::name(name, "name") }?;
        Ok(if change(|plugins| plugins.remove(name)) { LARDER_OK } else { LARDER_MISS })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, || body().map_err(|error: Error| error.during("unregister"))) }
}

#[cfg(test)]
impl Plugin {
    /// One that nobody has registered.
    pub(super) fn nobody_s(noun: &'static str) -> Self {
        Self { noun, name: "shop.Test".into(), user_data: std::ptr::null_mut(), free: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_dots_and_are_nobody_else_s() {
        for name in ["shop.Keys", "a.b.c", "grüße.Ä", "djangoish.x"] {
            assert!(dotted_name(name).is_ok(), "{name}");
        }
        let long = format!("a.{}", "b".repeat(LONGEST_NAME));
        for name in ["", "shop", ".", "a.", ".a", "a..b", "a. b", "a.b\n", "larder.as_is", "django_redis.x", &long] {
            assert!(dotted_name(name).is_err(), "{name:?}");
        }
    }
}
