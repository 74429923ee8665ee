//! Locks as redis-py's `Lock` keeps them (DR-27): a key that holds its owner's token. Each action is one script, so that
//! nothing comes in between.

use super::command::Life;
use super::fault::{answered, too_long};
use super::resp::{Digits, Frame, command};
use crate::backend::LockAction;
use crate::backend::net::{Next, Reading, unexpected};
use crate::config::Flavor;
use crate::error::Result;
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// SET NX [PX]. Asked again with the same token, because an answer was lost, it finds its own lock and gives it its whole
/// time anew; `pcall`, because another type of value there is just no lock of ours.
const TAKE: &str = "local life, set = ARGV[2], {'SET', KEYS[1], ARGV[1], 'NX'} \
    if life ~= '' then set[5] = 'PX' set[6] = life end \
    if redis.call(unpack(set)) then return 1 end \
    if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    if life ~= '' then redis.call('PEXPIRE', KEYS[1], life) end \
    return 1";

/// DEL of what holds the token.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])";

/// PEXPIRE by so much more than what is left. What never expires stays as it is, as with redis-py's `extend`.
const ADD: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    local left = redis.call('PTTL', KEYS[1]) \
    if left < 0 then return 0 end \
    return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left + tonumber(ARGV[2])))";

/// PEXPIRE from now on, as redis-py's `reacquire`.
const REPLACE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// Waits for the answer to an action.
pub(super) struct Acting;

/// EVAL of an action.
pub(super) fn act(out: &mut Vec<u8>, key: &MadeKey, token: &[u8], action: LockAction) -> Result<Acting> {
    let life = match action {
        LockAction::Take(Ttl::Forever) | LockAction::Release => None,
        LockAction::Take(ttl) => Some(millis(ttl)?),
        LockAction::Extend { millis: added, .. } => Some(millis(Ttl::Millis(added))?),
    };
    let script = match action {
        LockAction::Take(_) => TAKE,
        LockAction::Release => RELEASE,
        LockAction::Extend { replace: false, .. } => ADD,
        LockAction::Extend { replace: true, .. } => REPLACE,
    };
    let life = life.as_ref().map_or(&b""[..], Digits::as_bytes);
    command(out, &[b"EVAL", script.as_bytes(), b"1", key.as_bytes(), token, life]);
    Ok(Acting)
}

/// Milliseconds whatever the flavour is: redis-py knows nothing of Django.
fn millis(ttl: Ttl) -> Result<Digits> {
    match Life::of(Flavor::DjangoRedis, ttl)? {
        Life::Limited(_, digits) | Life::Spent(digits) => Ok(digits),
        Life::Forever => Err(too_long()),
    }
}

impl Reading for Acting {
    type Frame = Frame;
    type Answer = bool;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        Next::Done(match frame {
            Frame::Int(done @ (0 | 1)) => Ok(done == 1),
            Frame::Error(text) => Err(answered(&text)),
            _ => return Next::Broken(unexpected()),
        })
    }
}
