//! What makes dicts and sets: keys that can be hashed, and only one of equal ones.
//!
//! Python's equality of keys: `1 == 1.0 == True`, a str never equals bytes, tuples and frozensets go by content,
//! everything else by identity. Hashing is the standard library's, seeded at random, so nobody can choose keys that
//! collide; a tuple that is shared is looked at once, so tuples of tuples cannot make this exponential either. So is a
//! long text: all the work is in proportion to the bytes and nodes of the value, however often one is repeated.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use num_bigint::BigInt;
use num_traits::FromPrimitive;

use super::arena::{GroupKind, Node, SHORT, Span, Tables};
use crate::error::{Error, Kind, Result};

/// A hashable value, by content.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key<'a> {
    None,
    Int(i64),
    /// Beyond 64 bits: two's complement, little endian, as short as possible.
    Big(Run<'a>),
    Float(u64),
    Text(Run<'a>),
    Bytes(Run<'a>),
    /// A tuple or frozenset, by the number of its content.
    Content(u32),
    Global(Run<'a>, Run<'a>),
    Object(u32),
    /// Equal to nothing, as NaN is.
    Unique(usize),
}

/// Bytes, by content. Their length alone tells which of the forms they have.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Run<'a> {
    /// Up to [`SHORT`] bytes.
    Short(Cow<'a, [u8]>),
    /// The number of the content of longer ones.
    Long(u32),
}

/// Up to this many keys are compared in pairs, which is faster than hashing.
const FEW: usize = 8;

/// Up to this many keys are told apart by their fingerprints; sorting more takes as long as hashing.
const MANY: usize = 512;

/// Finishes all dicts and sets of a value: the last of equal keys wins, at the place of the first one.
pub(crate) fn settle(tables: &mut Tables) -> Result<()> {
    let mut changes = Vec::new();
    let mut finder = Finder {
        tables,
        contents: HashMap::new(),
        of_group: HashMap::new(),
        long: HashMap::new(),
        of_span: HashMap::new(),
        unique: 0,
        shapes: [&[]; 16],
        prints: Vec::new(),
    };
    for id in 0..u32::try_from(tables.group_count()).unwrap_or(u32::MAX) {
        if let Some(items) = finder.settled(id)? {
            changes.push((id, items));
        }
    }
    for (id, items) in changes {
        tables.replace(id, &items)?;
    }
    Ok(())
}

struct Finder<'a> {
    tables: &'a Tables,
    /// The number of each content of a tuple or frozenset.
    contents: HashMap<(bool, Vec<Key<'a>>), u32>,
    of_group: HashMap<u32, u32>,
    /// The number of each content of more than [`SHORT`] bytes.
    long: HashMap<Cow<'a, [u8]>, u32>,
    of_span: HashMap<Span, u32>,
    unique: usize,
    /// Dicts whose keys are known to be distinct, by their number of items.
    shapes: [&'a [Node]; 16],
    /// Of the dict that is looked at.
    prints: Vec<u64>,
}

impl<'a> Finder<'a> {
    /// The items that a group has to have instead of its own.
    fn settled(&mut self, id: u32) -> Result<Option<Vec<Node>>> {
        let step = match self.tables.group_kind(id) {
            GroupKind::Dict | GroupKind::OrderedDict | GroupKind::DefaultDict | GroupKind::Counter => 2,
            GroupKind::Set | GroupKind::FrozenSet => 1,
            GroupKind::List | GroupKind::Tuple | GroupKind::Deque => return Ok(None),
        };
        let Some(items) = self.tables.as_slice(id) else {
            let joined: Vec<Node> = self.tables.iter(id).collect();
            return self.merged(&joined, step);
        };
        if self.are_plainly_distinct(items, step)
            || self.has_known_shape(items, step)
            || self.have_distinct_prints(items, step)
        {
            return Ok(None);
        }
        let change = self.merged(items, step)?;
        if change.is_none()
            && step == 2
            && let Some(shape) = self.shapes.get_mut(items.len() / 2 % 16)
        {
            *shape = items;
        }
        Ok(change)
    }

    /// True if the keys are the very texts of a dict that was looked at before, as in a list of similar dicts.
    fn has_known_shape(&self, items: &[Node], step: usize) -> bool {
        let Some(shape) = self.shapes.get(items.len() / 2 % 16) else { return false };
        let same = |(one, other): (&Node, &Node)| match (one, other) {
            (Node::Text { span: one, .. }, Node::Text { span: other, .. }) => one == other,
            _ => false,
        };
        step == 2 && shape.len() == items.len() && items.iter().step_by(2).zip(shape.iter().step_by(2)).all(same)
    }

    /// True if all keys are texts and few, and no two are equal, as far as a short look can tell.
    fn are_plainly_distinct(&self, items: &[Node], step: usize) -> bool {
        if items.len() > FEW * step {
            return false;
        }
        let keys = || items.iter().step_by(step);
        keys().enumerate().all(|(position, key)| {
            let Node::Text { span, .. } = *key else { return false };
            keys().take(position).all(|other| match *other {
                Node::Text { span: other, .. } => self.differ_plainly(span, other),
                _ => false,
            })
        })
    }

    /// True if all keys are short texts with different fingerprints: then no two are equal. Who makes keys with one
    /// fingerprint has them looked at more closely, and that is all.
    fn have_distinct_prints(&mut self, items: &[Node], step: usize) -> bool {
        if items.len() > MANY * step {
            return false;
        }
        self.prints.clear();
        for key in items.iter().step_by(step) {
            let Node::Text { span, .. } = *key else { return false };
            if span.len > SHORT {
                return false;
            }
            self.prints.push(fingerprint(self.tables.slice(span)));
        }
        self.prints.sort_unstable();
        self.prints.array_windows().all(|[one, next]| one != next)
    }

    fn differ_plainly(&self, one: Span, other: Span) -> bool {
        one.len != other.len || one.len <= SHORT && self.tables.slice(one) != self.tables.slice(other)
    }

    fn merged(&mut self, items: &[Node], step: usize) -> Result<Option<Vec<Node>>> {
        let mut places: HashMap<Key<'a>, usize> = HashMap::with_capacity(items.len() / step);
        let mut changed: Option<Vec<Node>> = None;
        for (position, entry) in items.chunks(step).enumerate() {
            let Some(key) = entry.first() else { continue };
            let key = self.key(*key)?;
            let end = changed.as_ref().map_or(position * step, Vec::len);
            match places.entry(key) {
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(end);
                    if let Some(kept) = &mut changed {
                        kept.extend_from_slice(entry);
                    }
                }
                std::collections::hash_map::Entry::Occupied(place) => {
                    let kept = changed.get_or_insert_with(|| items.iter().take(end).copied().collect());
                    if let (Some(slot), Some(value)) = (kept.get_mut(place.get() + 1), entry.get(1)) {
                        *slot = *value;
                    }
                }
            }
        }
        Ok(changed)
    }

    fn key(&mut self, node: Node) -> Result<Key<'a>> {
        let tables = self.tables;
        Ok(match node {
            Node::None => Key::None,
            Node::Bool(value) => Key::Int(i64::from(value)),
            Node::Int(value) => Key::Int(value),
            // No byte too many: two spans of one number have one length.
            Node::Big(span) => Key::Big(self.run(span)),
            Node::Float(value) => self.float(value),
            Node::Text { span, .. } | Node::Safe(span) => Key::Text(self.run(span)),
            Node::Bytes(span) => Key::Bytes(self.run(span)),
            Node::Global(id) => match tables.global(id) {
                Some(global) => Key::Global(self.run(global.module), self.run(global.name)),
                None => return Err(unhashable()),
            },
            Node::Object(id) => Key::Object(id),
            Node::Group(id) => Key::Content(self.content(id)?),
            Node::ByteArray(_) => return Err(unhashable()),
        })
    }

    /// The bytes of a span, long ones looked at once.
    fn run(&mut self, span: Span) -> Run<'a> {
        let bytes = self.tables.slice(span);
        if span.len <= SHORT {
            return Run::Short(Cow::Borrowed(bytes));
        }
        if let Some(number) = self.of_span.get(&span) {
            return Run::Long(*number);
        }
        let number = self.intern_long(Cow::Borrowed(bytes));
        self.of_span.insert(span, number);
        Run::Long(number)
    }

    /// Bytes that the tables do not hold, at most those of the largest float.
    fn owned_run(&mut self, bytes: Vec<u8>) -> Run<'a> {
        if bytes.len() <= SHORT as usize {
            return Run::Short(Cow::Owned(bytes));
        }
        Run::Long(self.intern_long(Cow::Owned(bytes)))
    }

    fn intern_long(&mut self, bytes: Cow<'a, [u8]>) -> u32 {
        let fresh = u32::try_from(self.long.len()).unwrap_or(u32::MAX);
        *self.long.entry(bytes).or_insert(fresh)
    }

    fn float(&mut self, value: f64) -> Key<'a> {
        if value.is_nan() {
            self.unique += 1;
            return Key::Unique(self.unique);
        }
        if value.fract() == 0.0
            && let Some(whole) = BigInt::from_f64(value)
        {
            return match i64::try_from(&whole) {
                Ok(value) => Key::Int(value),
                Err(_) => Key::Big(self.owned_run(whole.to_signed_bytes_le())),
            };
        }
        Key::Float(value.to_bits())
    }

    /// The number of a tuple's or frozenset's content. Tuples hold only what was there before them, so the walk ends;
    /// it keeps its own stack, since they nest as deeply as the writer liked.
    fn content(&mut self, id: u32) -> Result<u32> {
        let mut open = vec![id];
        while let Some(&top) = open.last() {
            if self.of_group.contains_key(&top) {
                open.pop();
                continue;
            }
            let kind = self.tables.group_kind(top);
            if !matches!(kind, GroupKind::Tuple | GroupKind::FrozenSet) {
                return Err(unhashable());
            }
            let before = open.len();
            for item in self.tables.iter(top) {
                if let Node::Group(inner) = item
                    && !self.of_group.contains_key(&inner)
                {
                    open.push(inner);
                }
            }
            if open.len() == before {
                let number = self.number_of(top, kind == GroupKind::FrozenSet)?;
                self.of_group.insert(top, number);
                open.pop();
            }
        }
        self.of_group.get(&id).copied().ok_or_else(unhashable)
    }

    /// The number of a group all of whose inner groups have theirs.
    fn number_of(&mut self, id: u32, is_set: bool) -> Result<u32> {
        let mut keys = Vec::with_capacity(self.tables.group_len(id));
        for item in self.tables.iter(id) {
            let key = match item {
                Node::Group(inner) => Key::Content(self.of_group.get(&inner).copied().ok_or_else(unhashable)?),
                other => self.key(other)?,
            };
            keys.push(key);
        }
        if is_set {
            // Sets are equal in any order: go by a number for each member, sorted.
            let distinct: HashSet<Key<'a>> = keys.drain(..).collect();
            let mut numbers = Vec::with_capacity(distinct.len());
            for key in distinct {
                numbers.push(self.intern(false, vec![key]));
            }
            numbers.sort_unstable();
            keys.extend(numbers.into_iter().map(Key::Content));
        }
        Ok(self.intern(is_set, keys))
    }

    fn intern(&mut self, is_set: bool, keys: Vec<Key<'a>>) -> u32 {
        let fresh = u32::try_from(self.contents.len()).unwrap_or(u32::MAX);
        *self.contents.entry((is_set, keys)).or_insert(fresh)
    }
}

