//! The life of the task: it connects, serves a connection until that breaks, and connects again when it may.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{CONNECT, Session};
use crate::backend::Spawner;
use crate::backend::net::dial::connect_for;
use crate::backend::net::pipe::{SWEEP_PAUSE, Shared};
use crate::backend::net::protocol::Protocol;
use crate::backend::net::running::Running;
use crate::error::{Error, Kind};
use crate::log::Level;
use crate::timeout::{Budget, Deadline};

/// Serves the queue: until no connection can be had, or is needed any more.
pub(in crate::backend::net) async fn run<P: Protocol>(mut task: Running<P>, spawner: Arc<dyn Spawner>) {
    loop {
        if wait_for_turn(&mut task).await {
            return;
        }
        let deadline = Budget::new(task.shared.tools.endpoint.connect.unwrap_or(CONNECT)).start();
        match connect_for(&task, &spawner, &deadline).await {
            Ok((stream, followed)) => {
                let mut session = Session::new(stream, followed, &task.shared, deadline);
                let Err(error) = session.serve(&mut task).await else { return };
                let hopeless =
                    if session.followed.is_some() { session.leave(&task, error) } else { session.end(&task, error) };
                if let Some(error) = hopeless {
                    return task.end(&error);
                }
                if task.end_if_idle() {
                    return;
                }
            }
            Err(error) => {
                task.shared.tools.counts.failed();
                let moves = task.shared.tools.whereabouts.as_ref();
                let waits = match moves {
                    Some(whereabouts) => whereabouts.is_worth_waiting(&error),
                    None => task.shared.healing.lock().was_there(Instant::now()),
                };
                let moves = moves.is_some();
                not_connected(&task.shared, &error, &deadline, moves && waits);
                if !waits || error.kind() == Kind::Shutdown {
                    return task.end(&error);
                }
                if moves && task.end_if_idle() {
                    return;
                }
            }
        }
    }
}

/// Waits until the server may be tried again; `true` if the task has ended meanwhile.
async fn wait_for_turn<P: Protocol>(task: &mut Running<P>) -> bool {
    let (not_before, why) = {
        let healing = task.shared.healing.lock();
        (healing.not_before(), healing.why())
    };
    let Some(turn) = not_before else { return false };
    let doing = format!("waiting to connect again{why}");
    loop {
        let now = Instant::now();
        if now >= turn {
            return false;
        }
        task.listen();
        let next = task.sweep(now, &doing).map_or(turn, |next| next.max(now + SWEEP_PAUSE).min(turn));
        if task.end_if_over() {
            return true;
        }
        let _ = tokio::time::timeout_at(next.into(), task.shared.wake.notified()).await;
    }
}

/// There is no connection, or it was lost before it worked. `waits`: those who wait go on waiting for one, since the
/// server may be found elsewhere.
pub(super) fn not_connected<P: Protocol>(shared: &Shared<P>, error: &Error, deadline: &Deadline, waits: bool) {
    if !waits {
        shared.tools.breaker.failed(error, deadline);
    }
    shared.ill.store(true, Ordering::Relaxed);
    let mut healing = shared.healing.lock();
    let pause = healing.failed(Instant::now(), shared.tools.whereabouts.is_some()).as_millis();
    healing.note(error);
    // pauses are short while a server is looked for: not every try is worth a line
    let level = if waits && !healing.is_milestone() { Level::Debug } else { Level::Warning };
    drop(healing);
    let (shown, why) = (error.server().unwrap_or(&shared.tools.endpoint.shown), error.reason());
    shared.tools.log.record(level, &format_args!("{shown}: {why}; the next try in {pause} ms"));
}
