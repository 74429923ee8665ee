//! Locks as redis-py's `Lock` has them (DR-27): a key that holds its owner's token.
//!
//! [`Locking`] decides what comes next; the two drivers below carry it out, on the caller's thread or as a task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::operation::UserKey;
use super::{Call, Store, Value, value};
use crate::backend::{Answer, Backend, Capability, LockAction, Reply, Request, Sink, Stored, Ticket, unsupported};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::lock::Mutex;
use crate::sys;
use crate::timeout::{self, Budget, Deadline, Ttl, TtlChoice};

/// The first time that passes between two attempts. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// redis-py's `sleep`.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// This part of a call's time, up to [`LONGEST_RESERVE`], is not waited away: half of it is for the last attempt, half for
/// letting go of a lock whose answer was lost.
const RESERVE: u32 = 4;
const LONGEST_RESERVE: Duration = Duration::from_millis(500);
/// When a lock is let go of again whose answer was lost, after the call has failed: what was sent can still be under way.
const LATER: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
/// The time for each of these.
const LATER_BUDGET: Budget = Budget::new(Duration::from_secs(2));

/// A fresh token: 32 hexadecimal digits, as `uuid.uuid1().hex` is in redis-py.
fn fresh_token() -> Result<String> {
    use std::fmt::Write;
    let bytes: [u8; 16] = sys::random().map_err(|error| Error::new(Kind::Io, format!("no random numbers: {error}")))?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // into memory
        text
    }))
}

/// A lock's own time to live.
pub(super) fn life(ttl: TtlChoice) -> Result<Ttl> {
    match ttl {
        TtlChoice::Of(ttl) if !ttl.is_spent() => Ok(ttl),
        TtlChoice::Of(_) => Err(Error::new(Kind::Invalid, "a lock's time to live has to be more than 0 ms")),
        TtlChoice::Default => {
            let reason = "a lock has no default time to live: give one, or forever to hold it until it is unlocked";
            Err(Error::new(Kind::Invalid, reason))
        }
    }
}

/// What an extension adds or sets.
pub(super) fn extension(ttl: TtlChoice, replace: bool) -> Result<LockAction> {
    match life(ttl)? {
        Ttl::Millis(millis) => Ok(LockAction::Extend { millis, replace }),
        Ttl::Forever => Err(Error::new(Kind::Invalid, "a lock cannot be extended for ever; give a time in ms")),
    }
}

/// A lock that is being taken.
pub(super) struct Locking {
    key: MadeKey,
    token: String,
    ttl: Ttl,
    deadline: Deadline,
    /// Of the attempts.
    attempts: Deadline,
    /// What one of them may take.
    patience: Duration,
    /// When the last of them began.
    began: Instant,
    /// The end of the waiting.
    until: Instant,
    pause: Duration,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    /// Waiting, and another attempt.
    Pause(Duration),
    /// Letting go of what perhaps is held: the answer was lost.
    Release(Error),
    /// The end; whether the lock is held.
    Done(Result<bool>),
}

impl Locking {
    /// `usual` is the time of the alias's calls: an attempt may take that, or what the call has beyond the waiting where
    /// that is more. So a server that hangs is noticed, however long the lock is waited for.
    fn new((key, token, ttl): (MadeKey, String, Ttl), wait: Option<Duration>, budget: Budget, usual: Duration) -> Self {
        let deadline = budget.start();
        let now = Instant::now();
        let left = deadline.end().saturating_duration_since(now);
        let reserve = (left / RESERVE).min(LONGEST_RESERVE);
        let latest = now + left.saturating_sub(reserve);
        Self {
            key,
            token,
            ttl,
            deadline,
            attempts: deadline.at_most(left.saturating_sub(reserve / 2)),
            patience: usual.max(deadline.total().saturating_sub(wait.unwrap_or(deadline.total()))),
            began: now,
            until: wait.and_then(|wait| now.checked_add(wait)).map_or(latest, |until| until.min(latest)),
            pause: FIRST_PAUSE,
        }
    }

    /// The time for an attempt that begins now.
    fn attempt(&mut self) -> Budget {
        self.began = Instant::now();
        let is_enough = self.attempts.left().is_some_and(|left| left > self.patience);
        if is_enough { Budget::new(self.patience) } else { self.attempts.budget() }
    }

