//! `larder_queue`: the completion queue, for event loops, game loops and languages with threads of their own.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::argument::{self, Rows, invalid, out};
use super::callback::larder_op;
use super::context::{self, larder_context};
use super::error::larder_error;
use super::event::{Pending, Places, To, What, larder_event};
use super::guard::{caught, guard, quietly};
use super::handle::{Borrowed, Registry};
use super::home::Context;
use super::pipeline_request::Work;
use super::request::{self, larder_packed, larder_request};
use super::status::{LARDER_EHANDLE, LARDER_EMPTY, LARDER_EPANIC, LARDER_MISS, LARDER_OK, larder_status, of};
use super::store::{self, forked, larder_store};
use crate::backend::Ticket;
use crate::error::{Error, Kind, Result};
use crate::runtime::{Polled, Queue, Taken};
use crate::store::Prepared;
use crate::sys::Ours;

/// A completion queue. A checked handle: never read through it.
pub struct larder_queue {
    _private: [u8; 0],
}

/// A queue behind its handle.
pub(crate) struct OpenQueue {
    queue: Arc<Queue<Pending>>,
    context: Arc<Context>,
}

impl Drop for OpenQueue {
    fn drop(&mut self) {
        self.queue.close();
    }
}

pub(crate) static QUEUES: Registry<Ours<OpenQueue>> = Registry::new(0x4C51); // "LQ"

/// The most operations that a queue can have under way.
const LARGEST_CAPACITY: usize = 1 << 22;

/// The most requests of one call that are prepared before the first is accepted: few enough to stay in the cache.
const AT_ONCE: usize = 128;

fn find(handle: *const larder_queue) -> Result<Borrowed<'static, Ours<OpenQueue>>> {
    let no_queue = || Error::new(Kind::Handle, "the queue is NULL, closed, or no queue");
    QUEUES.borrow(handle as u64).ok_or_else(no_queue)
}

fn ours<'a>(borrowed: &'a Borrowed<'static, Ours<OpenQueue>>) -> Result<&'a OpenQueue> {
    borrowed.get().ok_or_else(forked)
}

/// Makes a completion queue. Stores of the context answer there what is submitted there.
///
/// A queue belongs to the process that made it: in a forked child it answers LARDER_EFORKED, and its events stay the
/// parent's.
///
/// @param context the context
/// @param capacity how many operations may be accepted and not yet polled, at least 1; beyond that larder_submit answers
///        LARDER_EBUSY
/// @param log_level the least level of log records that come as events, `LARDER_LOG_…`; 0: none. At most 1,024 of them
///        wait, beside the capacity; lost ones are counted by a record
/// @param queue receives a handle, to be given to larder_queue_close; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EMEMORY
///
/// Blocks: never. Threads: any. Owns: the caller owns the queue. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_queue_open(
    context: *const larder_context,
    capacity: usize,
    log_level: i32,
    queue: *mut *mut larder_queue,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(queue, "queue") }?;
        *place = std::ptr::null_mut();
        let context = context::borrow(context)?;
        if !(1..=LARGEST_CAPACITY).contains(&capacity) {
            return Err(invalid(format!("capacity is {capacity}; it must be from 1 to {LARGEST_CAPACITY}")));
        }
        let queue = context.open_queue(capacity)?;
        if log_level > 0 {
            context.log.add_queue(log_level, &queue);
        }
        let handle = QUEUES.insert(Ours::new(OpenQueue { queue, context }));
        *place = handle.ok_or_else(|| Error::new(Kind::Memory, "too many queues"))? as *mut larder_queue;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Requests that were found to be fine and wait to be accepted.
struct Submission<'q, 'r> {
    open: &'q OpenQueue,
    /// Their stores. Neighbours mostly have the same.
    stores: Vec<(u64, store::Borrowed)>,
    ready: Vec<Ready<'r>>,
    tickets: Vec<Ticket>,
}

/// A request that is fine.
struct Ready<'r> {
    task: Task<'r>,
    tag: u64,
    /// NULL, or where the host wants the id.
    op: *mut larder_op,
}

/// What it asks for.
enum Task<'r> {
    /// Of one of the batch's stores.
    Store(usize, Prepared<'r>),
    /// Of a pipeline; it is taken out when it is begun.
    Pipeline(Option<Box<Work>>),
}

