//! Values as the C API hands them out: shown, and given back.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::null;

use larder::capi::error::larder_error;
use larder::capi::status::{LARDER_LOSSY, LARDER_OK, larder_status};
use larder::capi::value::{
    larder_value, larder_value_bytes, larder_value_double, larder_value_json, larder_value_kind, larder_value_release,
    larder_value_stored, larder_value_text,
};

use super::client::{Answer, ask, name};

/// What an accessor shows, and whether that lost something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<T> {
    pub shown: T,
    pub lossy: bool,
}

/// A value; released when dropped.
pub struct Value(*mut larder_value);

// SAFETY: a value may be read by any thread, says the header.
unsafe impl Send for Value {}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the value is ours.
        unsafe { larder_value_release(self.0) };
    }
}

// SAFETY of all calls below: the value is ours, what is shown is copied while it lives.
impl Value {
    pub(super) fn taken(value: *mut larder_value) -> Option<Self> {
        (!value.is_null()).then_some(Self(value))
    }

    /// `LARDER_KIND_…`, or a negative status.
    pub fn kind(&self) -> i32 {
        unsafe { larder_value_kind(self.0) }
    }

    pub fn json(&self) -> Answer<Shown<String>> {
        let shown = show(|data, len, err| unsafe { larder_value_json(self.0, data.cast(), len, err) })?;
        Ok(Shown { shown: String::from_utf8(shown.shown).unwrap(), lossy: shown.lossy })
    }

    pub fn text(&self) -> Answer<Shown<String>> {
        let shown = show(|data, len, err| unsafe { larder_value_text(self.0, data.cast(), len, err) })?;
        Ok(Shown { shown: String::from_utf8(shown.shown).unwrap(), lossy: shown.lossy })
    }

    pub fn bytes(&self) -> Answer<Shown<Vec<u8>>> {
        show(|data, len, err| unsafe { larder_value_bytes(self.0, data, len, err) })
    }

    pub fn double(&self) -> Answer<Shown<f64>> {
        let mut number = 0.0;
        let status = ask(|err| unsafe { larder_value_double(self.0, &raw mut number, err) })?;
        Ok(Shown { shown: number, lossy: lossy(status) })
    }

    /// The serialised bytes.
    pub fn stored(&self) -> Vec<u8> {
        let stored = show(|data, len, err| unsafe { larder_value_stored(self.0, data, len, err) }).unwrap();
        assert!(!stored.lossy);
        stored.shown
    }
}

fn show(
    call: impl FnOnce(*mut *const c_void, *mut usize, *mut *mut larder_error) -> larder_status,
) -> Answer<Shown<Vec<u8>>> {
    let (mut data, mut len) = (null(), 0);
    let status = ask(|err| call(&raw mut data, &raw mut len, err))?;
    assert!(!data.is_null());
    // SAFETY: as long as the value, which the caller has, lives what is shown.
    let shown = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec();
    Ok(Shown { shown, lossy: lossy(status) })
}

fn lossy(status: larder_status) -> bool {
    match status {
        LARDER_OK => false,
        LARDER_LOSSY => true,
        other => panic!("an accessor answered {}", name(other)),
    }
}
