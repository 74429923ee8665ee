//! The tables that hold a value: nodes, groups of nodes (lists, dicts), objects, and the bytes of strings.
//!
//! A [`Node`] is small and copied freely. Groups and objects are numbered, so that two nodes can be the same list, and
//! a list can hold itself. The items of a group lie in segments of one shared table, in the order of writing.

use std::collections::HashMap;

use bytes::Bytes;

use super::global::Known;
use super::{Limits, wtf8};
use crate::error::{Error, Kind, Result};

/// Marks "none" where a number is expected.
pub(crate) const NIL: u32 = u32::MAX;

/// Up to this many bytes, looking at all of them costs about as much as looking them up. Two bytes of a pickle repeat a
/// text of any length, so what is longer is looked at once and goes by its span from then on.
pub(crate) const SHORT: u32 = 64;

/// A range of the value's bytes: of the stored ones, or behind their end, of the side buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub start: u32,
    pub len: u32,
}

/// One Python object, or the number of one. A tag of four bytes, since behind one of a single byte the rest would be copied
/// in pieces that overlap, for which the processor has to wait: that took a quarter of the time of showing a value.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// An int beyond 64 bits: two's complement, little endian.
    Big(Span),
    Float(f64),
    /// `str`, in UTF-8 that may hold lone surrogates as three bytes each. Texts with the same `share` above zero are
    /// one object in memory, as equal dict keys are after `json.loads` (PK-2).
    Text {
        share: u32,
        span: Span,
    },
    /// Django's `SafeString`.
    Safe(Span),
    Bytes(Span),
    ByteArray(Span),
    Group(u32),
    Object(u32),
    Global(u32),
}

/// The built-in containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    List,
    Tuple,
    Set,
    FrozenSet,
    Deque,
    Dict,
    OrderedDict,
    DefaultDict,
    Counter,
}

impl GroupKind {
    /// Whether the items are keys and values by turns.
    pub fn holds_pairs(self) -> bool {
        matches!(self, Self::Dict | Self::OrderedDict | Self::DefaultDict | Self::Counter)
    }
}

#[derive(Clone, Copy, Debug)]
struct Group {
    kind: GroupKind,
    head: u32,
    tail: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u32,
    len: u32,
    next: u32,
}

/// The result of a call that was not made: data only (PK-7).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    /// What would have been called.
    pub class: Node,
    /// The arguments, a tuple's group.
    pub args: u32,
    /// Keyword arguments.
    pub kwargs: Option<Node>,
    /// What BUILD would have handed over.
    pub state: Option<Node>,
    /// Appended items, a group; [`NIL`] if there are none.
    pub items: u32,
    /// Keys and values that were set, a group; [`NIL`] if there are none.
    pub pairs: u32,
}

/// A class or function by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Global {
    pub module: Span,
    pub name: Span,
    pub known: Known,
}

/// A place in a group's items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    at: u32,
    end: u32,
    next: u32,
}

/// Everything that a value consists of.
pub(crate) struct Tables {
    stored: Bytes,
    side: Vec<u8>,
    items: Vec<Node>,
    segments: Vec<Segment>,
    groups: Vec<Group>,
    objects: Vec<Object>,
    globals: Vec<Global>,
    /// The Latin-1 bytes of long texts that were asked for.
    latin1: HashMap<Span, Span>,
    nodes_left: usize,
    side_left: usize,
}

fn index(number: u32) -> usize {
    number as usize
}

/// The number of the next entry of a table; tables are bounded far below 2**32.
fn number(len: usize) -> Result<u32> {
    u32::try_from(len).ok().filter(|n| *n < NIL).ok_or_else(too_many)
}

fn too_many() -> Error {
    Error::new(Kind::TooBig, "the value has more parts than the limit allows")
}

