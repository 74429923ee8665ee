//! The boundary: panics stop here, failures become statuses and error objects.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::error::larder_error;
use super::status::{LARDER_EPANIC, LARDER_IGNORED, larder_status, of};
use crate::error::{Error, Kind, Result};

/// Runs the body of an exported function: what it answers, or the status of its failure, which is then handed out
/// through `err`.
///
/// # Safety
/// `err` is NULL or can be written.
pub unsafe fn guard(err: *mut *mut larder_error, body: impl FnOnce() -> Result<larder_status>) -> larder_status {
    match quietly(body) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) if error.is_hidden() => LARDER_IGNORED, // DR-15
        Ok(Err(error)) => {
            let status = of(error.kind());
            // SAFETY: by this function's own contract.
            unsafe { larder_error::hand_out(&error, err) };
            status
        }
        Err(Panicked) => {
            let error = Error::new(Kind::Panic, "a panic was caught inside larder; please report it");
            // SAFETY: as above.
            unsafe { larder_error::hand_out(&error, err) };
            LARDER_EPANIC
        }
    }
}

/// A panic was caught.
pub struct Panicked;

/// Runs `body` behind the boundary; a panic in it prints nothing and ends here.
pub fn quietly<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Panicked> {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _reset = Reset(INSIDE.replace(true));
    caught(body)
}

/// As [`quietly`], where that or a thread of larder's is around it already: for one of many steps.
pub fn caught<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        // a payload whose own drop panics must not get out either
        let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        Panicked
    })
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics inside larder from being printed, from now on and only those.
pub fn be_silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let outside = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let ours = thread.name().is_some_and(|name| name.starts_with("larder"));
            if !INSIDE.get() && !ours {
                outside(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_an_error() {
        let mut err = std::ptr::null_mut();
        // SAFETY: `err` is a local that can be written.
        let status = unsafe { guard(&raw mut err, || panic!("inside")) };
        assert_eq!(status, LARDER_EPANIC);
        // SAFETY: the error was just handed out.
        assert_eq!(unsafe { super::super::error::larder_error_status(err) }, LARDER_EPANIC);
        // SAFETY: released once.
        unsafe { super::super::error::larder_error_release(err) };
    }

    #[test]
    fn a_hidden_failure_is_ignored_without_an_error() {
        let mut err = std::ptr::null_mut();
        // SAFETY: `err` is a local that can be written.
        let status = unsafe { guard(&raw mut err, || Err(Error::new(Kind::Connection, "refused").hidden())) };
        assert_eq!((status, err.is_null()), (LARDER_IGNORED, true));
    }
}
