//! What requests touch, and about how large they are.

use super::recent::{LARGE_VALUE, Recent};
use crate::backend::Request;
use crate::backend::fence::{Scope, number};
use crate::key::MadeKey;

/// What a request touches.
pub(super) fn scope(request: &Request<'_>) -> Scope {
    match *request {
        Request::Get(key)
        | Request::Fetch(key)
        | Request::Set { key, .. }
        | Request::Touch(key, _)
        | Request::Persist(key)
        | Request::Ttl(key)
        | Request::Delete(key)
        | Request::Has(key)
        | Request::Incr(key, _)
        | Request::ExpireAt(key, _)
        | Request::Lock { key, .. } => Scope::of([number(key.as_bytes())]),
        Request::GetMany(keys) | Request::FetchMany(keys) | Request::DeleteMany(keys) => Scope::of(numbers(keys)),
        Request::SetMany(entries, _) => Scope::of(entries.iter().map(|entry| number(entry.key.as_bytes()))),
        Request::Scan(..) | Request::Clear(_) => Scope::Everything,
        Request::PurgeExpired | Request::Ping => Scope::Nothing,
    }
}

/// The numbers of some keys.
fn numbers(keys: &[MadeKey]) -> impl Iterator<Item = u64> {
    keys.iter().map(|key| number(key.as_bytes()))
}

/// Whether a request carries, or is known to ask for, so much that small ones should not have to wait behind it.
pub(super) fn is_large(request: &Request<'_>, scope: &Scope, recent: &Recent) -> bool {
    match (request, scope) {
        (Request::Set { value, .. }, Scope::Keys(keys)) => {
            keys.iter().for_each(|key| recent.saw(*key, value.bytes.len()));
            value.bytes.len() > LARGE_VALUE
        }
        (Request::SetMany(..), _) => request.value_bytes() > LARGE_VALUE,
        (Request::Get(_) | Request::GetMany(_) | Request::Fetch(_) | Request::FetchMany(_), Scope::Keys(keys)) => {
            keys.iter().any(|key| recent.is_large(*key))
        }
        _ => false,
    }
}

/// What the commands around a key or a value take at most.
const AROUND: usize = 96;
/// The script of an increment and what is around it.
const SCRIPT: usize = 256;

/// The longest script for a lock and what is around it.
const LOCK_SCRIPT: usize = 640;

/// About how many bytes a request takes on the wire, and rather too many.
pub(super) fn size(request: &Request<'_>) -> usize {
    let of = |key: &MadeKey| key.as_bytes().len() + AROUND;
    match *request {
        Request::Get(key)
        | Request::Touch(key, _)
        | Request::Persist(key)
        | Request::Ttl(key)
        | Request::Delete(key)
        | Request::Has(key) => of(key),
        Request::Incr(key, _) => of(key) + SCRIPT,
        Request::ExpireAt(key, _) | Request::Fetch(key) => 2 * of(key),
        Request::Lock { key, token, .. } => of(key) + token.len() + LOCK_SCRIPT,
        Request::Set { key, value, .. } => of(key) + value.bytes.len() + AROUND,
        Request::GetMany(keys) | Request::DeleteMany(keys) => keys.iter().map(of).sum(),
        Request::FetchMany(keys) => keys.iter().map(|key| 2 * of(key)).sum(),
        // core redis names each key twice
        Request::SetMany(entries, _) => entries.iter().map(|entry| 2 * of(&entry.key) + entry.value.bytes.len()).sum(),
        Request::Scan(text, _) => text.len() + AROUND,
        Request::Clear(_) | Request::PurgeExpired | Request::Ping => AROUND,
    }
}
