//! The connections of one store to its SQLite database, opened when needed.

use super::link::Link;
use crate::backend::sqlite::{self, Connected};
use crate::config::Sqlite;
use crate::error::Result;
use crate::timeout::Deadline;

/// A connection that is lent out.
pub type Lent<'a> = sqlite::Lent<'a, Link>;
/// The turn to write.
pub type Turn<'a> = sqlite::Turn<'a, Link>;

/// The connections.
pub struct Pool {
    config: Sqlite,
    links: sqlite::Pool<Link>,
}

impl Connected for Link {
    fn is_at_rest(&self) -> bool {
        self.connection.is_autocommit()
    }
}

impl Pool {
    /// At most `most` connections.
    pub fn new(config: Sqlite, most: usize) -> Self {
        Self { config, links: sqlite::Pool::new(most, most) }
    }

    /// A connection to read by.
    pub fn reader(&self, deadline: &Deadline) -> Result<Lent<'_>> {
        begun(self.links.lend(deadline, || Link::open(&self.config, false, deadline), Link::is_fit)?, deadline)
    }

    /// The turn to write, and a connection for it.
    pub fn writer(&self, deadline: &Deadline) -> Result<(Lent<'_>, Turn<'_>)> {
        let turn = self.links.turn(deadline)?;
        Ok((self.reader(deadline)?, turn))
    }

    /// As [`Pool::writer`], on a new connection that makes the file where there is none.
    pub fn creator(&self, deadline: &Deadline) -> Result<(Lent<'_>, Turn<'_>)> {
        let turn = self.links.turn(deadline)?;
        let fresh = self.links.open(deadline, || Link::open(&self.config, true, deadline))?;
        Ok((begun(fresh, deadline)?, turn))
    }
}

fn begun<'a>(lent: Lent<'a>, deadline: &Deadline) -> Result<Lent<'a>> {
    lent.link()?.begin(deadline)?;
    Ok(lent)
}
