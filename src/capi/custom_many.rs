//! Several keys in one call of a backend of the program's own. `None` where its table has no such function.

use std::ffi::{c_char, c_void};

use super::call_out::{Output, pointer};
use super::custom_backend::{Instance, maybe_done, parts, ttl_ms};
use super::status::{LARDER_MISS, LARDER_NOT_KEPT, LARDER_OK, larder_status};
use crate::backend::{Entry, Stored};
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

fn split(keys: impl Iterator<Item = (*const c_char, usize)>) -> (Vec<*const c_char>, Vec<usize>) {
    keys.unzip()
}

impl Instance {
    pub(super) fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Option<Result<Vec<Option<Stored>>>> {
        let get_many = self.functions().get_many?;
        let (data, lens) = split(keys.iter().map(parts));
        let mut statuses: Vec<larder_status> = vec![LARDER_MISS; keys.len()];
        let outputs: Vec<Output> = keys.iter().map(|_| self.value()).collect();
        let place = statuses.as_mut_ptr();
        let called = self.call(budget, outputs, |call, own, left| {
            let sinks: Vec<_> = (0..keys.len()).map(|index| call.sink(index)).collect();
            // SAFETY: the host's own function, with its instance, and arrays of so many keys, sinks and places.
            unsafe { get_many(own, data.as_ptr(), lens.as_ptr(), keys.len(), left, sinks.as_ptr(), place) }
        });
        Some(called.and_then(|(status, outputs)| {
            if status != LARDER_OK {
                return self.strange("get_many", status);
            }
            let value = |(status, output): (larder_status, Output)| match status {
                LARDER_OK => Ok(Some(Stored::from(output.bytes))),
                LARDER_MISS => Ok(None),
                failed if failed < 0 => Err(self.failed(failed)),
                other => self.strange("get_many", other),
            };
            statuses.into_iter().zip(outputs).map(value).collect()
        }))
    }

    pub(super) fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Option<Result<Vec<Option<Error>>>> {
        let set_many = self.functions().set_many?;
        let (data, lens) = split(entries.iter().map(|entry| parts(&entry.key)));
        let values: Vec<*const c_void> = entries.iter().map(|entry| pointer(&entry.value.bytes)).collect();
        let value_lens: Vec<usize> = entries.iter().map(|entry| entry.value.bytes.len()).collect();
        let mut statuses: Vec<larder_status> = vec![LARDER_OK; entries.len()];
        let (place, n, ttl) = (statuses.as_mut_ptr(), entries.len(), ttl_ms(ttl));
        // SAFETY: as above, with so many values.
        let call = |own, left| unsafe {
            set_many(own, data.as_ptr(), lens.as_ptr(), values.as_ptr(), value_lens.as_ptr(), n, ttl, left, place)
        };
        Some(self.change(budget, call).and_then(|status| {
            if status != LARDER_OK {
                return self.strange("set_many", status);
            }
            let failure = |status: larder_status| match status {
                LARDER_OK | LARDER_NOT_KEPT => None,
                failed if failed < 0 => Some(maybe_done(self.failed(failed))),
                other => self.strange::<()>("set_many", other).err(), // of this key alone
            };
            Ok(statuses.into_iter().map(failure).collect())
        }))
    }

    pub(super) fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Option<Result<u64>> {
        let delete_many = self.functions().delete_many?;
        let (data, lens) = split(keys.iter().map(parts));
        let mut removed = 0;
        let place = &raw mut removed;
        // SAFETY: as above, and a local that can be written.
        let call = |own, left| unsafe { delete_many(own, data.as_ptr(), lens.as_ptr(), keys.len(), left, place) };
        Some(self.change(budget, call).and_then(|status| {
            if status == LARDER_OK { Ok(removed.min(keys.len() as u64)) } else { self.strange("delete_many", status) }
        }))
    }
}
