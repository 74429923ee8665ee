//! An operation's connection, and what it says over it.

use std::time::Duration;

use tokio::time::timeout;

use super::fault::Fault;
use super::link::{Arg, Link, Row};
use super::pool::Lease;
use super::task::Progress;
use crate::error::{Error, Kind};

/// What tidying up may take of an operation that has its answer: others may have the rows locked.
const TIDY: Duration = Duration::from_millis(100);

/// The result of a step.
pub type Step<T> = std::result::Result<T, Fault>;

/// A connection in the hands of one operation.
pub struct Session<'a, L: Link> {
    lease: Lease<L>,
    progress: &'a Progress,
    sound: bool,
    inside: bool,
}

impl<'a, L: Link> Session<'a, L> {
    /// With a connection that was lent.
    pub fn new(lease: Lease<L>, progress: &'a Progress) -> Self {
        Self { lease, progress, sound: true, inside: false }
    }

    /// Whether the connection was used by others before.
    pub fn is_used(&self) -> bool {
        self.lease.used
    }

    /// Asks for rows.
    pub async fn rows(&mut self, sql: &str, args: &[Arg<'_>]) -> Step<Vec<Row>> {
        let done = self.lease.link()?.rows(sql, args).await;
        self.check(done)
    }

    /// Changes rows; how many.
    pub async fn change(&mut self, sql: &str, args: &[Arg<'_>]) -> Step<u64> {
        self.send()?;
        let done = self.lease.link()?.run(sql, args).await;
        self.check(done)
    }

    /// Changes rows, and asks for something of each.
    pub async fn change_rows(&mut self, sql: &str, args: &[Arg<'_>]) -> Step<Vec<Row>> {
        self.send()?;
        self.rows(sql, args).await
    }

    /// Changes rows that nobody misses: it does not matter whether that is allowed, and it may not take long.
    pub async fn tidy(&mut self, sql: &str, args: &[Arg<'_>]) -> u64 {
        let Ok(link) = self.lease.link() else { return 0 };
        let Ok(done) = timeout(TIDY, link.run(sql, args)).await else {
            self.sound = false;
            return 0;
        };
        self.check(done).unwrap_or_default()
    }

    /// Changes what rows are in.
    pub async fn say(&mut self, sql: &str) -> Step<()> {
        self.send()?;
        let done = self.lease.link()?.say(sql).await;
        self.check(done)
    }

    /// Whether operations go into transactions here.
    pub fn wants_transactions(&mut self) -> bool {
        self.lease.link().is_ok_and(|link| link.wants_transactions())
    }

    /// Begins a transaction, unless there is one.
    pub async fn begin(&mut self) -> Step<()> {
        if self.inside {
            return Ok(());
        }
        let done = self.lease.link()?.say("BEGIN").await;
        self.check(done)?;
        self.inside = true;
        Ok(())
    }

    /// Ends the transaction, if there is one.
    pub async fn commit(&mut self) -> Step<()> {
        if !self.inside {
            return Ok(());
        }
        let done = self.lease.link()?.say("COMMIT").await;
        self.check(done)?;
        self.inside = false;
        Ok(())
    }

    /// Puts the connection back, if it can be used again; in the end those that rested too long are closed.
    pub async fn end(mut self) {
        if self.inside && self.sound {
            self.sound = match self.lease.link() {
                Ok(link) => link.say("ROLLBACK").await.is_ok(),
                Err(_) => false,
            };
        }
        if self.sound {
            for link in self.lease.give_back() {
                link.close().await;
            }
        }
    }

    fn send(&self) -> Step<()> {
        if self.progress.send() {
            return Ok(());
        }
        Err(Error::new(Kind::Timeout, "the deadline passed before the statement could be sent").into())
    }

    fn check<T>(&mut self, done: super::link::Done<T>) -> Step<T> {
        done.map_err(|error| {
            let fault = L::fault(&error);
            self.sound &= fault.leaves_connection();
            fault
        })
    }
}
