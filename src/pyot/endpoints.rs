//! The endpoints that the stores of a pipeline know, and for how long each keeps them. Every get asks for both, so they are
//! numbered once.

use super::ask::TokenRef;
use super::policy::Keeps;
use crate::config::{Expirations, Expiry};
use crate::timeout::Ttl;

/// So many bytes at the end of a name tell most of them apart.
const TAIL: usize = 4;

/// The endpoints that any store knows, by number.
#[derive(Default)]
pub(super) struct Endpoints {
    /// Sorted.
    names: Vec<Box<str>>,
    /// How each ends; `None` where that says nothing: it is too short, or its spaces are not spaces in tokens (PY-T3).
    tails: Vec<Option<[u8; TAIL]>>,
}

/// For how long a store keeps each of them.
pub(super) struct Table {
    known: Vec<Keeps>,
    others: Keeps,
}

impl Endpoints {
    /// All that these know.
    pub fn of<'a>(tables: impl Iterator<Item = &'a Expirations>) -> Self {
        let mut names: Vec<Box<str>> = tables.flat_map(Expirations::names).map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        let tail = |name: &str| name.as_bytes().last_chunk().copied().filter(|_| !name.contains(' '));
        Self { tails: names.iter().map(|name| tail(name)).collect(), names }
    }

    /// Which of them a token calls.
    pub fn find(&self, token: TokenRef<'_>, model: &str) -> Option<usize> {
        let end = if token.is_path(model) { None } else { token.before_brace().last_chunk::<TAIL>() };
        let can_be = |tail: &Option<[u8; TAIL]>| end.is_none() || tail.is_none() || tail.as_ref() == end;
        let names = self.names.iter().zip(&self.tails).filter(|(_, tail)| can_be(tail)).map(|(name, _)| &**name);
        self.number(token.method(model, names)?)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| (**known).cmp(name)).ok()
    }

    /// What EXPIRATIONS say about them.
    pub fn table(&self, expirations: &Expirations) -> Table {
        let keeps = |name| match expirations.of(name) {
            Some(Expiry::Seconds(seconds)) => Keeps::For(Ttl::Millis(seconds.saturating_mul(1000))),
            Some(Expiry::Forever) => Keeps::For(Ttl::Forever),
            Some(Expiry::Never) => Keeps::Never,
            None => Keeps::Unknown,
        };
        Table { known: self.names.iter().map(|name| keeps(name)).collect(), others: keeps("") }
    }
}

impl Table {
    /// For how long an endpoint is kept.
    pub fn of(&self, endpoint: Option<usize>) -> Keeps {
        endpoint.and_then(|number| self.known.get(number)).copied().unwrap_or(self.others)
    }
}
