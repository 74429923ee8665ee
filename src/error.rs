//! What can go wrong: kind, operation, alias, server, reason, and whether a retry can help.

use std::fmt;
use std::sync::Arc;

/// The result of everything fallible in larder.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure; the C statuses `LARDER_E…` mirror it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The configuration is wrong, or names something that is not built in.
    Config,
    /// An argument is wrong (an unknown number, text that is not UTF-8, a limit that is exceeded by the caller).
    Invalid,
    /// A handle is NULL, closed or stale.
    Handle,
    /// The backend cannot do this.
    Unsupported,
    /// The stored value is of a type that the operation cannot work on (incr of a text).
    Type,
    /// The stored bytes cannot be decoded.
    Undecodable,
    /// A value, key or reply is larger than the limit.
    TooBig,
    /// The operating system refused a local operation (files).
    Io,
    /// The server could not be reached, or the connection broke.
    Connection,
    /// The deadline passed.
    Timeout,
    /// The server answered with an error.
    Server,
    /// Memory could not be had.
    Memory,
    /// The queue is full.
    Busy,
    /// The call would wait for itself.
    Deadlock,
    /// The handle belongs to the parent process.
    Forked,
    /// The context is shut down.
    Shutdown,
    /// The operation was cancelled.
    Cancelled,
    /// A panic was caught; a bug in larder.
    Panic,
}

impl Kind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 18] = [
        Self::Config,
        Self::Invalid,
        Self::Handle,
        Self::Unsupported,
        Self::Type,
        Self::Undecodable,
        Self::TooBig,
        Self::Io,
        Self::Connection,
        Self::Timeout,
        Self::Server,
        Self::Memory,
        Self::Busy,
        Self::Deadlock,
        Self::Forked,
        Self::Shutdown,
        Self::Cancelled,
        Self::Panic,
    ];

    /// Its place in [`Kind::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in lower case, for people and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Invalid => "invalid",
            Self::Handle => "handle",
            Self::Unsupported => "unsupported",
            Self::Type => "type",
            Self::Undecodable => "undecodable",
            Self::TooBig => "too_big",
            Self::Io => "io",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Memory => "memory",
            Self::Busy => "busy",
            Self::Deadlock => "deadlock",
            Self::Forked => "forked",
            Self::Shutdown => "shutdown",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
        }
    }
}

/// A failure. One pointer wide, since results travel through hot paths.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Inner {
    kind: Kind,
    operation: Option<&'static str>,
    alias: Option<Arc<str>>,
    server: Option<Arc<str>>,
    reason: String,
    retriable: bool,
    may_have_happened: bool,
    turned_away: bool,
    hidden: bool,
}

impl Error {
    /// A failure of `kind` for `reason` (lower case, no full stop, no credentials, no values).
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        let retriable = matches!(kind, Kind::Connection | Kind::Timeout | Kind::Busy);
        Self(Box::new(Inner {
            kind,
            operation: None,
            alias: None,
            server: None,
            reason: reason.into(),
            retriable,
            may_have_happened: false,
            turned_away: false,
            hidden: false,
        }))
    }

    /// The same failure with more to say.
    #[must_use]
    pub fn with_reason(mut self, reason: String) -> Self {
        self.0.reason = reason;
        self
    }

    /// Names the operation, unless a lower layer named one.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Names the alias.
    #[must_use]
    pub fn on_alias(mut self, alias: &Arc<str>) -> Self {
        self.0.alias.get_or_insert_with(|| alias.clone());
        self
    }

    /// Whether the alias is named: then its store has seen the failure already.
    pub fn has_alias(&self) -> bool {
        self.0.alias.is_some()
    }

    /// Names the server (never with credentials).
    #[must_use]
    pub fn at_server(mut self, server: &Arc<str>) -> Self {
        self.0.server.get_or_insert_with(|| server.clone());
        self
    }

    /// Says whether trying again can help.
    #[must_use]
    pub fn retriable_if(mut self, retriable: bool) -> Self {
        self.0.retriable = retriable;
        self
    }

    /// Says that the server may have carried the operation out all the same (a write that timed out).
    #[must_use]
    pub fn maybe_done(mut self) -> Self {
        self.0.may_have_happened = true;
        self
    }

    /// Says that there is nothing that could have been carried out: a read.
    #[must_use]
    pub fn never_done(mut self) -> Self {
        self.0.may_have_happened = false;
        self
    }

    /// Says that the server did nothing, for what it is at the moment (a replica, not loaded yet): another server, or the
    /// same one later, may do it.
    #[must_use]
    pub fn turned_away(mut self) -> Self {
        self.0.turned_away = true;
        self
    }

    /// Marks a failure that the configuration asks to hide (DR-15).
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.0.hidden = true;
        self
    }

    /// Whether the configuration asks to hide this failure: the caller is told "ignored" instead.
    pub fn is_hidden(&self) -> bool {
        self.0.hidden
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether trying again can help.
    pub fn is_retriable(&self) -> bool {
        self.0.retriable
    }

    /// Whether the operation may have been carried out although it failed.
    pub fn may_have_happened(&self) -> bool {
        self.0.may_have_happened
    }

    /// Whether the server did nothing for what it is at the moment.
    pub fn was_turned_away(&self) -> bool {
        self.0.turned_away
    }

    /// The server, where one is named.
    pub fn server(&self) -> Option<&Arc<str>> {
        self.0.server.as_ref()
    }

    /// Why it failed, without the circumstances.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = inner.operation {
            write!(f, "{operation}")?;
            if let Some(alias) = &inner.alias {
                write!(f, " on alias '{alias}'")?;
            }
            if let Some(server) = &inner.server {
                write!(f, " at {server}")?;
            }
            f.write_str(": ")?;
        } else if let Some(alias) = &inner.alias {
            write!(f, "alias '{alias}': ")?;
        }
        f.write_str(&inner.reason)?;
        if inner.may_have_happened {
            f.write_str("; the operation may have been carried out")?;
        }
        if inner.retriable {
            f.write_str(" (a retry can help)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}
