//! Connecting on the runtime, while requests whose deadline passes are answered.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until, timeout};

use super::connect::{self, Place};
use super::fault::{late, no_connection};
use super::pipe::{FAR, Running, SWEEP_PAUSE, Shared};
use super::stream::Stream;
use crate::backend::Spawner;
use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// Connects, while requests whose deadline passes are answered.
pub(super) async fn connect_for(task: &Running, spawner: &Arc<dyn Spawner>, deadline: &Deadline) -> Result<Stream> {
    let mut dial = pin!(dial(task.shared.clone(), spawner, deadline));
    loop {
        task.listen();
        let now = Instant::now();
        let next = task.sweep(now).unwrap_or(now + FAR);
        let mut woken = pin!(task.shared.wake.notified());
        let mut timer = pin!(sleep_until(next.max(now + SWEEP_PAUSE).into()));
        let dialled = poll_fn(|context| {
            if let Poll::Ready(outcome) = dial.as_mut().poll(context) {
                return Poll::Ready(Some(outcome));
            }
            let due = woken.as_mut().poll(context).is_ready() || timer.as_mut().poll(context).is_ready();
            if due { Poll::Ready(None) } else { Poll::Pending }
        });
        if let Some(outcome) = dialled.await {
            return outcome;
        }
    }
}

async fn dial(shared: Arc<Shared>, spawner: &Arc<dyn Spawner>, deadline: &Deadline) -> Result<Stream> {
    let mut failure = late("connecting", deadline);
    let places = places(shared, spawner, *deadline).await?;
    let mut untried = u32::try_from(places.len()).unwrap_or(u32::MAX);
    for place in &places {
        let Some(left) = deadline.left() else { break };
        match timeout(left / untried, reach(place)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = no_connection(&error),
            Err(_) => failure = late("connecting", deadline),
        }
        untried -= 1;
    }
    Err(failure)
}

/// The server's addresses; a name is looked up on a thread that may wait.
async fn places(shared: Arc<Shared>, spawner: &Arc<dyn Spawner>, deadline: Deadline) -> Result<Vec<Place>> {
    if connect::is_literal(&shared.config.server.address) {
        return shared.resolver.places(&shared.config.server.address, &deadline);
    }
    let (answer, found) = oneshot::channel();
    spawner.spawn_blocking(Box::new(move || {
        let places = shared.resolver.places(&shared.config.server.address, &deadline);
        drop(answer.send(places)); // nobody waits any more: fine
    }))?;
    found.await.unwrap_or_else(|_| Err(Error::new(Kind::Shutdown, "the context was shut down")))
}

async fn reach(place: &Place) -> io::Result<Stream> {
    let started = loop {
        match connect::begin(place) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(Duration::from_millis(5)).await,
            outcome => break outcome?,
        }
    };
    let stream = Stream::new(started.socket, place)?;
    if !started.connected {
        poll_fn(|context| stream.poll_write_ready(context)).await?;
        connect::finish(stream.as_fd())?;
    }
    Ok(stream)
}
