//! Expiry at a moment (DR-23).

use super::fault::{answered, too_long};
use super::resp::{Digits, Frame, command};
use crate::backend::Touched;
use crate::backend::net::{Next, Reading, unexpected};
use crate::error::Result;
use crate::key::MadeKey;

/// Beyond this Redis can overflow when it calculates.
const LATEST: i64 = i64::MAX / 2;

/// Waits for the replies to PEXPIREAT and EXISTS.
pub(super) enum Expiring {
    /// For the first one.
    Moment,
    /// For the second one; whether there was a key.
    Rest(Result<bool>),
}

/// PEXPIREAT, and EXISTS right behind it: only the server's clock tells whether the moment is past, and the key gone.
pub(super) fn expire_at(out: &mut Vec<u8>, key: &MadeKey, at_ms: i64) -> Result<Expiring> {
    if at_ms > LATEST {
        return Err(too_long());
    }
    // before 1970 or long ago: gone is gone
    command(out, &[b"PEXPIREAT", key.as_bytes(), Digits::of(at_ms.max(0)).as_bytes()]);
    command(out, &[b"EXISTS", key.as_bytes()]);
    Ok(Expiring::Moment)
}

impl Reading for Expiring {
    type Frame = Frame;
    type Answer = Touched;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        Next::Done(match (self, frame) {
            (Self::Moment, Frame::Int(found @ (0 | 1))) => return Next::More(Self::Rest(Ok(found == 1))),
            (Self::Moment, Frame::Error(text)) => return Next::More(Self::Rest(Err(answered(&text)))),
            (Self::Rest(Err(error)), _) => Err(error),
            (Self::Rest(Ok(_)), Frame::Error(text)) => Err(answered(&text)),
            (Self::Rest(Ok(false)), Frame::Int(0..)) => Ok(Touched::Missing),
            (Self::Rest(Ok(true)), Frame::Int(0)) => Ok(Touched::NotKept),
            (Self::Rest(Ok(true)), Frame::Int(1..)) => Ok(Touched::Changed),
            _ => return Next::Broken(unexpected()),
        })
    }
}
