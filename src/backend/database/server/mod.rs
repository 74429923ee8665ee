//! The cache in a table of PostgreSQL, MySQL or MariaDB, through sqlx.
//!
//! sqlx is asynchronous: every operation is a task on the context's runtime. A synchronous call waits for its task; an
//! asynchronous one has a place in a line that keeps the order per key. In a forked child nothing of the parent's
//! connections is used or dropped.

mod asked;
mod backend;
mod fault;
mod job;
mod line;
mod link;
mod many;
#[cfg(feature = "mysql")]
mod mysql;
mod plan;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod scan;
mod session;
mod table;
mod task;

use std::sync::Arc;
use std::time::Duration;

use self::asked::Asked;
use self::fault::{Nature, late};
use self::line::{Line, Place, Turn};
use self::link::Link;
#[cfg(feature = "mysql")]
pub use self::plan::open_mysql;
#[cfg(feature = "postgres")]
pub use self::plan::open_postgres;
use self::pool::Pool;
use self::session::{Session, Step};
use self::table::Table;
use self::task::{Answering, Progress, carry};
use crate::backend::{Reply, Request, Spawner, Ticket, waiter};
use crate::error::{Error, Kind, Result};
use crate::sys::Ours;
use crate::timeout::{Budget, Deadline};

/// A key does not fit (K-12).
const LONG_KEY: &str = "the key has more than the 255 characters that the table's column takes";

/// An operation answers at its deadline by itself, and knows best what became of it. Only where the runtime has no time
/// for it does a caller that waits go away without its answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often something is tried again that others were in the way of.
const TRIES: u32 = 64;

/// A cache in a table of a server.
pub struct Server<L: Link>(Ours<Arc<Shared<L>>>);

/// What the operations under way need.
struct Shared<L: Link> {
    table: Table,
    pool: Arc<Pool<L>>,
    line: Arc<Line>,
    spawner: Arc<dyn Spawner>,
    /// For messages.
    shown: Arc<str>,
}

impl<L: Link> Server<L> {
    fn new(table: Table, pool: Arc<Pool<L>>, spawner: Arc<dyn Spawner>, shown: Arc<str>) -> Self {
        Self(Ours::new(Arc::new(Shared { table, pool, line: Arc::default(), spawner, shown })))
    }

    fn shared(&self) -> Result<&Arc<Shared<L>>> {
        let reason = "the connections belong to the parent process; open another store in the child";
        self.0.get().ok_or_else(|| Error::new(Kind::Forked, reason))
    }

    /// Carries out an operation while the caller waits.
    fn call(&self, asked: Asked, budget: Budget) -> Result<Reply> {
        let shared = self.shared()?;
        let deadline = budget.start();
        let writes = asked.writes();
        let answer = waiter::wait(&deadline, PATIENCE, |ticket| shared.spawn(None, asked, deadline, ticket));
        answer.unwrap_or_else(|| {
            let error = late("waiting for larder's own threads", &deadline).at_server(&shared.shown);
            Err(if writes { error.maybe_done() } else { error })
        })
    }

    fn ask(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        self.call(Asked::copy(request)?, budget)
    }
}

impl<L: Link> Shared<L> {
    /// Begins the task of an operation. One that cannot begin is dropped, which answers it.
    fn spawn(self: &Arc<Self>, place: Option<(Place, Turn)>, asked: Asked, deadline: Deadline, ticket: Ticket) {
        if let Err(error) = self.spawner.prepare() {
            return ticket.answer(Err(error));
        }
        let (shared, shown) = (self.clone(), self.shown.clone());
        let work = move |progress: Arc<Progress>| async move { shared.perform(asked, &progress).await };
        let _ = self.spawner.spawn(Box::pin(carry(place, deadline, Answering::new(ticket), shown, work)));
    }

    /// Carries out an operation, as often as it takes; ended from outside at its deadline.
    async fn perform(&self, mut asked: Asked, progress: &Progress) -> Result<Reply> {
        let mut fresh = false;
        let mut tries = 0;
        loop {
            let lease = self.pool.lend(fresh).await.map_err(|fault| fault.error)?;
            progress.connected(true);
            let mut session = Session::new(lease, progress);
            let done = self.steps(&mut asked, &mut session).await;
            let is_used = session.is_used();
            session.end().await;
            let mut fault = match done {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            if !matches!(fault.nature, Nature::Broken) {
                progress.undone();
            }
            let again = match fault.nature {
                Nature::Passing => tries < TRIES,
                Nature::Undone => is_used && !fresh,
                Nature::Broken => is_used && !fresh && !asked.writes(),
                Nature::Refused | Nature::Duplicate => false,
                Nature::NoTable => {
                    fault.error = Error::new(Kind::Server, self.table.dialect.no_table());
                    false
                }
            };
            if !fault.leaves_connection() {
                self.pool.broke();
                fresh = again;
            }
            if !again {
                return Err(if progress.is_open() { fault.error.maybe_done() } else { fault.error });
            }
            progress.connected(false);
            if fault.nature == Nature::Passing {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(u64::from(tries.min(20)))).await;
            }
        }
    }

    /// The statements of an operation, in a transaction where the connection wants one.
    async fn steps(&self, asked: &mut Asked, session: &mut Session<'_, L>) -> Step<Reply> {
        if session.wants_transactions() {
            session.begin().await?;
        }
        let reply = self.step(asked, session).await?;
        session.commit().await?;
        Ok(reply)
    }

    async fn step(&self, asked: &mut Asked, session: &mut Session<'_, L>) -> Step<Reply> {
        let table = &self.table;
        Ok(match asked {
            Asked::Get(key) => Reply::Value(table.fetch(session, key).await?.map(|fetched| fetched.value)),
            Asked::Fetch(key) => Reply::Fetched(table.fetch(session, key).await?),
            Asked::Set(row, ttl, when) => Reply::Written(table.set(session, row, *ttl, *when).await?),
            Asked::Touch(key, ttl) => Reply::Touched(table.touch(session, key, *ttl).await?),
            Asked::Persist(key) => Reply::Touched(table.persist(session, key).await?),
            Asked::Ttl(key) => Reply::Left(table.ttl(session, key).await?),
            Asked::Delete(key) => Reply::Found(table.delete(session, key).await?),
            Asked::Has(key) => Reply::Found(table.has(session, key).await?),
            Asked::GetMany(keys) => {
                let fetched = table.fetch_many(session, keys).await?;
                Reply::Values(fetched.into_iter().map(|one| one.map(|fetched| fetched.value)).collect())
            }
            Asked::FetchMany(keys) => Reply::FetchedMany(table.fetch_many(session, keys).await?),
            Asked::SetMany(rows, ttl, failures) => {
                table.set_many(session, rows, *ttl).await?;
                Reply::Failures(std::mem::take(failures))
            }
            Asked::DeleteMany(keys) => Reply::Removed(table.delete_many(session, keys).await?),
            Asked::Scan(pattern, at) => Reply::Page(table.scan(session, pattern, *at).await?),
            Asked::Clear(prefix) => {
                table.clear(session, prefix.as_deref()).await?;
                Reply::Done
            }
            Asked::PurgeExpired => Reply::Removed(table.purge(session).await?),
            Asked::Ping => {
                table.ping(session).await?;
                Reply::Done
            }
            Asked::CreateTable => {
                table.create(session).await?;
                Reply::Done
            }
        })
    }
}
