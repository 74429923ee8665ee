//! What a host hands in: checked here, before anything else sees it.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::time::Duration;

use crate::backend::When;
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::store::Call;
use crate::timeout::{Budget, Ttl, TtlChoice};

/// `ttl_ms`: the alias's TIMEOUT.
pub const LARDER_TTL_DEFAULT: i64 = i64::MIN;
/// `ttl_ms`: never expires.
pub const LARDER_TTL_FOREVER: i64 = i64::MAX;

/// `format`: Python `bytes`.
pub const LARDER_BYTES: i32 = 1;
/// `format`: UTF-8 text, becomes Python `str`.
pub const LARDER_TEXT: i32 = 2;
/// `format`: JSON text, becomes dict, list, str, int, float, bool or None.
pub const LARDER_JSON: i32 = 3;
/// `format`: bytes that the caller has serialised already; stored as they are. With memcached and diskcache,
/// which keep beside each value what it is, they are stored as a pickle.
pub const LARDER_STORED: i32 = 4;

/// `flags` of a `larder_call`: the key is final, as the server has it; no prefix and no version are added.
pub const LARDER_CALL_FINAL_KEY: u32 = 1;
/// `flags` of a `larder_call` for a set: only where there is no such key.
pub const LARDER_CALL_NX: u32 = 2;
/// `flags` of a `larder_call` for a set: only over a key that is there.
pub const LARDER_CALL_XX: u32 = 4;
/// `flags` of a `larder_pipeline_call`, or of a request: only the stores are asked, nothing is loaded.
pub const LARDER_CALL_NO_LOAD: u32 = 8;
/// `flags` of a request for larder_submit: whoever polls the queue is the loader. What no store has becomes an event
/// LARDER_EVENT_LOAD with the tag of the request, to be answered with larder_load_done. Such events do not count
/// against the queue's capacity.
pub const LARDER_CALL_LOAD_EVENT: u32 = 16;

/// The size of `larder_call` in larder 0.1: programs that were built then still bring it.
const FIRST_SIZE: usize = 32;

/// The longest key, version or pattern in bytes.
pub(crate) const LONGEST_KEY: usize = 16 << 20;

/// The largest struct that a host of the future may bring.
pub(crate) const LARGEST_STRUCT: usize = 4096;

const ALL_FLAGS: u32 = LARDER_CALL_FINAL_KEY | LARDER_CALL_NX | LARDER_CALL_XX;

/// What one call asks for besides its arguments. Start from `LARDER_CALL_INIT`; NULL in place of a call means the
/// alias's own settings.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_call {
    /// `sizeof(larder_call)`; the struct only grows at its end.
    pub struct_size: u32,
    /// `LARDER_CALL_…`, or 0.
    pub flags: u32,
    /// The total time that the call may take, in ms: waiting, connecting, trying again. 0: the alias's own.
    pub timeout_ms: i64,
    /// The version of the key as UTF-8 text, such as "2"; NULL: the alias's own.
    pub version: *const c_char,
    /// The length of `version` in bytes.
    pub version_len: usize,
}

/// A host's bytes; NULL with length 0 is an empty byte string.
///
/// # Safety
/// `data` is NULL or has `len` bytes that stay as they are while the borrow lasts.
pub unsafe fn bytes<'a>(data: *const c_void, len: usize, what: &str) -> Result<&'a [u8]> {
    if data.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(invalid(format!("{what} is NULL with a length of {len}"))) };
    }
    if isize::try_from(len).is_err() {
        return Err(invalid(format!("{what} has an impossible length")));
    }
    // SAFETY: by this function's own contract; the length was checked.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// A host's UTF-8 text with a length.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn text<'a>(data: *const c_char, len: usize, what: &str) -> Result<&'a str> {
    // SAFETY: by this function's own contract.
    let bytes = unsafe { bytes(data.cast(), len, what) }?;
    if is_short_ascii(bytes) {
        // SAFETY: ASCII is UTF-8. Most keys are short and ASCII, for which this look is much quicker.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).map_err(|error| invalid(format!("{what} is not UTF-8: {error}")))
}

/// Whether it is ASCII; a long text is not looked at.
fn is_short_ascii(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let high = words.iter().fold(0, |high, word| high | u64::from_ne_bytes(*word)) & 0x8080_8080_8080_8080;
    bytes.len() <= 256 && high == 0 && rest.iter().fold(0, |high, byte| high | byte) < 0x80
}

