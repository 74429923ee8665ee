//! The task of a link: it connects when somebody reads, hears what changes, and asks the server to renew the lease.
//!
//! The server broadcasts (CLIENT TRACKING ON BCAST PREFIX): every change of a key that begins with the alias's prefix is
//! told here, whoever made it and whoever has read it. The other way, that the server remembers for each connection what
//! was read over it, would tell less; but every connection that reads would have to redirect to this one, anew whenever
//! this one is made again, and a read over one that does not yet would be kept and never be told of. Here reads come
//! over any connection, and none of them knows.
//!
//! What was told is known from the order on one connection. The server tells what changed in a round of its work at the end
//! of that round, and a PING that it answers in a round had come before the round began. So the answer to a PING says that
//! all changes before it was sent have been told: values may be used for [`LEASE`] from that moment on.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep, sleep_until, timeout_at};

use super::messages::{self, Messages, Opened, Told};
use super::tracked::{Link, Tracked, Way};
use crate::backend::Spawner;
use crate::backend::clock::{self, Nanos};
use crate::backend::net::{Healing, Line, lost, unexpected};
use crate::backend::redis::fault::answered;
use crate::backend::redis::resp::Frame;
use crate::error::{Error, Kind, Result};
use crate::log::Level;
use crate::timeout::Budget;

/// Values may be used for so long after the server was last known to have told all changes: the longest that a stale
/// one can be seen where the link hangs.
const LEASE: Duration = Duration::from_secs(3);
/// The server is asked so often, while values are read.
const BETWEEN: Duration = Duration::from_secs(1);
/// So often it is asked after the last read.
const IDLE: u32 = 5;
/// A server that does not want to is asked again after so long.
const REFUSED: Duration = Duration::from_secs(30);
/// A connection that stood for so long was a good one: the next is made at once.
const GOOD: Duration = Duration::from_secs(1);
/// When nothing is due.
const FAR: Duration = Duration::from_hours(1);

/// The task of a link.
pub(super) struct Task {
    tracked: Arc<Tracked>,
    server: usize,
}

/// Why there is no connection.
enum Failure {
    /// There may be one in a moment.
    Passing(Error),
    /// The server does not want to do what is named.
    Refused(&'static str, Error),
}

/// What woke the task.
enum Woken {
    Said(Result<Frame>),
    Wanted,
    Due,
}

impl Drop for Task {
    /// Whatever ends it, a shutdown too.
    fn drop(&mut self) {
        self.tracked.falls(self.server);
        if let Some(link) = self.tracked.link(self.server) {
            link.stopped();
        }
    }
}

impl Task {
    /// For the link to a server.
    pub(super) fn new(tracked: Arc<Tracked>, server: usize) -> Self {
        Self { tracked, server }
    }

