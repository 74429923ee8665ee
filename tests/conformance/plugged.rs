//! The backend of tests/c/backend_table.c: built, loaded and registered, as a program would do it.
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::path::Path;
use std::process::Command;
use std::ptr::null_mut;

use larder::capi::custom::{larder_backend_table, larder_register_backend};
use larder::capi::plugin::larder_unregister;
use larder::capi::sink::{larder_sink, larder_sink_write, larder_sink_write_key};
use larder::capi::status::{LARDER_OK, larder_status};

/// What CACHES calls it.
pub const WHOLE: &str = "larders_own_tests.Table";
/// And without the functions that may be left out.
pub const LEAST: &str = "larders_own_tests.Least";

type Write = unsafe extern "C" fn(*mut larder_sink, *const c_void, usize) -> larder_status;
type WriteKey = unsafe extern "C" fn(*mut larder_sink, *const std::ffi::c_char, usize) -> larder_status;
type BackendTable = unsafe extern "C" fn(Write, WriteKey, *mut *mut c_void) -> *const larder_backend_table;

/// Registers it in both forms; taken back when dropped.
pub struct Registered(());

impl Registered {
    /// Builds, loads and registers the backend.
    pub fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let object = std::env::temp_dir().join(format!("larder-backend-table-{}.so", std::process::id()));
        let mut command = Command::new("cc");
        command.args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]);
        command.args(["-fPIC", "-shared", "-I"]).arg(root.join("include"));
        command.arg(root.join("tests/c/backend_table.c")).arg("-o").arg(&object);
        let done = command.output().expect("this test needs the program cc");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let path = CString::new(object.to_str().unwrap()).unwrap();
        // SAFETY: the object was just made; it stays loaded, and its one function is what the source says.
        unsafe {
            let loaded = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            assert!(!loaded.is_null(), "the object cannot be loaded");
            let function = libc::dlsym(loaded, c"backend_table".as_ptr());
            assert!(!function.is_null(), "the object has no backend_table");
            let backend_table = std::mem::transmute::<*mut c_void, BackendTable>(function);
            for name in [WHOLE, LEAST] {
                let mut user_data = null_mut();
                let whole = backend_table(larder_sink_write, larder_sink_write_key, &raw mut user_data);
                assert!(!whole.is_null());
                let table = if name == WHOLE { *whole } else { least(&*whole) };
                let status = larder_register_backend(c(name).as_ptr(), &raw const table, user_data, null_mut());
                assert_eq!(status, LARDER_OK);
            }
        }
        std::fs::remove_file(object).unwrap();
        Self(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        for name in [WHOLE, LEAST] {
            // SAFETY: the name is a text with its end.
            let status = unsafe { larder_unregister(c(name).as_ptr(), null_mut()) };
            if !std::thread::panicking() {
                assert_eq!(status, LARDER_OK);
            }
        }
    }
}

/// The functions that have to be there, and the one that frees.
fn least(whole: &larder_backend_table) -> larder_backend_table {
    let larder_backend_table { struct_size, free_user_data, open, close, get, set, touch, delete_key, .. } = *whole;
    // SAFETY: a table of NULL is one that has no function.
    let none: larder_backend_table = unsafe { std::mem::zeroed() };
    larder_backend_table { struct_size, free_user_data, open, close, get, set, touch, delete_key, ..none }
}

fn c(name: &str) -> CString {
    CString::new(name).unwrap()
}
