//! A backend of the program's own, behind larder's trait.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{LARDER_CALL_NX, LARDER_CALL_XX, LARDER_TTL_FOREVER, LONGEST_KEY, invalid};
use super::call_out::{CallOut, Output, inside, pointer};
use super::custom::{
    LARDER_LOCK_EXTEND, LARDER_LOCK_RELEASE, LARDER_LOCK_RENEW, LARDER_LOCK_TAKE, Table, larder_backend_table,
};
use super::status::{LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK, LARDER_SKIPPED, larder_status};
use crate::backend::{
    Backend, Capability, Counted, Entry, Habits, IncrBy, Job, Keys, Lane, LockAction, Page, Request, Spawner, Stored,
    StoredRef, Ticket, Touched, When, Written, glob, unsupported,
};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::sys;
use crate::timeout::{Budget, Ttl};
use crate::value::Limits;

/// The longest time to live that is handed out, in ms: some 285 years of it in ns, and in us far more, can be added to a
/// clock.
const LONGEST_TTL: i64 = i64::MAX / 1_000_000;

/// What `open` has made, until nobody needs it any more.
pub(super) struct Instance {
    table: Arc<Table>,
    handle: *mut c_void,
    limits: Limits,
    generation: u32,
}

// SAFETY: the host promises in the table's contract that its functions may be called on any thread.
unsafe impl Send for Instance {}
// SAFETY: as above, and on several threads at once.
unsafe impl Sync for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.generation != sys::generation() {
            return; // the parent's
        }
        if let Some(close) = self.table.functions.close {
            // SAFETY: the host's own function and instance; this runs once, when nothing uses it any more.
            inside(|| unsafe { close(self.handle) });
        }
    }
}

impl Instance {
    pub(super) fn new(table: Arc<Table>, handle: *mut c_void, limits: Limits) -> Self {
        Self { table, handle, limits, generation: sys::generation() }
    }

    pub(super) fn functions(&self) -> &larder_backend_table {
        &self.table.functions
    }

    /// Calls `function`, which is given the instance and the time that is left, and has `outputs` to write to.
    pub(super) fn call(
        &self,
        budget: Budget,
        outputs: Vec<Output>,
        function: impl FnOnce(&CallOut<'_>, *mut c_void, i64) -> larder_status,
    ) -> Result<(larder_status, Vec<Output>)> {
        let (call, left) = self.begin(budget, outputs)?;
        let status = function(&call, self.handle, left);
        call.end(status, Kind::Server)
    }

    /// A call, and what is left of its time in ms. What fails here has called nobody.
    fn begin(&self, budget: Budget, outputs: Vec<Output>) -> Result<(CallOut<'_>, i64)> {
        let left = budget.start().left().ok_or_else(|| {
            Error::new(Kind::Timeout, format!("the deadline of {} ms passed", budget.total().as_millis()))
        })?;
        let call = CallOut::begin(&self.table.plugin, (&raw const *self).addr(), outputs)?;
        Ok((call, i64::try_from(left.as_millis()).unwrap_or(i64::MAX).max(1)))
    }

    /// The same for what writes nothing but may change something.
    pub(super) fn change(
        &self,
        budget: Budget,
        function: impl FnOnce(*mut c_void, i64) -> larder_status,
    ) -> Result<larder_status> {
        let (call, left) = self.begin(budget, Vec::new())?;
        let status = function(self.handle, left);
        call.end(status, Kind::Server).map(|(status, _)| status).map_err(maybe_done)
    }

    /// A sink for a value.
    pub(super) fn value(&self) -> Output {
        Output::bytes(self.limits.bytes)
    }

    /// The error that a function answered what it may not: who knows what it did.
    pub(super) fn strange<T>(&self, function: &str, status: larder_status) -> Result<T> {
        let error = CallOut::strange(&self.table.plugin, function, status);
        let reads = matches!(function, "get" | "get_many" | "has" | "ttl" | "scan" | "ping");
        Err(if reads { error } else { error.maybe_done() })
    }

    /// The failure that the function told of one of several keys.
    pub(super) fn failed(&self, status: larder_status) -> Error {
        CallOut::failed(&self.table.plugin, status, None, Kind::Server)
    }

    fn found(&self, function: &str, status: larder_status) -> Result<bool> {
        match status {
            LARDER_OK => Ok(true),
            LARDER_MISS => Ok(false),
            other => self.strange(function, other),
        }
    }

    fn touched(&self, function: &str, status: larder_status) -> Result<Touched> {
        match status {
            LARDER_OK => Ok(Touched::Changed),
            LARDER_MISS => Ok(Touched::Missing),
            LARDER_NOT_KEPT => Ok(Touched::NotKept),
            other => self.strange(function, other),
        }
    }
}

/// A failure of what may be carried out all the same.
pub(super) fn maybe_done(error: Error) -> Error {
    if matches!(error.kind(), Kind::Timeout | Kind::Connection) { error.maybe_done() } else { error }
}

/// A key's bytes for C.
pub(super) fn parts(key: &MadeKey) -> (*const c_char, usize) {
    (pointer(key.as_bytes()), key.as_bytes().len())
}

/// A time to live that is not spent.
pub(super) fn ttl_ms(ttl: Ttl) -> i64 {
    match ttl {
        Ttl::Forever => LARDER_TTL_FOREVER,
        Ttl::Millis(ms) => ms.min(LONGEST_TTL),
    }
}

/// A needed function that registering has looked for.
pub(super) fn needed<T>(function: Option<T>) -> Result<T> {
    function.ok_or_else(|| invalid("the backend's table lacks a function"))
}

/// An alias over a backend of the program's own.
#[derive(Clone)]
pub(super) struct Custom {
    pub(super) own: Arc<Instance>,
    lane: Arc<Lane>,
}

impl Custom {
    pub(super) fn new(own: Instance, spawner: Arc<dyn Spawner>) -> Self {
        Self { own: Arc::new(own), lane: Arc::new(Lane::new(spawner)) }
    }

