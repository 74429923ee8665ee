//! Statuses: what every function answers.

use crate::error::Kind;

/// What a function answers: 0 is done, more is a normal outcome that is not an error, less is a failure. An unknown
/// negative number is a failure too.
pub type larder_status = i32;

/// Done.
pub const LARDER_OK: larder_status = 0;
/// There is no such key, or it has expired.
pub const LARDER_MISS: larder_status = 1;
/// Not written: the condition (add, NX, XX) did not hold. On django-redis also: a time to live of zero or less, over a
/// key that was not there, where Django answers False. A lock: somebody else holds it.
pub const LARDER_NOT_STORED: larder_status = 2;
/// Nothing (more) to hand out.
pub const LARDER_EMPTY: larder_status = 3;
/// The buffer is too small; the needed size is told, and nothing is lost.
pub const LARDER_TRUNCATED: larder_status = 4;
/// Skipped by policy: no store of the pipeline keeps this endpoint (a time to live of 0 in its EXPIRATIONS). The `incr` of a
/// plug-in's backend may answer it too, to larder.
pub const LARDER_SKIPPED: larder_status = 5;
/// An old value while a new one is being loaded.
pub const LARDER_STALE: larder_status = 6;
/// Done, but nothing is kept: the time to live is zero or less, or rounds to nothing on this backend (core redis and
/// memcached count whole seconds). A key that was there is gone.
pub const LARDER_NOT_KEPT: larder_status = 7;
/// It failed, and IGNORE_EXCEPTIONS or ignore_exc of the alias hides that: treat it as a miss. The failure was logged.
pub const LARDER_IGNORED: larder_status = 8;
/// Done, but what is shown has lost something of the Python value; setting it again would store another value.
pub const LARDER_LOSSY: larder_status = 9;

/// The configuration is wrong, or names what is not built in.
pub const LARDER_ECONFIG: larder_status = -1;
/// An argument is wrong: NULL where something is needed, an unknown number, text that is not UTF-8.
pub const LARDER_EINVAL: larder_status = -2;
/// A handle is NULL, closed, stale, or of another kind.
pub const LARDER_EHANDLE: larder_status = -3;
/// The backend of this store cannot do this; `larder_store_supports` tells beforehand.
pub const LARDER_EUNSUPPORTED: larder_status = -4;
/// The stored value is of a type that this does not work on.
pub const LARDER_ETYPE: larder_status = -5;
/// The stored bytes cannot be decoded. Nothing of them was executed.
pub const LARDER_EUNDECODABLE: larder_status = -6;
/// Larger than a limit.
pub const LARDER_ETOOBIG: larder_status = -7;
/// The operating system refused a local operation.
pub const LARDER_EIO: larder_status = -8;
/// The server could not be reached, or the connection broke.
pub const LARDER_ECONNECTION: larder_status = -9;
/// The deadline passed. A write may have been carried out all the same; the message says so.
pub const LARDER_ETIMEOUT: larder_status = -10;
/// The server answered with an error.
pub const LARDER_ESERVER: larder_status = -11;
/// Memory or a thread could not be had.
pub const LARDER_EMEMORY: larder_status = -12;
/// Too many operations are under way.
pub const LARDER_EBUSY: larder_status = -13;
/// The call would wait for itself.
pub const LARDER_EDEADLOCK: larder_status = -14;
/// A queue, a cursor or an operation belongs to the parent process. Closing it in the child is harmless.
pub const LARDER_EFORKED: larder_status = -15;
/// The context is shut down.
pub const LARDER_ESHUTDOWN: larder_status = -16;
/// The operation was cancelled. A write may have been carried out all the same.
pub const LARDER_ECANCELLED: larder_status = -17;
/// A panic was caught: a bug in larder. Nothing crossed into the host.
pub const LARDER_EPANIC: larder_status = -18;

/// The status that tells of a kind of failure.
pub fn of(kind: Kind) -> larder_status {
    match kind {
        Kind::Config => LARDER_ECONFIG,
        Kind::Invalid => LARDER_EINVAL,
        Kind::Handle => LARDER_EHANDLE,
        Kind::Unsupported => LARDER_EUNSUPPORTED,
        Kind::Type => LARDER_ETYPE,
        Kind::Undecodable => LARDER_EUNDECODABLE,
        Kind::TooBig => LARDER_ETOOBIG,
        Kind::Io => LARDER_EIO,
        Kind::Connection => LARDER_ECONNECTION,
        Kind::Timeout => LARDER_ETIMEOUT,
        Kind::Server => LARDER_ESERVER,
        Kind::Memory => LARDER_EMEMORY,
        Kind::Busy => LARDER_EBUSY,
        Kind::Deadlock => LARDER_EDEADLOCK,
        Kind::Forked => LARDER_EFORKED,
        Kind::Shutdown => LARDER_ESHUTDOWN,
        Kind::Cancelled => LARDER_ECANCELLED,
        Kind::Panic => LARDER_EPANIC,
    }
}

/// The name of a status, with its end for C.
pub fn name(status: larder_status) -> &'static std::ffi::CStr {
    match status {
        LARDER_OK => c"LARDER_OK",
        LARDER_MISS => c"LARDER_MISS",
        LARDER_NOT_STORED => c"LARDER_NOT_STORED",
        LARDER_EMPTY => c"LARDER_EMPTY",
        LARDER_TRUNCATED => c"LARDER_TRUNCATED",
        LARDER_SKIPPED => c"LARDER_SKIPPED",
        LARDER_STALE => c"LARDER_STALE",
        LARDER_NOT_KEPT => c"LARDER_NOT_KEPT",
        LARDER_IGNORED => c"LARDER_IGNORED",
        LARDER_LOSSY => c"LARDER_LOSSY",
        LARDER_ECONFIG => c"LARDER_ECONFIG",
        LARDER_EINVAL => c"LARDER_EINVAL",
        LARDER_EHANDLE => c"LARDER_EHANDLE",
        LARDER_EUNSUPPORTED => c"LARDER_EUNSUPPORTED",
        LARDER_ETYPE => c"LARDER_ETYPE",
        LARDER_EUNDECODABLE => c"LARDER_EUNDECODABLE",
        LARDER_ETOOBIG => c"LARDER_ETOOBIG",
        LARDER_EIO => c"LARDER_EIO",
        LARDER_ECONNECTION => c"LARDER_ECONNECTION",
        LARDER_ETIMEOUT => c"LARDER_ETIMEOUT",
        LARDER_ESERVER => c"LARDER_ESERVER",
        LARDER_EMEMORY => c"LARDER_EMEMORY",
        LARDER_EBUSY => c"LARDER_EBUSY",
        LARDER_EDEADLOCK => c"LARDER_EDEADLOCK",
        LARDER_EFORKED => c"LARDER_EFORKED",
        LARDER_ESHUTDOWN => c"LARDER_ESHUTDOWN",
        LARDER_ECANCELLED => c"LARDER_ECANCELLED",
        LARDER_EPANIC => c"LARDER_EPANIC",
        _ => c"unknown status",
    }
}

/// The name of a status, such as "LARDER_MISS".
///
/// @param status any number
/// @return a text with static lifetime; "unknown status" for a number that is none
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_status_name(status: larder_status) -> *const std::ffi::c_char {
    name(status).as_ptr()
}

/// The version of this library, such as "0.1.0".
///
/// @return a text with static lifetime
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_version() -> *const std::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