/// A host's key, version or pattern.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn key<'a>(data: *const c_char, len: usize, what: &str) -> Result<&'a str> {
    if len > LONGEST_KEY && isize::try_from(len).is_ok() {
        return Err(Error::new(Kind::TooBig, format!("{what} has {len} bytes; {LONGEST_KEY} are the most")));
    }
    // SAFETY: by this function's own contract.
    unsafe { text(data, len, what) }
}

/// A host's struct that tells its size in its first 32 bits: what an older program does not bring is zero, what a newer
/// one brings beyond what is known here must be zero. `None` for NULL.
///
/// # Safety
/// `given` is NULL or has the size that it tells; `T` may be all zero, and begins with that size.
pub unsafe fn sized<T: Copy>(given: *const T, first_size: usize, what: &str) -> Result<Option<T>> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: by this function's own contract there is at least the size.
    let size = unsafe { given.cast::<u32>().read() } as usize;
    if !(first_size..=LARGEST_STRUCT).contains(&size) {
        return Err(invalid(format!("struct_size of the {what} is {size}; start from its _INIT macro")));
    }
    // SAFETY: the struct has `size` bytes; `T` may be all zero.
    unsafe { known_part(std::slice::from_raw_parts(given.cast::<u8>(), size), what) }.map(Some)
}

/// As [`sized`], of a struct that stands in a buffer, with any alignment.
///
/// # Safety
/// `T` may be all zero, and begins with its size.
pub unsafe fn sized_inside<T: Copy>(buffer: &[u8], at: usize, first_size: usize, what: &str) -> Result<T> {
    let outside = || invalid(format!("the {what} at offset {at} is not inside the buffer"));
    let rest = buffer.get(at..).ok_or_else(outside)?;
    let size = u32::from_ne_bytes(*rest.first_chunk().ok_or_else(outside)?) as usize;
    if !(first_size..=LARGEST_STRUCT).contains(&size) {
        return Err(invalid(format!("struct_size of the {what} is {size}; it must be its sizeof")));
    }
    // SAFETY: by this function's own contract.
    unsafe { known_part(rest.get(..size).ok_or_else(outside)?, what) }
}

/// What is known here of a host's struct.
///
/// # Safety
/// `T` may be all zero.
unsafe fn known_part<T: Copy>(given: &[u8], what: &str) -> Result<T> {
    if given.iter().skip(size_of::<T>()).any(|byte| *byte != 0) {
        return Err(invalid(format!("the {what} asks for something that this version of larder does not know")));
    }
    // SAFETY: by this function's own contract.
    let mut known: T = unsafe { std::mem::zeroed() };
    let size = given.len().min(size_of::<T>());
    // SAFETY: both have the smaller of the two sizes.
    unsafe { std::ptr::copy_nonoverlapping(given.as_ptr(), (&raw mut known).cast(), size) };
    Ok(known)
}

/// A host's array of structs, each `size` bytes apart: what an older program does not bring is zero, what a newer one
/// brings beyond what is known here must be zero.
pub struct Rows<T> {
    first: *const u8,
    size: usize,
    n: usize,
    kind: PhantomData<T>,
}

impl<T: Copy> Rows<T> {
    /// # Safety
    /// `data` is NULL or has `n` structs of `size` bytes that stay as they are; `T` may be all zero.
    pub unsafe fn new(data: *const T, n: usize, size: usize, first_size: usize) -> Result<Self> {
        if !(first_size..=LARGEST_STRUCT).contains(&size) {
            return Err(invalid(format!("request_size is {size}; it must be the sizeof of a request")));
        }
        if data.is_null() && n > 0 {
            return Err(invalid(format!("requests is NULL with a count of {n}")));
        }
        if n > isize::MAX as usize / size {
            return Err(invalid("requests has an impossible count"));
        }
        Ok(Self { first: data.cast(), size, n, kind: PhantomData })
    }

    /// The structs that a buffer begins with; it has to outlive this.
    pub fn inside(buffer: &[u8], n: usize, size: usize, first_size: usize) -> Result<Self> {
        if size.checked_mul(n).is_none_or(|needed| needed > buffer.len()) {
            return Err(invalid(format!("the buffer of {} bytes does not hold {n} requests", buffer.len())));
        }
        // SAFETY: the buffer has them.
        unsafe { Self::new(buffer.as_ptr().cast(), n, size, first_size) }
    }