impl<'q, 'r> Submission<'q, 'r> {
    fn new(open: &'q OpenQueue, n: usize) -> Self {
        let n = n.min(AT_ONCE);
        Self { open, stores: Vec::new(), ready: Vec::with_capacity(n), tickets: Vec::with_capacity(n) }
    }

    fn prepare(&mut self, request: &request::Borrowed<'r>) -> Result<()> {
        let (tag, op) = (request.tag, request.op);
        if let Some(loading) = &request.loading {
            let work = Work::new(request, loading, &self.open.context, &self.open.queue)?;
            self.ready.push(Ready { task: Task::Pipeline(Some(Box::new(work))), tag, op });
            return Ok(());
        }
        if self.stores.last().is_none_or(|(handle, _)| *handle != request.store) {
            let borrowed = store::borrow(request.store as *const larder_store)?;
            if !Arc::ptr_eq(&borrowed.context, &self.open.context) {
                return Err(invalid("the store is not of the queue's context"));
            }
            borrowed.store.begin_batch();
            self.stores.push((request.store, borrowed));
        }
        let Some(((_, borrowed), store)) = self.stores.last().zip(self.stores.len().checked_sub(1)) else {
            return Ok(());
        };
        let prepared = request.prepare(&borrowed.store)?;
        self.ready.push(Ready { task: Task::Store(store, prepared), tag, op });
        Ok(())
    }

    /// Accepts what was prepared and begins it; how many that are, and why the next one is refused.
    fn submit(&mut self) -> (usize, Result<()>) {
        let Self { open, stores, ready, tickets } = self;
        let store_of = |index: usize| stores.get(index).map(|(_, borrowed)| &borrowed.store);
        let now = Instant::now();
        let pending = ready.iter().filter_map(|ready| {
            let to = To::Tag(ready.tag);
            Some(match &ready.task {
                Task::Store(index, prepared) => {
                    let (store, asked) = (store_of(*index)?, prepared.asked);
                    Pending { what: What::Store(store.clone(), asked), to, began: store.begins(asked, Some(now)) }
                }
                Task::Pipeline(work) => Pending { what: work.as_ref()?.pending(), to, began: None },
            })
        });
        let outcome = open.queue.accept_all(pending, |operation, ticket| {
            // SAFETY: the host gave NULL or a place that can be written, and hears the id before there can be an answer.
            if let Some(op) = ready.get(tickets.len()).and_then(|ready| unsafe { ready.op.as_mut() }) {
                *op = operation;
            }
            tickets.push(ticket);
        });
        let accepted = tickets.len();
        for (ready, ticket) in ready.iter_mut().zip(tickets.drain(..)) {
            // nothing can refuse it any more: a dropped ticket is its answer
            let _ = caught(|| match &mut ready.task {
                Task::Store(index, prepared) => {
                    prepared.start_clock(now);
                    if let Some(store) = store_of(*index) {
                        store.begin(prepared, ticket);
                    }
                }
                Task::Pipeline(work) => {
                    if let Some(work) = work.take() {
                        work.begin(now, ticket);
                    }
                }
            });
        }
        ready.clear();
        (accepted, outcome)
    }
}

impl Drop for Submission<'_, '_> {
    fn drop(&mut self) {
        for (_, borrowed) in &self.stores {
            let _ = caught(|| borrowed.store.end_batch());
        }
    }
}

