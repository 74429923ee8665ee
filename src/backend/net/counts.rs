//! What the health of a server is told by. Only counted, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one server, shared by its transports; they began with the store.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Connections that are open now.
    pub(super) connections: AtomicU64,
    /// Connections that were made.
    pub(super) connected: AtomicU64,
    /// Attempts to connect that failed.
    pub(super) connect_failures: AtomicU64,
}

impl Counts {
    /// Counts a connection that was made, for as long as the guard lives.
    pub(super) fn opened(self: &Arc<Self>) -> Open {
        self.connected.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// Counts an attempt to connect that failed.
    pub(super) fn failed(&self) {
        self.connect_failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
