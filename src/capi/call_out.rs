//! Calls from larder into what a program has plugged in: where its output goes, why it fails, and that nobody waits for
//! himself.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use super::argument::invalid;
use super::plugin::Plugin;
use super::sink::larder_sink;
use super::status::{
    LARDER_EBUSY, LARDER_ECONNECTION, LARDER_EDEADLOCK, LARDER_EINVAL, LARDER_EIO, LARDER_EMEMORY, LARDER_ESERVER,
    LARDER_ETIMEOUT, LARDER_ETOOBIG, LARDER_ETYPE, LARDER_EUNDECODABLE, LARDER_EUNSUPPORTED, larder_status, name,
};
use crate::error::{Error, Kind, Result};

/// What a call writes: bytes, or keys.
pub(super) struct Output {
    /// The bytes, or the keys one after the other.
    pub bytes: Vec<u8>,
    /// Where each key ends.
    pub ends: Option<Vec<usize>>,
    /// The most bytes.
    room: usize,
    /// Why it is no good.
    spoilt: Option<Error>,
}

/// A call that this thread is inside of.
struct Frame {
    /// Whose: a plug-in may not be called again before it has returned.
    whose: usize,
    /// The number of the first output.
    first: u64,
    outputs: Vec<Output>,
    /// What the program says about a failure.
    reason: Option<String>,
}