    /// A struct's copy.
    pub fn get(&self, index: usize) -> Result<T> {
        if index >= self.n {
            return Err(invalid("there is no such request"));
        }
        // SAFETY: by contract of `new` there are `n` structs of `size` bytes.
        let row = unsafe { std::slice::from_raw_parts(self.first.wrapping_add(index * self.size), self.size) };
        if row.iter().skip(size_of::<T>()).any(|byte| *byte != 0) {
            return Err(invalid("the request asks for something that this version of larder does not know"));
        }
        // SAFETY: by contract of `new`.
        let mut known: T = unsafe { std::mem::zeroed() };
        // SAFETY: both have the smaller of the two sizes.
        unsafe {
            std::ptr::copy_nonoverlapping(row.as_ptr(), (&raw mut known).cast(), self.size.min(size_of::<T>()));
        }
        Ok(known)
    }
}

/// A host's NUL-terminated UTF-8 text.
///
/// # Safety
/// `data` is NULL or a NUL-terminated text that stays as it is while the borrow lasts.
pub unsafe fn name<'a>(data: *const c_char, what: &str) -> Result<&'a str> {
    if data.is_null() {
        return Err(invalid(format!("{what} is NULL")));
    }
    // SAFETY: by this function's own contract.
    let text = unsafe { CStr::from_ptr(data) };
    text.to_str().map_err(|error| invalid(format!("{what} is not UTF-8: {error}")))
}

/// The place for something to be handed out.
///
/// # Safety
/// `place` is NULL or can be written while the borrow lasts.
pub unsafe fn out<'a, T>(place: *mut T, what: &str) -> Result<&'a mut T> {
    // SAFETY: by this function's own contract.
    unsafe { place.as_mut() }.ok_or_else(|| invalid(format!("{what} is NULL")))
}

/// An array of `n` places or things; NULL with 0 is empty.
///
/// # Safety
/// `data` is NULL or has `n` elements that nobody else writes while the borrow lasts.
pub unsafe fn array<'a, T>(data: *const T, n: usize, what: &str) -> Result<&'a [T]> {
    if data.is_null() {
        return if n == 0 { Ok(&[]) } else { Err(invalid(format!("{what} is NULL with a count of {n}"))) };
    }
    if n > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(invalid(format!("{what} has an impossible count")));
    }
    // SAFETY: by this function's own contract; the count was checked.
    Ok(unsafe { std::slice::from_raw_parts(data, n) })
}

/// As [`array`], to be written.
///
/// # Safety
/// As [`array`], and the elements can be written.
pub unsafe fn array_mut<'a, T>(data: *mut T, n: usize, what: &str) -> Result<&'a mut [T]> {
    // SAFETY: by this function's own contract.
    unsafe { array(data.cast_const(), n, what) }?;
    if data.is_null() {
        return Ok(&mut []);
    }
    // SAFETY: checked by `array`, and can be written by contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, n) })
}

/// Several texts with their lengths, for example keys.
///
/// # Safety
/// `data` and `lens` have `n` elements each; each text as [`text`].
pub unsafe fn texts<'a>(data: *const *const c_char, lens: *const usize, n: usize) -> Result<Vec<&'a str>> {
    // SAFETY: by this function's own contract.
    let (data, lens) = unsafe { (array(data, n, "keys")?, array(lens, n, "key_lens")?) };
    let mut texts = Vec::new();
    texts.try_reserve_exact(n).map_err(|_| Error::new(Kind::Memory, format!("no memory for {n} keys")))?;
    for (data, len) in data.iter().zip(lens) {
        // SAFETY: by this function's own contract.
        texts.push(unsafe { key(*data, *len, "a key") }?);
    }
    Ok(texts)
}

/// A value to store, by its format.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn input<'a>(data: *const c_void, len: usize, format: i32) -> Result<Input<'a>> {
    // SAFETY: by this function's own contract.
    input_of(unsafe { bytes(data, len, "value") }?, format)
}

