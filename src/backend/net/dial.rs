//! Connecting on the runtime, while requests whose deadline passes are answered.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until, timeout};

use super::connect::{self, Place, Resolver};
use super::fault::{late, no_connection};
use super::pipe::{FAR, SWEEP_PAUSE, Shared};
use super::protocol::Protocol;
use super::running::Running;
use super::stream::Stream;
use super::whereabouts::{Followed, share};
use crate::backend::Spawner;
use crate::config::{Address, Resting};
use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// A server that can move gets no more time at one place: it may be at another meanwhile.
const LONGEST_SHARE: Duration = Duration::from_secs(1);

/// Connects, while requests whose deadline passes are answered.
pub(super) async fn connect_for<P: Protocol>(
    task: &Running<P>,
    spawner: &Arc<dyn Spawner>,
    deadline: &Deadline,
) -> Result<Dialled> {
    let mut dial = pin!(dial(task.shared.clone(), spawner, deadline));
    let why = task.shared.healing.lock().why();
    let doing = format!("{}{why}", doing(&task.shared.tools.endpoint.address));
    loop {
        task.listen();
        let now = Instant::now();
        let next = task.sweep(now, &doing).unwrap_or(now + FAR);
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

/// A connection, and where it leads where the server can move.
type Dialled = (Stream, Option<Followed>);

async fn dial<P: Protocol>(shared: Arc<Shared<P>>, spawner: &Arc<dyn Spawner>, deadline: &Deadline) -> Result<Dialled> {
    let Some(whereabouts) = &shared.tools.whereabouts else {
        let stream = road(&shared).dial(&shared.tools.endpoint.address, spawner, deadline).await?;
        return Ok((stream, None));
    };
    let epoch = whereabouts.epoch(); // what changes from here on is looked at
    let spots = whereabouts.find_later(deadline).await?;
    let mut failure = late("connecting", deadline);
    let mut others = u32::try_from(spots.len()).unwrap_or(u32::MAX);
    for spot in &spots {
        others = others.saturating_sub(1);
        let Some(left) = deadline.left() else { break };
        let share = deadline.at_most(share(left, others).min(LONGEST_SHARE));
        match road(&shared).dial(&spot.address, spawner, &share).await {
            Ok(stream) => return Ok((stream, Some(Followed::new(whereabouts, spot, epoch)))),
            Err(error) => failure = error.at_server(&spot.shown),
        }
    }
    whereabouts.distrust();
    Err(failure)
}

fn road<P: Protocol>(shared: &Shared<P>) -> Road<'_> {
    Road { resolver: &shared.tools.resolver, resting: &shared.tools.endpoint.resting }
}

/// The way to a socket, for tasks.
pub(super) struct Road<'a> {
    /// Finds addresses.
    pub(super) resolver: &'a Arc<Resolver>,
    /// How connections that rest are kept.
    pub(super) resting: &'a Resting,
}

impl Road<'_> {
    /// Connects to a server that is where its address says.
    pub(super) async fn dial(
        &self,
        address: &Address,
        spawner: &Arc<dyn Spawner>,
        deadline: &Deadline,
    ) -> Result<Stream> {
        let mut failure = late("connecting", deadline);
        let places = self.places(address, spawner, deadline).await?;
        let mut untried = u32::try_from(places.len()).unwrap_or(u32::MAX);
        for place in &places {
            let Some(left) = deadline.left() else { break };
            match timeout(left / untried, self.reach(place, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = late(doing(address), deadline),
            }
            untried -= 1;
        }
        Err(failure)
    }

    /// The server's addresses. Certificates are read on a thread that may wait.
    async fn places(&self, address: &Address, spawner: &Arc<dyn Spawner>, deadline: &Deadline) -> Result<Vec<Place>> {
        if !self.resolver.has_certificates(address) {
            let (answer, read) = oneshot::channel();
            let (resolver, address) = (self.resolver.clone(), address.clone());
            spawner.spawn_blocking(Box::new(move || {
                let outcome = resolver.tls(&address).map(drop);
                drop(answer.send(outcome)); // nobody waits any more: fine
            }))?;
            read.await.unwrap_or_else(|_| Err(Error::new(Kind::Shutdown, "the context was shut down")))?;
        }
        self.resolver.places_later(address, deadline).await
    }

    async fn reach(&self, place: &Place, address: &Address) -> Result<Stream> {
        let mut stream = plain(place, self.resting).await.map_err(|error| no_connection(&error))?;
        if let Some(tls) = self.resolver.tls(address)? {
            stream.secure(tls).await.inspect_err(|_| self.resolver.tls_failed())?;
        }
        Ok(stream)
    }
}

fn doing(address: &Address) -> &'static str {
    match address {
        Address::Tls(..) => "connecting and agreeing on TLS (does the server speak it on this port?)",
        Address::Tcp(..) | Address::Unix(_) => "connecting",
        Address::Service(_) => "looking for the server and connecting",
    }
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
