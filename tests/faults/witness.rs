//! Who sees for itself how slow the machine is: it asks the servers that are well, without larder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use larder::error::Kind;

use super::client::Outcome;
use super::load::Record;
use super::servers::Servers;

/// How often it looks.
const BETWEEN: Duration = Duration::from_millis(5);
/// A look that takes longer was held up: mostly it takes a millisecond.
const HELD_UP: Duration = Duration::from_millis(60);

/// When the machine, or a server that is well, held plain clients up.
#[derive(Debug, Default)]
pub struct Witness(Vec<(Instant, Instant)>);

impl Witness {
    /// Looks until `over`.
    pub fn watch(servers: &Servers, over: &AtomicBool) -> Self {
        let (mut clients, mut seen) = (servers.clients_of_others(), Vec::new());
        while !clients.is_empty() && !over.load(Ordering::SeqCst) {
            let begun = Instant::now();
            std::thread::sleep(BETWEEN);
            for client in &mut clients {
                assert_eq!(client.item(b"nobody-has-this"), None);
            }
            if begun.elapsed() > BETWEEN + HELD_UP {
                seen.push((begun, Instant::now()));
            }
        }
        Self(seen)
    }

    /// Whether a call came too late while plain clients were held up too.
    pub fn excuses(&self, call: &Record) -> bool {
        let end = call.begun + call.took;
        matches!(&call.outcome, Outcome::Failed(error) if error.kind() == Kind::Timeout)
            && self.0.iter().any(|(from, until)| *from < end && call.begun < *until)
    }
}