/// A value to store, by its format.
pub fn input_of(data: &[u8], format: i32) -> Result<Input<'_>> {
    Ok(match format {
        LARDER_BYTES => Input::Bytes(data),
        LARDER_TEXT => match std::str::from_utf8(data) {
            Ok(text) => Input::Text(text),
            Err(error) => {
                return Err(invalid(format!("the value is not UTF-8 text: {error}; LARDER_BYTES takes any bytes")));
            }
        },
        LARDER_JSON => Input::Json(data),
        LARDER_STORED => Input::Stored(data),
        other => return Err(invalid(format!("{other} is no format; LARDER_BYTES, _TEXT, _JSON and _STORED are"))),
    })
}

/// A time to live in ms.
pub fn ttl(ms: i64) -> TtlChoice {
    match ms {
        LARDER_TTL_DEFAULT => TtlChoice::Default,
        LARDER_TTL_FOREVER => TtlChoice::Of(Ttl::Forever),
        ms => TtlChoice::Of(Ttl::Millis(ms)),
    }
}

/// What a call asks for, and when it may write.
///
/// # Safety
/// `call` is NULL or a `larder_call` of the size that it tells.
pub unsafe fn call<'a>(call: *const larder_call) -> Result<(Call<'a>, When)> {
    // SAFETY: by this function's own contract; all zero are a valid call.
    let Some(call) = (unsafe { sized(call, FIRST_SIZE, "call")? }) else {
        return Ok((Call::default(), When::Always));
    };
    let larder_call { flags, timeout_ms, version, version_len, .. } = call;
    let (budget, when) = wishes(flags, timeout_ms)?;
    let budget = budget.map(Budget::new);
    let version = if version.is_null() {
        None
    } else {
        // SAFETY: by contract the version has its length.
        Some(unsafe { key(version, version_len, "version of the call") }?)
    };
    Ok((Call { version, budget, final_key: flags & LARDER_CALL_FINAL_KEY != 0 }, when))
}

/// What flags and a time ask for.
#[inline]
pub fn wishes(flags: u32, timeout_ms: i64) -> Result<(Option<Duration>, When)> {
    if flags == 0 && timeout_ms == 0 {
        return Ok((None, When::Always));
    }
    if flags & !ALL_FLAGS != 0 {
        return Err(invalid(format!("flags {flags:#x} of the call hold unknown bits")));
    }
    let when = match flags & (LARDER_CALL_NX | LARDER_CALL_XX) {
        0 => When::Always,
        LARDER_CALL_NX => When::Missing,
        LARDER_CALL_XX => When::Present,
        _ => return Err(invalid("NX and XX exclude each other")),
    };
    let negative = |_| invalid(format!("timeout_ms of the call is {timeout_ms}; it cannot be negative"));
    let total = Duration::from_millis(u64::try_from(timeout_ms).map_err(negative)?);
    Ok((Some(total).filter(|total| !total.is_zero()), when))
}

/// When an add writes.
pub fn when_of_add(when: When) -> Result<When> {
    match when {
        When::Present => Err(invalid("add cannot be told to write only over a key that is there")),
        _ => Ok(When::Missing),
    }
}

/// A host's buffer and the place for the length of what is to be copied there.
pub struct Buffer<'a> {
    place: &'a mut [u8],
    needed: Option<&'a mut usize>,
}

impl Buffer<'_> {
    /// The buffer, with a needed length of 0.
    ///
    /// # Safety
    /// `data` is NULL or can be written for `capacity` bytes; `needed` is NULL or can be written; both while the
    /// borrow lasts.
    pub unsafe fn new(data: *mut c_void, capacity: usize, needed: *mut usize) -> Result<Self> {
        // SAFETY: by this function's own contract.
        let mut needed = unsafe { needed.as_mut() };
        if let Some(needed) = &mut needed {
            **needed = 0;
        }
        // SAFETY: by this function's own contract; NULL with a capacity is refused.
        let place = unsafe { array_mut(data.cast::<u8>(), capacity, "buffer")? };
        Ok(Self { place, needed })
    }

    /// Tells the length of `shown` and copies it, if it fits; whether it did.
    pub fn fill(&mut self, shown: &[u8]) -> bool {
        if let Some(needed) = &mut self.needed {
            **needed = shown.len();
        }
        let Some(place) = self.place.get_mut(..shown.len()) else { return false };
        place.copy_from_slice(shown);
        true
    }
}

/// A wrong argument.
pub fn invalid(reason: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, reason)
}
