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
use super::pipe::{FAR, SWEEP_PAUSE, Shared};
use super::protocol::Protocol;
use super::running::Running;
use super::stream::Stream;
use crate::backend::Spawner;
use crate::config::{Address, Resting};
use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// Connects, while requests whose deadline passes are answered.
pub(super) async fn connect_for<P: Protocol>(
    task: &Running<P>,
    spawner: &Arc<dyn Spawner>,
    deadline: &Deadline,
) -> Result<Stream> {
    let mut dial = pin!(dial(task.shared.clone(), spawner, deadline));
    loop {
        task.listen();
        let now = Instant::now();
        let next = task.sweep(now, doing(&task.shared.tools.endpoint.address)).unwrap_or(now + FAR);
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

async fn dial<P: Protocol>(shared: Arc<Shared<P>>, spawner: &Arc<dyn Spawner>, deadline: &Deadline) -> Result<Stream> {
    let mut failure = late("connecting", deadline);
    let places = places(shared.clone(), spawner, *deadline).await?;
    let mut untried = u32::try_from(places.len()).unwrap_or(u32::MAX);
    for place in &places {
        let Some(left) = deadline.left() else { break };
        match timeout(left / untried, reach(place, &shared)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = late(doing(&shared.tools.endpoint.address), deadline),
        }
        untried -= 1;
    }
    Err(failure)
}

fn doing(address: &Address) -> &'static str {
    match address {
        Address::Tls(..) => "connecting and agreeing on TLS (does the server speak it on this port?)",
        Address::Tcp(..) | Address::Unix(_) | Address::Service(_) => "connecting",
    }
}

/// The server's addresses. Certificates are read on a thread that may wait.
async fn places<P: Protocol>(
    shared: Arc<Shared<P>>,
    spawner: &Arc<dyn Spawner>,
    deadline: Deadline,
) -> Result<Vec<Place>> {
    if !shared.tools.resolver.has_certificates(&shared.tools.endpoint.address) {
        let (answer, read) = oneshot::channel();
        let shared = shared.clone();
        spawner.spawn_blocking(Box::new(move || {
            let outcome = shared.tools.resolver.tls(&shared.tools.endpoint.address).map(drop);
            drop(answer.send(outcome)); // nobody waits any more: fine
        }))?;
        read.await.unwrap_or_else(|_| Err(Error::new(Kind::Shutdown, "the context was shut down")))?;
    }
    shared.tools.resolver.places_later(&shared.tools.endpoint.address, &deadline).await
}

async fn reach<P: Protocol>(place: &Place, shared: &Shared<P>) -> Result<Stream> {
    let mut stream = plain(place, &shared.tools.endpoint.resting).await.map_err(|error| no_connection(&error))?;
    if let Some(tls) = shared.tools.resolver.tls(&shared.tools.endpoint.address)? {
        stream.secure(tls).await.inspect_err(|_| shared.tools.resolver.tls_failed())?;
    }
    Ok(stream)
}

async fn plain(place: &Place, resting: &Resting) -> io::Result<Stream> {
    let started = loop {
        match connect::begin(place, resting) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(Duration::from_millis(5)).await,
            outcome => break outcome?,
        }
    };
    let stream = Stream::new(started.socket, place)?;
    if !started.connected {
        stream.connected().await?;
    }
    Ok(stream)
}
