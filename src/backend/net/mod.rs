//! What all caches on servers have in common: the way to a socket, and two transports over it, whatever is spoken there
//! (a [`Protocol`]).
//!
//! `connect` is the way to a socket, `input` what is read from one. `pool` with `blocking` serves synchronous calls, on
//! the caller's own thread; `pipe` with `session` the others; `lanes` puts those in order. [`Server`] is both behind one
//! face: many synchronous callers at once share a pipe. `spread` asks several servers at once, `join` makes one answer of
//! theirs, and `turns` lets a job wait for its turn on all of them. `line` is a connection of one task's own.

mod blocking;
mod breaker;
#[cfg(feature = "tls")]
mod certificates;
mod connect;
mod counts;
mod dial;
mod fault;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod heal;
pub(crate) mod input;
mod join;
mod lanes;
#[cfg(feature = "redis")]
mod line;
mod pipe;
mod pool;
mod protocol;
mod queue;
mod recent;
mod repeat;
mod request;
mod running;
mod server;
mod session;
mod spread;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
#[cfg(feature = "tls")]
mod tls_fault;
mod turns;
mod visit;
mod waiting;
mod whereabouts;
mod wire;

#[cfg(feature = "memcached")]
pub(crate) use breaker::Watch;
#[cfg(feature = "redis")]
pub(crate) use fault::lost;
pub(crate) use fault::unexpected;
#[cfg(feature = "redis")]
pub(crate) use heal::Healing;
pub(crate) use input::{Found, Input, garbage};
pub(crate) use join::Whole;
#[cfg(feature = "redis")]
pub(crate) use line::{Dialler, Line};
pub(crate) use pool::Pool;
pub(crate) use protocol::{Decoding, Endpoint, Expecting, Nature, Next, Protocol, Reading, Way};
pub(crate) use server::Server;
pub(crate) use spread::{Spread, divide};
pub(crate) use turns::Turns;
#[cfg(feature = "redis")]
pub(crate) use visit::Visitor;
pub(crate) use whereabouts::Finder;
#[cfg(feature = "redis")]
pub(crate) use whereabouts::{Spot, Unfound};