    /// Whether what the last attempt took can have expired before its answer came: then somebody else may hold it. A
    /// further attempt tells, since it is the token that counts.
    fn may_be_over(&self) -> bool {
        matches!(self.ttl, Ttl::Millis(millis) if self.began.elapsed().as_millis() >= u128::from(millis.unsigned_abs()))
    }

    fn request(&self, action: LockAction) -> Request<'_> {
        Request::Lock { key: &self.key, token: self.token.as_bytes(), action }
    }

    /// What follows an attempt's answer.
    fn next(&mut self, answer: Result<bool>) -> Next {
        match answer {
            Ok(true) if self.may_be_over() && self.attempts.left().is_some() => Next::Pause(Duration::ZERO),
            Ok(true) if self.may_be_over() => {
                let reason = "the server's answers take longer than the lock's time to live";
                Next::Release(Error::new(Kind::Timeout, reason).maybe_done())
            }
            Ok(true) => Next::Done(Ok(true)),
            Ok(false) => {
                let left = self.until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Next::Done(Ok(false));
                }
                let pause = self.pause.min(left);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Next::Pause(pause)
            }
            Err(error) if error.may_have_happened() => Next::Release(error),
            Err(error) => Next::Done(Err(error)),
        }
    }
}

/// The failure of a lock whose answer was lost, and whether it is known now that nobody holds it.
fn lost(error: Error, released: &Result<bool>) -> (Error, bool) {
    match released {
        Ok(true) => {
            let reason = format!("{}; the lock was taken all the same and is let go of again", error.reason());
            (error.never_done().with_reason(reason), true)
        }
        // perhaps it is still on its way to the server
        _ => (error, false),
    }
}

fn as_found(answer: Result<Reply>) -> Result<bool> {
    match answer? {
        Reply::Found(found) => Ok(found),
        reply => Err(Error::new(Kind::Panic, format!("the backend answered with {reply:?}"))),
    }
}

impl Store {
    /// Takes a lock: its token, or `None` while somebody else holds it until `wait` is over (`None`: nearly all of the
    /// call's time). `goes_on` is asked before each further attempt.
    pub fn lock(
        &self,
        key: &str,
        ttl: TtlChoice,
        wait: Option<Duration>,
        call: &Call<'_>,
        goes_on: impl Fn() -> bool,
    ) -> Result<Option<Value>> {
        let user = UserKey { is_session: false, key, version: call.version, is_final: call.final_key };
        let (mut locking, token) = self.locking(&user, ttl, wait, self.budget(call))?;
        let act = |locking: &Locking, action, budget| {
            self.backend.lock(&locking.key, locking.token.as_bytes(), action, budget)
        };
        let take = |locking: &mut Locking| {
            let time = locking.attempt();
            act(locking, LockAction::Take(locking.ttl), time)
        };
        let mut answer = take(&mut locking);
        loop {
            match locking.next(answer) {
                Next::Done(held) => {
                    return Ok(self.told("lock", held)?.then(|| Value::of_told(token, &self.alias.name)));
                }
                Next::Pause(_) if !goes_on() => return self.told("lock", Err(shut_down())),
                Next::Pause(pause) => {
                    timeout::pause(pause);
                    answer = take(&mut locking);
                }
                Next::Release(error) => {
                    let released = act(&locking, LockAction::Release, locking.deadline.budget());
                    let (error, is_free) = lost(error, &released);
                    if !is_free {
                        let task = release_later(self.backend.clone(), locking);
                        let _ = self.spawner.spawn(Box::pin(task)); // after a shutdown nothing more can be done
                    }
                    return self.told("lock", Err(error));
                }
            }
        }
    }

    /// Lets go of a lock; `false` when this token does not hold it (any more).
    pub fn unlock(&self, key: &str, token: &[u8], call: &Call<'_>) -> Result<bool> {
        self.act_on_lock("unlock", key, token, LockAction::Release, call)
    }

    /// Gives a lock more time to live, or (`replace`) another from now on; `false` when this token does not hold it (any
    /// more), and when more is to be added to what never expires.
    pub fn extend_lock(&self, key: &str, token: &[u8], ttl: TtlChoice, replace: bool, call: &Call<'_>) -> Result<bool> {
        let action = extension(ttl, replace).map_err(|error| self.named("lock_extend", error))?;
        self.act_on_lock("lock_extend", key, token, action, call)
    }