    /// Works until the store is closed.
    pub(super) async fn run(self, spawner: Arc<dyn Spawner>) {
        let Some(link) = self.tracked.link(self.server) else { return };
        let (mut healing, mut told) = (Healing::default(), String::new());
        while is_wanted(link).await {
            let Some(connected) = unless_closed(link, self.connect(link.way(), &spawner)).await else { return };
            let pause = match connected {
                Ok((mut stream, asked)) => {
                    told.clear();
                    let since = Instant::now();
                    let mut pulse = Pulse { open: None, last: asked, idle: 0, uses: 0 };
                    if let Some(why) = self.serve(link, &mut stream, &mut pulse).await {
                        self.fell(link.way(), &why, pulse.is_at_rest());
                    }
                    if since.elapsed() >= GOOD {
                        healing.worked();
                        Duration::ZERO
                    } else {
                        healing.failed(Instant::now(), false)
                    }
                }
                Err(failure) => failure.pause(link.way(), &mut healing, &mut told),
            };
            if unless_closed(link, sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// The link has fallen. Idle connections are closed by servers and routers: nobody is hurt.
    fn fell(&self, way: &Way, why: &Error, at_rest: bool) {
        if self.tracked.falls(self.server) {
            let text = format_args!(
                "{}: the near cache was emptied, since the connection that tells of changes is gone: {}",
                way.server.shown,
                why.reason()
            );
            way.log.record(if at_rest { Level::Info } else { Level::Warning }, &text);
        }
    }

    /// Connects, and has the server tell what changes; since when it was asked to.
    async fn connect(
        &self,
        way: &Way,
        spawner: &Arc<dyn Spawner>,
    ) -> std::result::Result<(Line<Messages>, Nanos), Failure> {
        let deadline = Budget::new(way.connect).start();
        let mut stream = way.dialler.dial::<Messages>(spawner, &deadline).await.map_err(Failure::Passing)?;
        let asked = clock::now();
        let opened = timeout_at(deadline.end().into(), self.open(way, &mut stream)).await;
        opened.unwrap_or_else(|_| {
            let reason = format!("the server has not answered within {} ms", way.connect.as_millis());
            Err(Failure::Passing(Error::new(Kind::Timeout, reason)))
        })?;
        self.tracked.stands(self.server, asked.saturating_add(nanos(LEASE)));
        way.log.record(Level::Info, &format_args!("{}: the near cache stands", way.server.shown));
        Ok((stream, asked))
    }

    async fn open(&self, way: &Way, stream: &mut Line<Messages>) -> std::result::Result<(), Failure> {
        let mut opening = messages::open(stream.out(), &way.server, self.tracked.prefix());
        loop {
            let frame = poll_fn(|context| stream.poll_next(context)).await.map_err(Failure::Passing)?;
            if matches!(frame, Frame::Push(_)) {
                continue; // nothing is kept yet
            }
            opening = match opening.read(frame) {
                Opened::Done => return Ok(()),
                Opened::More(opening) => opening,
                Opened::Refused(what, error) if !error.is_retriable() => return Err(Failure::Refused(what, error)),
                Opened::Refused(_, error) | Opened::Broken(error) => return Err(Failure::Passing(error)),
            };
        }
    }

    /// Hears what changes until the connection is lost; why it was, or nothing where the store is closed.
    async fn serve(&self, link: &Link, stream: &mut Line<Messages>, pulse: &mut Pulse) -> Option<Error> {
        let mut timer = Box::pin(sleep_until((Instant::now() + BETWEEN).into()));
        link.take_wish(); // it is fulfilled
        loop {
            let mut woken = pin!(link.wake().notified());
            let due = poll_fn(|context| next(stream, woken.as_mut(), timer.as_mut(), context)).await;
            let outcome = match due {
                Woken::Said(frame) => frame.and_then(|frame| self.heard(link, frame, pulse)),
                Woken::Wanted if link.is_closed() => return None,
                Woken::Wanted => {
                    if link.take_wish() {
                        pulse.wish(stream);
                    }
                    Ok(())
                }
                Woken::Due => pulse.beat(self.tracked.uses(), stream),
            };
            if let Err(error) = outcome {
                return Some(error);
            }
            let due = tokio::time::Instant::from_std(Instant::now() + pulse.rest());
            // an early timer only costs a round
            if timer.deadline() > due || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
        }
    }

    fn heard(&self, link: &Link, frame: Frame, pulse: &mut Pulse) -> Result<()> {
        match frame {
            Frame::Push(items) => match messages::told(items)? {
                Told::Changed(keys) => self.tracked.changed(&keys),
                Told::Emptied => self.tracked.emptied(self.server),
                Told::Other => {}
            },
            Frame::Error(text) => return Err(answered(&text)),
            Frame::Simple(_) => {
                let asked = pulse.open.take().ok_or_else(unexpected)?;
                link.renew(asked.saturating_add(nanos(LEASE)));
                link.take_wish();
            }
            _ => return Err(unexpected()),
        }
        Ok(())
    }
}

/// When the server was asked, and is to be asked.
struct Pulse {
    /// When, where it has not answered yet.
    open: Option<Nanos>,
    /// The last time.
    last: Nanos,
    /// How often since values were last read.
    idle: u32,
    /// How often they had been read then.
    uses: u64,
}

impl Pulse {
    fn ask(&mut self, stream: &mut Line<Messages>) {
        let now = clock::now();
        (self.open, self.last) = (Some(now), now);
        messages::ping(stream.out());
    }

    /// Whether nobody has read for a while.
    fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.idle >= IDLE
    }

    /// A read found the lease ended.
    fn wish(&mut self, stream: &mut Line<Messages>) {
        self.idle = 0;
        if self.open.is_none() {
            self.ask(stream);
        }
    }

    /// What is due now.
    fn beat(&mut self, uses: u64, stream: &mut Line<Messages>) -> Result<()> {
        if self.rest() > Duration::ZERO {
            return Ok(());
        }
        if self.open.is_some() {
            return Err(lost(&format!("the server has not answered a PING for {} s", LEASE.as_secs())));
        }
        let is_used = uses != std::mem::replace(&mut self.uses, uses);
        self.idle = if is_used { 0 } else { self.idle.saturating_add(1) };
        if self.idle < IDLE {
            self.ask(stream);
        } else {
            self.last = clock::now(); // a read that finds the lease ended wakes the task
        }
        Ok(())
    }

    /// How long until something is due.
    fn rest(&self) -> Duration {
        let wait = match self.open {
            Some(_) => LEASE,
            None if self.idle < IDLE => BETWEEN,
            None => FAR,
        };
        Duration::from_nanos(self.last.saturating_add(nanos(wait)).saturating_sub(clock::now()))
    }
}

impl Failure {
    /// Says it, where it was not said already, and how long to wait.
    fn pause(self, way: &Way, healing: &mut Healing, told: &mut String) -> Duration {
        let (pause, reason) = match self {
            Self::Passing(error) => (healing.failed(Instant::now(), false), error.reason().to_owned()),
            Self::Refused(what, error) => {
                let again = REFUSED.as_secs();
                (REFUSED, format!("the server refuses {what}: {}; it is asked again in {again} s", error.reason()))
            }
        };
        if *told != reason {
            let shown = &way.server.shown;
            let text = format_args!("{shown}: there is no near cache, reads go to the server: {reason}");
            way.log.record(Level::Warning, &text);
            *told = reason;
        }
        pause
    }
}

/// Waits until a read wants the link; `false` when the store is closed.
async fn is_wanted(link: &Link) -> bool {
    loop {
        let told = link.wake().notified();
        if link.is_closed() {
            return false;
        }
        if link.take_wish() {
            return true;
        }
        told.await;
    }
}

/// Does something, unless the store is closed meanwhile.
async fn unless_closed<T>(link: &Link, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let mut woken = pin!(link.wake().notified());
        let outcome = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => woken.as_mut().poll(context).map(|()| None),
        });
        match outcome.await {
            Some(outcome) => return Some(outcome),
            None if link.is_closed() => return None,
            None => {} // a read wants the link, which is on its way
        }
    }
}

/// What was said comes first: an answer that is there counts, however late this looks.
fn next(
    stream: &mut Line<Messages>,
    woken: Pin<&mut impl Future<Output = ()>>,
    timer: Pin<&mut Sleep>,
    context: &mut Context<'_>,
) -> Poll<Woken> {
    if let Poll::Ready(frame) = stream.poll_next(context) {
        return Poll::Ready(Woken::Said(frame));
    }
    if woken.poll(context).is_ready() {
        return Poll::Ready(Woken::Wanted);
    }
    timer.poll(context).map(|()| Woken::Due)
}

fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}
