//! One connection to a database server: the little that larder asks of PostgreSQL's and MySQL's protocols.

use super::fault::Fault;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Int(i64),
}

/// A row: the columns as text, as the server would print them.
pub type Row = Vec<String>;

/// The result of what a connection does.
pub type Done<T> = std::result::Result<T, sqlx::Error>;

/// A connection. Dropping it says nothing to the server; it is how a connection in an unknown state ends.
pub trait Link: Send + Sized + 'static {
    /// Whom to connect to, and how a session begins.
    type Plan: Send + Sync + 'static;

    /// Connects, and sets the session up as Django does.
    fn connect(plan: &Self::Plan) -> impl Future<Output = Done<Self>> + Send;

    /// Runs a statement that answers rows.
    fn rows(&mut self, sql: &str, args: &[Arg<'_>]) -> impl Future<Output = Done<Vec<Row>>> + Send;

    /// Runs a statement that does not; how many rows it found to change.
    fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> impl Future<Output = Done<u64>> + Send;

    /// Runs a statement without parameters that need not be prepared (BEGIN, CREATE TABLE).
    fn say(&mut self, sql: &str) -> impl Future<Output = Done<()>> + Send;

    /// Whether each operation needs a transaction around it: a pooler in between gives each one a session of its own.
    fn wants_transactions(&self) -> bool {
        false
    }

    /// Asks whether the server is still there.
    fn ping(&mut self) -> impl Future<Output = Done<()>> + Send;

    /// Says good-bye.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// What an error means.
    fn fault(error: &sqlx::Error) -> Fault;
}
