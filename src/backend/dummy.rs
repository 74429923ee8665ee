//! Django's DummyCache (contract 1.11): takes everything, keeps nothing.

use super::{Backend, Capability, Change, Counted, Habits, IncrBy, Page, Stored, StoredRef, Touched, When, Written};
use crate::error::Result;
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

/// A cache that stores nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dummy;

impl Backend for Dummy {
    fn supports(&self, capability: Capability) -> bool {
        !matches!(capability, Capability::Keeps | Capability::Lock | Capability::ExpireAt)
    }

    fn habits(&self) -> Habits {
        Habits {
            incr: IncrBy::Server,
            incr_version_keeps_ttl: false,
            none_has_no_version: false,
            counts_seconds: false,
            warns_about_keys: true, // K-6
        }
    }

    fn get(&self, _key: &MadeKey, _budget: Budget) -> Result<Option<Stored>> {
        Ok(None)
    }

    fn set(&self, _key: &MadeKey, _value: StoredRef<'_>, ttl: Ttl, when: When, _budget: Budget) -> Result<Written> {
        Ok(match when {
            When::Present => Written::NotStored, // nothing is ever there
            _ if ttl.is_spent() => Written::NotKept,
            _ => Written::Stored, // add answers True, always
        })
    }

    fn touch(&self, _key: &MadeKey, _ttl: Ttl, _budget: Budget) -> Result<Touched> {
        Ok(Touched::Missing)
    }

    fn delete(&self, _key: &MadeKey, _budget: Budget) -> Result<bool> {
        Ok(false)
    }

    fn has(&self, _key: &MadeKey, _budget: Budget) -> Result<bool> {
        Ok(false)
    }

    fn ttl(&self, _key: &MadeKey, _budget: Budget) -> Result<Option<Ttl>> {
        Ok(None)
    }

    fn incr(&self, _key: &MadeKey, _delta: i64, _budget: Budget) -> Result<Counted> {
        Ok(Counted::Missing)
    }

    fn update(&self, _key: &MadeKey, _change: Change<'_>, _budget: Budget) -> Result<bool> {
        Ok(false)
    }

    fn scan(&self, _pattern: &[u8], _at: u64, _budget: Budget) -> Result<Page> {
        Ok(Page::default())
    }

    fn clear(&self, _prefix: Option<&[u8]>, _budget: Budget) -> Result<()> {
        Ok(())
    }

    fn ping(&self, _budget: Budget) -> Result<()> {
        Ok(())
    }
}