impl Tables {
    /// Empty tables over the bytes that spans point into.
    pub fn new(stored: Bytes, limits: &Limits) -> Result<Self> {
        let limit = limits.bytes.min(u32::MAX as usize / 2);
        if stored.len() > limit {
            return Err(Error::new(
                Kind::TooBig,
                format!("{} bytes are more than the limit of {limit} bytes", stored.len()),
            ));
        }
        Ok(Self {
            stored,
            side: Vec::new(),
            items: Vec::new(),
            segments: Vec::new(),
            groups: Vec::new(),
            objects: Vec::new(),
            globals: Vec::new(),
            latin1: HashMap::new(),
            nodes_left: limits.nodes.min(NIL as usize / 4),
            side_left: limit,
        })
    }

    /// How many stored bytes there are.
    pub fn stored_len(&self) -> usize {
        self.stored.len()
    }

    /// The bytes of a span.
    pub fn slice(&self, span: Span) -> &[u8] {
        let (start, len) = (index(span.start), index(span.len));
        let (from, start) = match start.checked_sub(self.stored.len()) {
            None => (&self.stored[..], start),
            Some(start) => (&self.side[..], start),
        };
        from.get(start..start + len).unwrap_or_default()
    }

    /// Puts bytes that the stored ones do not hold into the side buffer.
    pub fn keep(&mut self, bytes: &[u8]) -> Result<Span> {
        self.side_left = self
            .side_left
            .checked_sub(bytes.len())
            .ok_or_else(|| Error::new(Kind::TooBig, "the decoded value is larger than the limit"))?;
        let start = number(self.stored.len() + self.side.len())?;
        self.side.extend_from_slice(bytes);
        Ok(Span { start, len: number(bytes.len())? })
    }

    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        let parts = size_of_val(&*self.items)
            + size_of_val(&*self.segments)
            + size_of_val(&*self.groups)
            + size_of_val(&*self.objects)
            + size_of_val(&*self.globals);
        self.stored.len() + self.side.len() + parts
    }

    /// The Latin-1 bytes of a text, or `None` if it has other characters.
    pub fn latin1(&mut self, text: Span) -> Result<Option<Span>> {
        if let Some(known) = self.latin1.get(&text) {
            return Ok(Some(*known));
        }
        let bytes = self.slice(text);
        let found = if bytes.is_ascii() {
            text
        } else {
            let Some(bytes) = wtf8::to_latin1(bytes) else { return Ok(None) };
            self.keep(&bytes)?
        };
        if text.len > SHORT {
            self.latin1.insert(text, found);
        }
        Ok(Some(found))
    }

    /// Takes work that makes no nodes from the same budget, so that looking at one large group again and again ends.
    pub fn spend(&mut self, nodes: usize) -> Result<()> {
        self.nodes_left = self.nodes_left.checked_sub(nodes).ok_or_else(too_many)?;
        Ok(())
    }

    /// A new, empty group.
    pub fn add_group(&mut self, kind: GroupKind) -> Result<u32> {
        self.spend(1)?;
        let id = number(self.groups.len())?;
        self.groups.push(Group { kind, head: NIL, tail: NIL, len: 0 });
        Ok(id)
    }

    /// A new group that holds `items`.
    pub fn add_group_of(&mut self, kind: GroupKind, items: &[Node]) -> Result<u32> {
        let id = self.add_group(kind)?;
        self.append(id, items)?;
        Ok(id)
    }

    /// A new group with the items that another has now, as `set(list)` makes one.
    pub fn add_copy(&mut self, kind: GroupKind, of: u32) -> Result<u32> {
        let items: Vec<Node> = self.iter(of).collect();
        self.add_group_of(kind, &items)
    }

    /// Adds items to a group; for a dict, keys and values by turns.
    pub fn append(&mut self, group: u32, items: &[Node]) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        self.spend(items.len())?;
        let start = number(self.items.len())?;
        let count = number(items.len())?;
        let fresh = number(self.segments.len())?;
        self.items.extend_from_slice(items);
        let Some(group) = self.groups.get_mut(index(group)) else { return Ok(()) };
        group.len += count;
        match self.segments.get_mut(index(group.tail)) {
            Some(tail) if tail.start + tail.len == start => tail.len += count,
            tail => {
                match tail {
                    Some(tail) => tail.next = fresh,
                    None => group.head = fresh,
                }
                group.tail = fresh;
                self.segments.push(Segment { start, len: count, next: NIL });
            }
        }
        Ok(())
    }

    /// Replaces a group's items.
    pub fn replace(&mut self, group: u32, items: &[Node]) -> Result<()> {
        if let Some(group) = self.groups.get_mut(index(group)) {
            (group.head, group.tail, group.len) = (NIL, NIL, 0);
        }
        self.append(group, items)
    }

    /// A new object without anything but its class and arguments.
    pub fn add_object(&mut self, class: Node, args: u32) -> Result<u32> {
        self.spend(4)?;
        let id = number(self.objects.len())?;
        self.objects.push(Object { class, args, kwargs: None, state: None, items: NIL, pairs: NIL });
        Ok(id)
    }

    /// A class or function by name; the words of Python 2 become those of Python 3.
    pub fn add_global(&mut self, module: Span, name: Span) -> Result<u32> {
        self.spend(4)?;
        let id = number(self.globals.len())?;
        let (new_module, new_name, known) = super::global::resolve(self.slice(module), self.slice(name));
        let module = new_module.map_or(Ok(module), |text| self.keep(text.as_bytes()))?;
        let name = new_name.map_or(Ok(name), |text| self.keep(text.as_bytes()))?;
        self.globals.push(Global { module, name, known });
        Ok(id)
    }

    /// The kind of a group.
    pub fn group_kind(&self, id: u32) -> GroupKind {
        self.groups.get(index(id)).map_or(GroupKind::List, |group| group.kind)
    }

    /// The number of a group's items, keys and values counted apart.
    pub fn group_len(&self, id: u32) -> usize {
        self.groups.get(index(id)).map_or(0, |group| index(group.len))
    }

    /// How many groups there are; they are numbered from zero.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many objects there are; they are numbered from zero.
    pub fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// An object.
    pub fn object(&self, id: u32) -> Option<&Object> {
        self.objects.get(index(id))
    }

    /// An object, to add to it.
    pub fn object_mut(&mut self, id: u32) -> Option<&mut Object> {
        self.objects.get_mut(index(id))
    }

    /// A class or function.
    pub fn global(&self, id: u32) -> Option<&Global> {
        self.globals.get(index(id))
    }

    /// The beginning of a group's items.
    pub fn cursor(&self, group: u32) -> Cursor {
        Cursor { at: 0, end: 0, next: self.groups.get(index(group)).map_or(NIL, |group| group.head) }
    }

    /// The item at a cursor, which moves on.
    #[inline]
    pub fn next(&self, cursor: &mut Cursor) -> Option<Node> {
        while cursor.at == cursor.end {
            let segment = self.segments.get(index(cursor.next))?;
            *cursor = Cursor { at: segment.start, end: segment.start + segment.len, next: segment.next };
        }
        let item = self.items.get(index(cursor.at)).copied();
        cursor.at += 1;
        item
    }

    /// A group's items.
    pub fn iter(&self, group: u32) -> impl Iterator<Item = Node> + '_ {
        let mut cursor = self.cursor(group);
        std::iter::from_fn(move || self.next(&mut cursor))
    }

    /// A group's items if they lie in one piece, which is the rule.
    pub fn as_slice(&self, group: u32) -> Option<&[Node]> {
        let group = self.groups.get(index(group))?;
        match self.segments.get(index(group.head)) {
            None => Some(&[]),
            Some(only) if only.next == NIL => self.items.get(index(only.start)..index(only.start + only.len)),
            Some(_) => None,
        }
    }
}