/// Two's complement without the bytes that only repeat the sign.
pub(crate) fn shortest(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., before, last] = bytes {
        let repeats = (*last == 0 && *before < 0x80) || (*last == 0xFF && *before >= 0x80);
        if !repeats {
            break;
        }
        bytes = bytes.get(..=rest.len()).unwrap_or_default();
    }
    bytes
}

/// A number that equal texts share, and others hardly ever.
fn fingerprint(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = text.as_chunks::<8>();
    let mut print = text.len() as u64;
    for word in words {
        print = (print ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(29);
    }
    let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
    (print ^ last).wrapping_mul(FACTOR)
}

fn unhashable() -> Error {
    Error::new(Kind::Undecodable, "a list, dict, set or bytearray is used as a key")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::value::Limits;

    /// A dict of so many keys `k00`, `k01`, … with their numbers as values; one key is there twice.
    fn dict(count: u32, twice: Option<u32>) -> Vec<(u32, i64)> {
        let stored = (0..count).map(|key| format!("k{key:04}")).collect::<Vec<_>>().concat();
        let mut tables = Tables::new(Bytes::from(stored), &Limits::default()).unwrap();
        let keys = (0..count).chain(twice);
        let items: Vec<Node> = keys
            .zip(0_i64..)
            .flat_map(|(key, value)| [Node::Text { share: 0, span: Span { start: key * 5, len: 5 } }, Node::Int(value)])
            .collect();
        let id = tables.add_group_of(GroupKind::Dict, &items).unwrap();
        settle(&mut tables).unwrap();
        let items: Vec<Node> = tables.iter(id).collect();
        let pair = |pair: &[Node]| match pair {
            [Node::Text { span, .. }, Node::Int(value)] => (span.start / 5, *value),
            other => panic!("{other:?}"),
        };
        items.chunks(2).map(pair).collect()
    }

    #[test]
    fn the_last_of_equal_keys_wins_at_the_place_of_the_first() {
        for count in [1, 2, 8, 9, 44, 511, 512, 513, 2000] {
            let all: Vec<(u32, i64)> = (0..count).zip(0..).collect();
            assert_eq!(dict(count, None), all);
            let mut merged = all.clone();
            let middle = count / 2;
            merged[middle as usize].1 = i64::from(count);
            assert_eq!(dict(count, Some(middle)), merged, "{count}");
        }
    }

    #[test]
    fn fingerprints_tell_lengths_and_zeros_apart() {
        let texts: [&[u8]; 8] =
            [b"", b"\0", b"\0\0", b"\0\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\0", b"ab", b"ba", b"abcdefgh"];
        let prints: HashSet<u64> = texts.iter().map(|text| fingerprint(text)).collect();
        assert_eq!(prints.len(), texts.len());
        assert_eq!(fingerprint(b"abcdefghij"), fingerprint(b"abcdefghij".as_ref()));
    }
}