    fn act_on_lock(
        &self,
        operation: &'static str,
        key: &str,
        token: &[u8],
        action: LockAction,
        call: &Call<'_>,
    ) -> Result<bool> {
        self.has_locks(operation)?;
        let made = self.make(operation, key, call)?;
        self.told(operation, self.backend.lock(&made, token, action, self.budget(call))) // DR-16: never ignored
    }

    /// An error where the backend has no locks.
    pub(crate) fn has_locks(&self, operation: &'static str) -> Result<()> {
        if self.backend.supports(Capability::Lock) {
            return Ok(());
        }
        Err(self.named(operation, unsupported("holding locks")))
    }

    /// A lock to be taken, and its token as a value: what could fail comes before it is held.
    fn locking(
        &self,
        user: &UserKey<'_>,
        ttl: TtlChoice,
        wait: Option<Duration>,
        budget: Budget,
    ) -> Result<(Locking, Stored)> {
        self.has_locks("lock")?;
        let named = |error| self.named("lock", error);
        let (ttl, token) = (life(ttl).map_err(named)?, fresh_token().map_err(named)?);
        let value = value::told(Input::Text(&token)).map_err(named)?;
        let key = self.made("lock", user)?;
        Ok((Locking::new((key, token, ttl), wait, budget, self.alias.settings.budget), value))
    }

    /// Takes a lock; the ticket is answered with its token. The first attempt is in order with what was begun on the key
    /// before. Waiting holds nothing up: it is a timer.
    pub(super) fn begin_lock(
        self: &Arc<Self>,
        user: &UserKey<'_>,
        ttl: TtlChoice,
        wait: Option<Duration>,
        budget: Budget,
        ticket: Ticket,
    ) {
        let (mut locking, token) = match self.locking(user, ttl, wait, budget) {
            Ok(fine) => fine,
            Err(error) => return ticket.answer(Err(error)),
        };
        let (backend, time) = (self.backend.clone(), locking.attempt());
        let first = begin(&*backend, locking.request(LockAction::Take(locking.ttl)), time);
        let task = Task { backend, locking, token, ticket };
        // a task that is refused is dropped, which answers its ticket
        let _ = self.spawner.spawn(Box::pin(task.run(first)));
    }
}

/// A lock that is being taken as a task.
struct Task {
    backend: Arc<dyn Backend>,
    locking: Locking,
    /// The token as a value.
    token: Stored,
    ticket: Ticket,
}

impl Task {
    async fn run(mut self, first: oneshot::Receiver<Result<Reply>>) {
        let mut answer = came(first).await;
        loop {
            match self.locking.next(answer) {
                Next::Done(Ok(true)) => return self.hand_out().await,
                Next::Done(held) => return self.ticket.answer(held.map(|_| Reply::Value(None))),
                Next::Pause(pause) => {
                    tokio::time::sleep(pause).await;
                    if !self.ticket.is_wanted() {
                        return self.ticket.answer(Err(shut_down()));
                    }
                    let (take, time) = (LockAction::Take(self.locking.ttl), self.locking.attempt());
                    answer = act(&*self.backend, &self.locking, take, time).await;
                }
                Next::Release(error) => {
                    let deadline = self.locking.deadline.budget();
                    let released = act(&*self.backend, &self.locking, LockAction::Release, deadline).await;
                    let (error, is_free) = lost(error, &released);
                    self.ticket.answer(Err(error));
                    if !is_free {
                        release_later(self.backend, self.locking).await;
                    }
                    return;
                }
            }
        }
    }

    /// A lock whose token nobody takes, because the operation was cancelled meanwhile, is let go of.
    async fn hand_out(self) {
        let Self { backend, locking, token, ticket } = self;
        if ticket.offer(Ok(Reply::Value(Some(token)))) {
            return;
        }
        if !matches!(act(&*backend, &locking, LockAction::Release, LATER_BUDGET).await, Ok(true)) {
            release_later(backend, locking).await;
        }
    }
}

/// Lets go of a lock that nobody knows the token of, should it be held: now and then until it was, or nothing can be
/// under way any more.
async fn release_later(backend: Arc<dyn Backend>, locking: Locking) {
    for pause in LATER {
        tokio::time::sleep(pause).await;
        if matches!(act(&*backend, &locking, LockAction::Release, LATER_BUDGET).await, Ok(true)) {
            return;
        }
    }
}

async fn act(backend: &dyn Backend, locking: &Locking, action: LockAction, budget: Budget) -> Result<bool> {
    came(begin(backend, locking.request(action), budget)).await
}