/// Submits requests one after the other, as `read` shows them, and counts those that are accepted.
#[inline]
fn submit_all<'a>(
    queue: *const larder_queue,
    n: usize,
    accepted: &mut usize,
    read: impl Fn(usize) -> Result<request::Borrowed<'a>>,
) -> Result<larder_status> {
    let borrowed = find(queue)?;
    let mut submission = Submission::new(ours(&borrowed)?, n);
    while *accepted < n {
        let end = n.min(*accepted + AT_ONCE);
        let refused = (*accepted..end).try_for_each(|index| submission.prepare(&read(index)?)).err();
        let (count, outcome) = submission.submit();
        *accepted += count;
        outcome?;
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    Ok(LARDER_OK)
}

/// The place for a count, which is 0.
///
/// # Safety
/// `place` is NULL or can be written while the borrow lasts.
unsafe fn counter<'a>(place: *mut usize) -> Option<&'a mut usize> {
    // SAFETY: by this function's own contract.
    let mut place = unsafe { place.as_mut() };
    if let Some(place) = &mut place {
        **place = 0;
    }
    place
}

/// Submits operations: each that is accepted gives exactly one event, whatever happens (LARDER_CALL_LOAD_EVENT: and before
/// that one for each load). They are accepted from the first
/// on; one that is wrong, or has no room, ends that. Operations on one key of one store that one thread submits take
/// effect in their order; nothing else is ordered.
///
/// @param queue the queue
/// @param requests `n` requests; only read during the call
/// @param n how many
/// @param request_size `sizeof(larder_request)`
/// @param accepted NULL, or receives how many are accepted: the first ones
/// @param err NULL, or receives an error, to be released: why the request behind the accepted ones is refused
/// @return LARDER_OK when all are accepted; otherwise why the first of the others is not: LARDER_EBUSY when the queue is
///         full; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ETOOBIG; LARDER_ESHUTDOWN; LARDER_EFORKED; LARDER_EMEMORY
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_submit(
    queue: *const larder_queue,
    requests: *const larder_request,
    n: usize,
    request_size: usize,
    accepted: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let count = unsafe { counter(accepted) };
        // SAFETY: the host passes requests of that size.
        let rows = unsafe { Rows::<larder_request>::new(requests, n, request_size, request::FIRST_SIZE)? };
        // SAFETY: their pointers are the host's, and have what their lengths say.
        submit_all(queue, n, count.unwrap_or(&mut 0), |index| unsafe { request::Borrowed::of(&rows.get(index)?) })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Submits operations that stand in one flat buffer, for languages that may not hand out pointers to pointers: first `n`
/// `larder_packed`, then the bytes that they point to by offsets. Otherwise as larder_submit.
///
/// @param queue the queue
/// @param buffer the requests and their bytes; only read during the call
/// @param buffer_len its length in bytes
/// @param n how many requests it begins with
/// @param request_size `sizeof(larder_packed)`
/// @param ops NULL, or `n` places; each receives the id of an accepted operation, for larder_cancel, or 0
/// @param accepted NULL, or receives how many are accepted: the first ones
/// @param err NULL, or receives an error, to be released: why the request behind the accepted ones is refused
/// @return as larder_submit
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_submit_packed(
    queue: *const larder_queue,
    buffer: *const c_void,
    buffer_len: usize,
    n: usize,
    request_size: usize,
    ops: *mut larder_op,
    accepted: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let count = unsafe { counter(accepted) };
        if !ops.is_null() {
            // SAFETY: the host passes `n` places that can be written.
            unsafe { argument::array_mut(ops, n, "ops")? }.fill(0);
        }
        // SAFETY: the host passes a buffer of its length.
        let buffer = unsafe { argument::bytes(buffer, buffer_len, "buffer")? };
        let rows = Rows::<larder_packed>::inside(buffer, n, request_size, request::FIRST_PACKED_SIZE)?;
        submit_all(queue, n, count.unwrap_or(&mut 0), |index| {
            let op = if ops.is_null() { ops } else { ops.wrapping_add(index) };
            request::Borrowed::of_packed(&rows.get(index)?, buffer, op)
        })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Takes events. The caller owns what they hold, and gives it back with larder_events_clear. Several threads may poll one
/// queue; each event goes to one of them.
///
/// @param queue the queue
/// @param events receives events
/// @param capacity how many at the most, at least 1
/// @param event_size `sizeof(larder_event)`
/// @param timeout_ms how long to wait for the first one; 0: not at all; negative: as long as it takes
/// @param n receives how many came
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK with one event or more; LARDER_EMPTY with none: the time was over, or larder_queue_wake was called;
///         LARDER_ESHUTDOWN when the context is shut down and nothing will come any more; LARDER_EINVAL;
///         LARDER_EHANDLE, also when the queue is closed meanwhile; LARDER_EFORKED
///
/// Blocks: up to `timeout_ms`. Threads: any. Owns: the caller owns what the events hold. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_queue_poll(
    queue: *const larder_queue,
    events: *mut larder_event,
    capacity: usize,
    event_size: usize,
    timeout_ms: i64,
    n: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let count = unsafe { out(n, "n") }?;
        *count = 0;
        // SAFETY: the host passes places for events of that size.
        let mut places = unsafe { Places::new(events, capacity, event_size)? };
        if places.len() == 0 {
            return Err(invalid("capacity is 0; there has to be room for one event"));
        }
        let borrowed = find(queue)?;
        let open = ours(&borrowed)?;
        let end = u64::try_from(timeout_ms).ok().and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        let mut taken = Taken::default();
        match open.queue.poll(places.len(), end, &mut taken) {
            Polled::Nothing => return Ok(LARDER_EMPTY),
            Polled::Over if open.queue.is_closed() => return Err(Error::new(Kind::Handle, "the queue was closed")),
            Polled::Over => return Err(Error::new(Kind::Shutdown, "the context is shut down, and nothing will come")),
            Polled::Some => *count = taken.len(),
        }
        let mut index = 0;
        for (level, text) in taken.records {
            places.write(index, larder_event::record(level, &text));
            index += 1;
        }
        for event in taken.events.drain(..) {
            places.write(index, larder_event::of(event));
            index += 1;
        }
        open.queue.recycle(taken.events);
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Lends a descriptor that is readable while larder_queue_poll would answer at once, for `epoll`, `poll` and the loops of
/// other libraries. Wait for readability (level-triggered, or poll until LARDER_EMPTY); never read, write or close it.
/// It lives as long as the queue; a language that insists on owning it must be given a duplicate.
///
/// @param queue the queue
/// @param handle receives the descriptor's number; -1 on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_EFORKED; LARDER_EIO when there are no descriptors left
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_queue_wait_handle(
    queue: *const larder_queue,
    handle: *mut i32,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(handle, "handle") }?;
        *place = -1;
        let borrowed = find(queue)?;
        let bell = ours(&borrowed)?.queue.bell();
        *place = bell.map_err(|error| Error::new(Kind::Io, format!("cannot make a descriptor: {error}")))?;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Lets one larder_queue_poll go that waits, or the next one, with whatever there is.
///
/// @param queue the queue
/// @return LARDER_OK; LARDER_EHANDLE; LARDER_EFORKED
///
/// Blocks: never. Threads: any, and signal handlers never. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_queue_wake(queue: *const larder_queue) -> larder_status {
    let woken = quietly(|| {
        let borrowed = find(queue)?;
        ours(&borrowed)?.queue.wake();
        Ok::<_, Error>(())
    });
    match woken {
        Ok(Ok(())) => LARDER_OK,
        Ok(Err(error)) => of(error.kind()),
        Err(_) => LARDER_EPANIC,
    }
}

/// Closes a queue. Events that were not polled are dropped; operations that still run end without an event.
///
/// @param queue taken; NULL is harmless, and so is a queue that is closed already
/// @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
///
/// Blocks: never. Threads: any. Owns: takes the queue. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_queue_close(queue: *mut larder_queue) -> larder_status {
    let closed = quietly(|| {
        if let Ok(borrowed) = find(queue)
            && let Ok(open) = ours(&borrowed)
        {
            open.queue.close(); // lets those go that poll
        }
        QUEUES.close(queue as u64)
    });
    match closed {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_EHANDLE,
        Err(_) => LARDER_EPANIC,
    }
}

/// Ends an operation early, if it has not ended yet: its event or callback comes at once, with LARDER_ECANCELLED. What
/// was sent to a server may be carried out all the same.
///
/// @param context the context that the operation was begun in
/// @param op the operation's id
/// @return LARDER_OK when the answer will be LARDER_ECANCELLED; LARDER_MISS when there is no such operation, or it has
///         ended; LARDER_EHANDLE; LARDER_EFORKED for an operation of the parent process
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_cancel(context: *const larder_context, op: larder_op) -> larder_status {
    match quietly(|| context::borrow(context)?.cancel(op)) {
        Ok(Ok(true)) => LARDER_OK,
        Ok(Ok(false)) => LARDER_MISS,
        Ok(Err(error)) => of(error.kind()),
        Err(_) => LARDER_EPANIC,
    }
}