thread_local! {
    /// The innermost call is the last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// Calls that may not wait for larder to end, with and without a frame.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Numbers of outputs are never used again, so that one that is kept is recognised.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Makes an output's number look like no pointer, as handles do.
const TAG: u64 = 0x4C4F << 48; // "LO"

/// Whether this thread is inside of a plug-in's function, or a loader: it cannot wait for all to end.
pub(super) fn is_inside() -> bool {
    INSIDE.get() > 0
}

/// Runs a function of a plug-in's that writes nothing, or a loader.
pub(super) fn inside<T>(body: impl FnOnce() -> T) -> T {
    INSIDE.set(INSIDE.get() + 1);
    let answer = body();
    INSIDE.set(INSIDE.get() - 1);
    answer
}

impl Output {
    /// For at most so many bytes.
    pub fn bytes(room: usize) -> Self {
        Self { bytes: Vec::new(), ends: None, room, spoilt: None }
    }

    /// For keys, of at most so many bytes together.
    pub fn keys(room: usize) -> Self {
        Self { ends: Some(Vec::new()), ..Self::bytes(room) }
    }

    /// The keys.
    pub fn split(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.ends.as_deref().unwrap_or_default();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    fn add(&mut self, data: &[u8], is_key: bool) -> Result<()> {
        if is_key != self.ends.is_some() {
            return Err(invalid(if is_key { "this sink takes bytes, not keys" } else { "this sink takes keys" }));
        }
        // so that keys without a byte have an end too
        let taken = self.bytes.len().saturating_add(self.ends.as_deref().map_or(0, size_of_val));
        if data.len() > self.room.saturating_sub(taken) || taken > self.room {
            return Err(Error::new(Kind::TooBig, format!("it writes more than {} bytes", self.room)));
        }
        let no_memory = |_| Error::new(Kind::Memory, "no memory for what it writes");
        self.bytes.try_reserve(data.len()).map_err(no_memory)?;
        if let Some(ends) = &mut self.ends {
            ends.try_reserve(1).map_err(no_memory)?;
            ends.push(self.bytes.len() + data.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

/// A call under way.
pub(super) struct CallOut<'a> {
    plugin: &'a Plugin,
    first: u64,
}

impl<'a> CallOut<'a> {
    /// Begins a call of `whose` functions, which write to `outputs`.
    pub fn begin(plugin: &'a Plugin, whose: usize, outputs: Vec<Output>) -> Result<Self> {
        let first = NEXT.fetch_add(outputs.len().max(1) as u64, Ordering::Relaxed);
        let begun = FRAMES.try_with(|frames| {
            let mut frames = frames.borrow_mut();
            if frames.iter().any(|frame| frame.whose == whose) {
                return false;
            }
            frames.push(Frame { whose, first, outputs, reason: None });
            true
        });
        let refused = |kind, why: &str| Err(Error::new(kind, format!("the {} \"{}\" {why}", plugin.noun, plugin.name)));
        match begun {
            Ok(true) => {
                INSIDE.set(INSIDE.get() + 1);
                Ok(Self { plugin, first })
            }
            Ok(false) => {
                refused(Kind::Deadlock, "uses larder in a way that would call it again before it has returned")
            }
            Err(_) => refused(Kind::Shutdown, "cannot be called any more: this thread is ending"),
        }
    }

    /// Where output `index` goes.
    pub fn sink(&self, index: usize) -> *mut larder_sink {
        (TAG | (self.first + index as u64)) as *mut larder_sink
    }

    /// Ends the call with what the function answered. A failure that is not told in larder's words is of `kind`.
    pub fn end(self, status: larder_status, kind: Kind) -> Result<(larder_status, Vec<Output>)> {
        let plugin = self.plugin;
        let frame = self.take().ok_or_else(|| Error::new(Kind::Panic, "a call of a plug-in was lost"))?;
        if status < 0 {
            return Err(Self::failed(plugin, status, frame.reason.as_deref(), kind));
        }
        let mut outputs = frame.outputs;
        match outputs.iter_mut().find_map(|output| output.spoilt.take()) {
            Some(error) => {
                let reason = format!("the {} \"{}\": {}", plugin.noun, plugin.name, error.reason());
                Err(Error::new(error.kind(), reason))
            }
            None => Ok((status, outputs)),
        }
    }

    /// The error of a failure that a function told, which is of `kind` unless it was told in larder's words.
    pub fn failed(plugin: &Plugin, status: larder_status, reason: Option<&str>, kind: Kind) -> Error {
        let who = format_args!("the {} \"{}\"", plugin.noun, plugin.name);
        let reason = match (reason, name(status).to_str()) {
            (Some(reason), _) => format!("{who}: {reason}"),
            (None, Ok(known)) if known.starts_with("LARDER_") => format!("{who} failed with {known}"),
            (None, _) => format!("{who} failed with {status}"),
        };
        Error::new(kind_of(status).unwrap_or(kind), reason)
    }

    /// The error that a function answered what it may not.
    pub fn strange(plugin: &Plugin, function: &str, status: larder_status) -> Error {
        let (noun, of, status_name) = (plugin.noun, &plugin.name, name(status).to_string_lossy());
        let reason = format!(
            "the {noun} \"{of}\" answered its {function} with {status} ({status_name}), which means nothing there"
        );
        Error::new(Kind::Server, reason)
    }

    fn take(&self) -> Option<Frame> {
        FRAMES.with_borrow_mut(|frames| {
            let place = frames.iter().rposition(|frame| frame.first == self.first)?;
            Some(frames.remove(place))
        })
    }
}

impl Drop for CallOut<'_> {
    fn drop(&mut self) {
        drop(self.take());
        INSIDE.set(INSIDE.get() - 1);
    }
}

/// The kinds of failure that a program may tell; others would say something about larder.
pub(super) fn kind_of(status: larder_status) -> Option<Kind> {
    Some(match status {
        LARDER_EINVAL => Kind::Invalid,
        LARDER_EUNSUPPORTED => Kind::Unsupported,
        LARDER_ETYPE => Kind::Type,
        LARDER_EUNDECODABLE => Kind::Undecodable,
        LARDER_ETOOBIG => Kind::TooBig,
        LARDER_EIO => Kind::Io,
        LARDER_ECONNECTION => Kind::Connection,
        LARDER_ETIMEOUT => Kind::Timeout,
        LARDER_ESERVER => Kind::Server,
        LARDER_EMEMORY => Kind::Memory,
        LARDER_EBUSY => Kind::Busy,
        LARDER_EDEADLOCK => Kind::Deadlock,
        _ => return None,
    })
}

/// Adds to the output of a sink of this thread's.
pub(super) fn write(sink: u64, data: Result<&[u8]>, is_key: bool) -> Result<()> {
    let stale = || Error::new(Kind::Handle, "the sink is NULL, another thread's, or of a call that has returned");
    let number = sink ^ TAG;
    FRAMES.with_borrow_mut(|frames| {
        let output = frames.iter_mut().rev().find_map(|frame| {
            let index = usize::try_from(number.checked_sub(frame.first)?).ok()?;
            frame.outputs.get_mut(index)
        });
        let output = output.ok_or_else(stale)?;
        let written = data.and_then(|data| output.add(data, is_key));
        if let Err(error) = &written {
            output.spoilt.get_or_insert_with(|| error.clone());
        }
        written
    })
}

/// Says why the innermost call is going to fail; whether there is one.
pub(super) fn explain(reason: &str) -> bool {
    FRAMES.with_borrow_mut(|frames| {
        let Some(frame) = frames.last_mut() else { return false };
        frame.reason = Some(reason.to_owned());
        true
    })
}

/// Bytes as C wants them: never NULL, and something that can be read even where there is nothing.
pub(super) fn pointer<T>(bytes: &[u8]) -> *const T {
    if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr().cast() }
}