    /// What a set with a spent time to live comes to (T): the key goes, where the condition holds.
    fn set_spent(&self, key: &MadeKey, when: When, budget: Budget) -> Result<Written> {
        let budget = budget.fixed();
        let holds = match when {
            When::Always => true,
            When::Missing => !self.has(key, budget)?,
            When::Present => self.has(key, budget)?,
        };
        if !holds {
            return Ok(Written::NotStored);
        }
        if when != When::Missing {
            self.delete(key, budget)?;
        }
        Ok(Written::NotKept)
    }
}

impl Backend for Custom {
    fn supports(&self, capability: Capability) -> bool {
        let has = self.own.functions();
        match capability {
            Capability::Scan => has.scan.is_some(),
            Capability::ClearPrefix => has.clear_prefix.is_some() || has.scan.is_some(),
            Capability::Ttl => has.ttl.is_some(),
            Capability::Lock => has.lock.is_some(),
            Capability::Persist | Capability::Keeps => true,
            Capability::ExpireAt => false, // the general form does
        }
    }

    fn habits(&self) -> Habits {
        let has = self.own.functions();
        Habits {
            incr: match (has.incr, has.ttl) {
                (None, _) => IncrBy::GetThenSet, // O-3
                (Some(_), None) => IncrBy::Server,
                (Some(_), Some(_)) => IncrBy::ServerElseStore,
            },
            incr_version_keeps_ttl: false, // O-4
            none_has_no_version: false,
            counts_seconds: false,
            warns_about_keys: true, // K-6
        }
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        let get = needed(self.own.functions().get)?;
        let (data, len) = parts(key);
        let outputs = vec![self.own.value()];
        // SAFETY: the host's own function, with its instance, a key of its length, and the sink of this call.
        let called =
            self.own.call(budget, outputs, |call, own, left| unsafe { get(own, data, len, left, call.sink(0)) });
        match called? {
            (LARDER_OK, outputs) => Ok(outputs.into_iter().next().map(|output| Stored::from(output.bytes))),
            (LARDER_MISS, _) => Ok(None),
            (other, _) => self.own.strange("get", other),
        }
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        if ttl.is_spent() {
            return self.set_spent(key, when, budget);
        }
        let set = needed(self.own.functions().set)?;
        let flags = match when {
            When::Always => 0,
            When::Missing => LARDER_CALL_NX,
            When::Present => LARDER_CALL_XX,
        };
        let ((data, len), bytes, ttl) = (parts(key), value.bytes, ttl_ms(ttl));
        // SAFETY: as above, and a value of its length.
        let call = |own, left| unsafe { set(own, data, len, pointer(bytes), bytes.len(), ttl, flags, left) };
        match self.own.change(budget, call)? {
            LARDER_OK => Ok(Written::Stored),
            LARDER_NOT_STORED if when != When::Always => Ok(Written::NotStored),
            LARDER_NOT_KEPT => Ok(Written::NotKept),
            other => self.own.strange("set", other),
        }
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        if ttl.is_spent() {
            return Ok(if self.delete(key, budget)? { Touched::NotKept } else { Touched::Missing });
        }
        let touch = needed(self.own.functions().touch)?;
        let ((data, len), ttl) = (parts(key), ttl_ms(ttl));
        // SAFETY: as above.
        let status = self.own.change(budget, |own, left| unsafe { touch(own, data, len, ttl, left) })?;
        self.own.touched("touch", status)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        let delete = needed(self.own.functions().delete_key)?;
        let (data, len) = parts(key);
        // SAFETY: as above.
        let status = self.own.change(budget, |own, left| unsafe { delete(own, data, len, left) })?;
        self.own.found("delete_key", status)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        let Some(has) = self.own.functions().has else { return Ok(self.get(key, budget)?.is_some()) };
        let (data, len) = parts(key);
        // SAFETY: as above.
        let (status, _) = self.own.call(budget, Vec::new(), |_, own, left| unsafe { has(own, data, len, left) })?;
        self.own.found("has", status)
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        self.own.get_many(keys, budget).unwrap_or_else(|| {
            let budget = budget.fixed();
            keys.iter().map(|key| self.get(key, budget)).collect()
        })
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        if !ttl.is_spent()
            && let Some(done) = self.own.set_many(entries, ttl, budget)
        {
            return done;
        }
        let budget = budget.fixed();
        let set = |entry: &Entry| self.set(&entry.key, entry.value.as_ref(), ttl, When::Always, budget).err();
        Ok(entries.iter().map(set).collect())
    }

    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        self.own.delete_many(keys, budget).unwrap_or_else(|| {
            let budget = budget.fixed();
            keys.iter().try_fold(0, |count, key| Ok(count + u64::from(self.delete(key, budget)?)))
        })
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        let Some(ttl) = self.own.functions().ttl else { return Err(unsupported("telling the time to live")) };
        let ((data, len), mut told) = (parts(key), LARDER_TTL_FOREVER);
        let place = &raw mut told;
        // SAFETY: as above, and a local that can be written.
        let (status, _) =
            self.own.call(budget, Vec::new(), |_, own, left| unsafe { ttl(own, data, len, left, place) })?;
        let found = self.own.found("ttl", status)?;
        Ok(found.then_some(if told == LARDER_TTL_FOREVER { Ttl::Forever } else { Ttl::Millis(told.max(0)) }))
    }

    fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        let Some(persist) = self.own.functions().persist else { return self.touch(key, Ttl::Forever, budget) };
        let (data, len) = parts(key);
        // SAFETY: as above.
        let status = self.own.change(budget, |own, left| unsafe { persist(own, data, len, left) })?;
        self.own.touched("persist", status)
    }

    fn incr(&self, key: &MadeKey, delta: i64, budget: Budget) -> Result<Counted> {
        let Some(incr) = self.own.functions().incr else { return Ok(Counted::ByStore) };
        let ((data, len), mut sum) = (parts(key), 0);
        let place = &raw mut sum;
        // SAFETY: as above, and a local that can be written.
        match self.own.change(budget, |own, left| unsafe { incr(own, data, len, delta, left, place) })? {
            LARDER_OK => Ok(Counted::Now(sum)),
            LARDER_MISS => Ok(Counted::Missing),
            LARDER_SKIPPED => Ok(Counted::ByStore),
            other => self.own.strange("incr", other),
        }
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        let Some(scan) = self.own.functions().scan else { return Err(unsupported("listing keys")) };
        let (outputs, mut next) = (vec![Output::keys(LONGEST_KEY)], 0);
        let place = &raw mut next;
        // SAFETY: as above, with a pattern of its length, and a local that can be written.
        let called = self.own.call(budget, outputs, |call, own, left| unsafe {
            scan(own, pointer(pattern), pattern.len(), at, left, call.sink(0), place)
        });
        match called? {
            (LARDER_OK, outputs) => {
                let keys = outputs.iter().flat_map(Output::split).filter(|key| glob::matches(pattern, key));
                Ok(Page { keys: keys.map(<[u8]>::to_vec).collect(), next: (next != 0).then_some(next) })
            }
            (other, _) => self.own.strange("scan", other),
        }
    }

    fn lock(&self, key: &MadeKey, token: &[u8], action: LockAction, budget: Budget) -> Result<bool> {
        let Some(lock) = self.own.functions().lock else { return Err(unsupported("holding locks")) };
        let (number, ttl) = match action {
            LockAction::Take(ttl) => (LARDER_LOCK_TAKE, ttl_ms(ttl)),
            LockAction::Release => (LARDER_LOCK_RELEASE, 0),
            LockAction::Extend { millis, replace: false } => (LARDER_LOCK_EXTEND, millis.min(LONGEST_TTL)),
            LockAction::Extend { millis, replace: true } => (LARDER_LOCK_RENEW, millis.min(LONGEST_TTL)),
        };
        let (data, len) = parts(key);
        // SAFETY: as above, with a token of its length.
        let call = |own, left| unsafe { lock(own, data, len, pointer(token), token.len(), number, ttl, left) };
        match self.own.change(budget, call)? {
            LARDER_OK => Ok(true),
            LARDER_NOT_STORED => Ok(false),
            other => self.own.strange("lock", other),
        }
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        let has = self.own.functions();
        let status = match (prefix, has.clear, has.clear_prefix) {
            // SAFETY: as above.
            (None, Some(clear), _) => self.own.change(budget, |own, left| unsafe { clear(own, left) })?,
            (Some(prefix), _, Some(clear)) => {
                // SAFETY: as above, with a prefix of its length.
                self.own.change(budget, |own, left| unsafe { clear(own, pointer(prefix), prefix.len(), left) })?
            }
            _ if has.scan.is_none() => return Err(unsupported("finding the keys to remove")),
            (prefix, ..) => {
                let pattern = glob::beginning_with(prefix.unwrap_or_default());
                return self.delete_pattern(&pattern, budget).map(drop);
            }
        };
        if status == LARDER_OK { Ok(()) } else { self.own.strange("clear", status) }
    }

    fn purge_expired(&self, budget: Budget) -> Result<u64> {
        let Some(purge) = self.own.functions().purge_expired else { return Ok(0) };
        let mut removed = 0;
        let place = &raw mut removed;
        // SAFETY: as above, and a local that can be written.
        match self.own.change(budget, |own, left| unsafe { purge(own, left, place) })? {
            LARDER_OK => Ok(removed),
            other => self.own.strange("purge_expired", other),
        }
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        let Some(ping) = self.own.functions().ping else { return Ok(()) };
        // SAFETY: as above.
        match self.own.call(budget, Vec::new(), |_, own, left| unsafe { ping(own, left) })? {
            (LARDER_OK, _) => Ok(()),
            (other, _) => self.own.strange("ping", other),
        }
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        self.lane.start(self, &request, budget, ticket);
    }

    fn start_job(&self, _keys: Keys<'_>, budget: Budget, job: Job) {
        self.lane.start_job(budget, job);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capi::plugin::Plugin;
    use crate::capi::status::{LARDER_EINVAL, LARDER_ETIMEOUT};

    #[test]
    fn only_what_was_called_may_have_been_done() {
        // SAFETY: a table of NULL is one that has no function.
        let functions: larder_backend_table = unsafe { std::mem::zeroed() };
        let table = Table { plugin: Plugin::nobody_s("backend"), functions };
        let instance = Instance::new(Arc::new(table), std::ptr::null_mut(), Limits::default());
        for (ms, status, may_have_happened) in
            [(0, LARDER_OK, false), (60_000, LARDER_ETIMEOUT, true), (60_000, LARDER_EINVAL, false)]
        {
            let error = instance.change(Budget::new(Duration::from_millis(ms)), |_, _| status).unwrap_err();
            assert_eq!(error.may_have_happened(), may_have_happened, "{error}");
        }
    }
}
