//! Which keys are refused: those that Django refuses for memcached, and those that its clients do.

use crate::config::Memcached;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;

/// The longest key: characters where Django counts (K-5), bytes where the clients do (K-8).
const LONGEST: usize = 250;

/// Refuses what cannot be a key of memcached's. Messages never show the key.
pub(super) fn check(config: &Memcached, key: &MadeKey) -> Result<()> {
    let bytes = key.as_bytes();
    let length = bytes.len() + config.key_prefix.len();
    // one pass over what nearly every key is
    if length <= LONGEST && !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    if bytes.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(refused("the key has a blank or a control character, which memcached does not take")); // K-7
    }
    // K-7: in code points
    let characters = bytes.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count();
    if characters > LONGEST {
        return Err(refused(&format!(
            "the key has {characters} characters with its prefix and version, and memcached takes {LONGEST}"
        )));
    }
    if length > LONGEST {
        return Err(refused(&format!(
            "the key has {length} bytes with its prefix and version, and memcached takes {LONGEST}"
        ))); // K-8
    }
    if config.ascii_keys && !bytes.is_ascii() {
        return Err(refused("the key has a character beyond ASCII, and allow_unicode_keys is false"));
    }
    if length == 0 {
        return Err(refused("the key is empty, which memcached does not take"));
    }
    Ok(())
}

fn refused(reason: &str) -> Error {
    Error::new(Kind::Invalid, reason)
}