/// Begins a request; where its answer comes.
fn begin(backend: &dyn Backend, request: Request<'_>, budget: Budget) -> oneshot::Receiver<Result<Reply>> {
    let (sender, receiver) = oneshot::channel();
    backend.start(request, budget, Ticket::new(Arc::new(Answered(Mutex::new(Some(sender)))), 0));
    receiver
}

async fn came(receiver: oneshot::Receiver<Result<Reply>>) -> Result<bool> {
    as_found(receiver.await.unwrap_or_else(|_| Err(shut_down().maybe_done())))
}

/// Where the answer for a task goes.
struct Answered(Mutex<Option<oneshot::Sender<Result<Reply>>>>);

impl Sink for Answered {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (_, answer) in answers.drain(..) {
            let sender = self.0.lock().take();
            if let Some(sender) = sender {
                let _ = sender.send(answer); // the task may be gone
            }
        }
    }
}

fn shut_down() -> Error {
    Error::new(Kind::Shutdown, "the context is shut down; nobody waits for the lock any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locking(total: u64, wait: Option<u64>) -> Locking {
        let parts = (MadeKey::as_is("k"), "token".to_owned(), Ttl::Forever);
        let wait = wait.map(Duration::from_millis);
        Locking::new(parts, wait, Budget::new(Duration::from_millis(total)), Duration::from_secs(5))
    }

    fn whole_ms(time: Duration) -> u64 {
        u64::try_from((time + Duration::from_micros(900)).as_millis()).unwrap()
    }

    #[test]
    fn pauses_grow_and_end_with_the_waiting() {
        let mut locking = locking(600_000, Some(250));
        let mut pauses = Vec::new();
        while let Next::Pause(pause) = locking.next(Ok(false)) {
            pauses.push(whole_ms(pause));
            locking.until -= pause; // as if it had passed
            assert!(pauses.len() < 20);
        }
        assert_eq!(pauses[..4], [10, 20, 40, 80]);
        assert!((98..=100).contains(&pauses[4]), "{pauses:?}");
        assert!(matches!(locking.next(Ok(true)), Next::Done(Ok(true))));
        assert!(matches!(locking.next(Ok(false)), Next::Done(Ok(false))));
    }

    #[test]
    fn a_lock_that_can_have_expired_is_asked_for_again() {
        let mut locking = locking(1_000, None);
        locking.ttl = Ttl::Millis(50);
        locking.attempt();
        assert!(matches!(locking.next(Ok(true)), Next::Done(Ok(true))));
        locking.began -= Duration::from_millis(50); // as if it had passed
        assert!(matches!(locking.next(Ok(true)), Next::Pause(Duration::ZERO)));
        locking.attempts = Budget::new(Duration::ZERO).start();
        assert!(matches!(locking.next(Ok(true)), Next::Release(_)));
    }

    #[test]
    fn some_of_the_time_is_not_waited_away() {
        let kept = |total: u64| {
            let locking = locking(total, None);
            let until = |moment: Instant| whole_ms(locking.deadline.end() - moment);
            (until(locking.until), until(locking.attempts.end()))
        };
        assert_eq!(kept(400), (100, 50));
        assert_eq!(kept(60_000), (500, 250));
    }

    #[test]
    fn an_attempt_takes_no_longer_than_a_call() {
        let time = |total, wait| whole_ms(locking(total, wait).attempt().total());
        assert_eq!(time(600_000, None), 5_000);
        assert_eq!(time(600_000, Some(590_000)), 10_000);
        assert_eq!(time(60_000, Some(0)), 60_000);
        assert_eq!(time(1_000, None), 1_000);
    }

    #[test]
    fn what_may_have_been_taken_is_let_go_of() {
        let mut locking = locking(1_000, None);
        let error = || Error::new(Kind::Timeout, "late");
        assert!(matches!(locking.next(Err(error())), Next::Done(Err(_))));
        assert!(matches!(locking.next(Err(error().maybe_done())), Next::Release(_)));
        let (told, is_free) = lost(error().maybe_done(), &Ok(true));
        assert!(is_free && !told.may_have_happened() && told.reason().contains("let go of"));
        let (told, is_free) = lost(error().maybe_done(), &Ok(false));
        assert!(!is_free && told.may_have_happened());
    }

    #[test]
    fn tokens_are_hexadecimal_and_differ() {
        let (one, other) = (fresh_token().unwrap(), fresh_token().unwrap());
        assert!(one != other && one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
