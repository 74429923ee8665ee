//! The JSON projection of a value: `json.dumps` where JSON can say it, the table in [`super`] where it cannot.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::ser::{CompactFormatter, Formatter};

use super::escape;
use crate::error::{Error, Kind, Result};
use crate::float;
use crate::value::arena::{Cursor, NIL, Node};
use crate::value::{Limits, Loss, Tree, dates, decimal};

/// For so many stored bytes there is room from the beginning.
const ROOM_AT_ONCE: usize = 512 << 10;

/// Shows a value as JSON text.
///
/// # Errors
///
/// [`Kind::TooBig`] beyond the limits: bytes of the text, nodes shown (what is there twice counts twice), nesting,
/// and 4300 digits of an int.
pub fn write(tree: &Tree, limits: &Limits) -> Result<(String, Loss)> {
    let tables = &tree.tables;
    let mut writer = Writer {
        tree,
        out: Vec::new(),
        steps: Vec::new(),
        nodes_left: limits.nodes,
        depth: 0,
        limits,
        exact: true,
        open_groups: vec![0; tables.group_count().div_ceil(64)],
        open_objects: vec![0; tables.object_count().div_ceil(64)],
    };
    // Most JSON is up to twice as long as its pickle; of a large value it grows as it has to.
    let _ = writer.out.try_reserve(tables.stored_len().min(ROOM_AT_ONCE).saturating_mul(2));
    writer.value(tree.root)?;
    while let Some(step) = writer.steps.pop() {
        writer.step(&step)?;
    }
    let text =
        String::from_utf8(writer.out).map_err(|_| Error::new(Kind::Undecodable, "a text in the value is not UTF-8"))?;
    Ok((text, if writer.exact { Loss::Exact } else { Loss::Lossy }))
}

/// What is still to be written; the last one is next.
enum Step {
    Literal(&'static [u8]),
    Value(Node),
    /// The rest of a list's items.
    Items {
        cursor: Cursor,
        first: bool,
    },
    /// The rest of a dict's keys and values.
    Pairs {
        cursor: Cursor,
        first: bool,
    },
    /// The rest of an object's pairs, as arrays of two.
    Rows {
        cursor: Cursor,
        first: bool,
    },
    /// The JSON text since `start` is a key, which has to be a string, and its value follows.
    Key {
        start: usize,
    },
    /// The end of a container.
    Close {
        node: Node,
        end: &'static [u8],
    },
}

struct Writer<'a> {
    tree: &'a Tree,
    out: Vec<u8>,
    steps: Vec<Step>,
    nodes_left: usize,
    depth: usize,
    limits: &'a Limits,
    exact: bool,
    /// One bit for each group, and for each object, that has begun and not ended.
    open_groups: Vec<u64>,
    open_objects: Vec<u64>,
}

impl Writer<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Literal(text) => self.push(text),
            Step::Value(node) => self.value(node),
            Step::Items { cursor, first } => self.items(cursor, first),
            Step::Pairs { cursor, first } => self.pairs(cursor, first),
            Step::Rows { mut cursor, first } => {
                let tables = &self.tree.tables;
                let (Some(key), Some(value)) = (tables.next(&mut cursor), tables.next(&mut cursor)) else {
                    return Ok(());
                };
                self.push(if first { b"[" } else { b", [" })?;
                let rest = Step::Rows { cursor, first: false };
                self.steps.extend([rest, Step::Literal(b"]"), Step::Value(value), Step::Literal(b", ")]);
                self.value(key)
            }
            Step::Key { start } => {
                let text = self.out.split_off(start.min(self.out.len()));
                if text.first() == Some(&b'"') {
                    self.out.extend_from_slice(&text);
                } else {
                    self.string(&text)?;
                }
                self.push(b": ")
            }
            Step::Close { node, end } => {
                self.mark(node, false);
                self.depth -= 1;
                self.push(end)
            }
        }
    }

    /// Items one after the other, until one is a container.
    fn items(&mut self, mut cursor: Cursor, mut first: bool) -> Result<()> {
        let tree = self.tree;
        while let Some(item) = tree.tables.next(&mut cursor) {
            if !first {
                self.push(b", ")?;
            }
            first = false;
            if matches!(item, Node::Group(_) | Node::Object(_)) {
                self.steps.push(Step::Items { cursor, first });
                return self.value(item);
            }
            self.value(item)?;
        }
        Ok(())
    }

    fn pairs(&mut self, mut cursor: Cursor, mut first: bool) -> Result<()> {
        let tree = self.tree;
        while let (Some(key), Some(value)) = (tree.tables.next(&mut cursor), tree.tables.next(&mut cursor)) {
            if !first {
                self.push(b", ")?;
            }
            first = false;
            if !self.simple_key(key)? {
                let start = self.out.len();
                self.steps.extend([Step::Pairs { cursor, first }, Step::Value(value), Step::Key { start }]);
                return self.value(key);
            }
            self.push(b": ")?;
            if matches!(value, Node::Group(_) | Node::Object(_)) {
                self.steps.push(Step::Pairs { cursor, first });
                return self.value(value);
            }
            self.value(value)?;
        }
        Ok(())
    }

    /// Writes a key that needs no look at its inside; false for all others.
    fn simple_key(&mut self, key: Node) -> Result<bool> {
        if let Node::Text { span, .. } = key {
            self.string(self.tree.tables.slice(span))?;
            return Ok(true);
        }
        self.exact = false;
        if !matches!(key, Node::None | Node::Bool(_) | Node::Int(_) | Node::Big(_) | Node::Float(_)) {
            return Ok(false);
        }
        self.push(b"\"")?;
        self.value(key)?;
        self.push(b"\"")?;
        Ok(true)
    }

    fn value(&mut self, node: Node) -> Result<()> {
        self.nodes_left =
            self.nodes_left.checked_sub(1).ok_or_else(|| too_big("it has more parts than the limit allows"))?;
        let tables = &self.tree.tables;
        match node {
            Node::None => self.push(b"null"),
            Node::Bool(true) => self.push(b"true"),
            Node::Bool(false) => self.push(b"false"),
            Node::Int(value) => self.int(value),
            Node::Big(span) => self.push(decimal(tables.slice(span))?.as_bytes()),
            Node::Float(value) => {
                float::push(&mut self.out, value, float::JSON);
                self.check(0)
            }
            Node::Text { span, .. } => self.string(tables.slice(span)),
            Node::Safe(span) => {
                self.exact = false;
                self.string(tables.slice(span))
            }
            Node::Bytes(span) | Node::ByteArray(span) => self.bytes(tables.slice(span)),
            Node::Group(id) => self.group(id),
            Node::Global(id) => {
                self.exact = false;
                self.push(b"{\"$object\": ")?;
                self.string(tables.global_name(id).as_bytes())?;
                self.push(b"}")
            }
            Node::Object(id) => self.object(id),
        }
    }

    fn int(&mut self, value: i64) -> Result<()> {
        // Writing to a Vec cannot fail.
        let _ = CompactFormatter.write_i64(&mut self.out, value);
        self.check(0)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.exact = false;
        self.check((bytes.len() / 3).saturating_mul(4))?;
        self.push(b"{\"$bytes\": \"")?;
        self.push(STANDARD.encode(bytes).as_bytes())?;
        self.push(b"\"}")
    }

    fn group(&mut self, id: u32) -> Result<()> {
        use crate::value::arena::GroupKind;
        let tables = &self.tree.tables;
        let kind = tables.group_kind(id);
        self.exact &= matches!(kind, GroupKind::List | GroupKind::Dict);
        let (begin, end) = if kind.holds_pairs() { (b"{", b"}") } else { (b"[", b"]") };
        if !self.open(Node::Group(id), end)? {
            return Ok(());
        }
        self.push(begin)?;
        let cursor = tables.cursor(id);
        // Not done here and now: nesting must not become recursion.
        let first = true;
        self.steps.push(if kind.holds_pairs() { Step::Pairs { cursor, first } } else { Step::Items { cursor, first } });
        Ok(())
    }

    fn object(&mut self, id: u32) -> Result<()> {
        self.exact = false;
        let tables = &self.tree.tables;
        if let Some(text) = dates::text(tables, id) {
            return self.string(text.as_bytes());
        }
        let Some(object) = tables.object(id) else { return self.push(b"null") };
        if !self.open(Node::Object(id), b"}")? {
            return Ok(());
        }
        self.push(b"{\"$object\": ")?;
        // The steps are in reverse: the last one is next.
        if object.pairs != NIL {
            let cursor = tables.cursor(object.pairs);
            self.steps.extend([
                Step::Literal(b"]"),
                Step::Rows { cursor, first: true },
                Step::Literal(b", \"pairs\": ["),
            ]);
        }
        let members = [
            (Some(Node::Group(object.items)).filter(|_| object.items != NIL), &b", \"items\": "[..]),
            (object.state, b", \"state\": "),
            (object.kwargs, b", \"kwargs\": "),
        ];
        for (member, name) in members {
            if let Some(node) = member {
                self.steps.extend([Step::Value(node), Step::Literal(name)]);
            }
        }
        let args = tables.cursor(object.args);
        self.steps.extend([
            Step::Literal(b"]"),
            Step::Items { cursor: args, first: true },
            Step::Literal(b", \"args\": ["),
        ]);
        match object.class {
            Node::Global(class) => self.string(tables.global_name(class).as_bytes()),
            class => {
                self.steps.push(Step::Value(class));
                Ok(())
            }
        }
    }

    /// Begins a container; false if it is open already, which is shown here.
    fn open(&mut self, node: Node, end: &'static [u8]) -> Result<bool> {
        if self.mark(node, true) {
            self.exact = false;
            self.push(b"{\"$cycle\": true}")?;
            return Ok(false);
        }
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(too_big("it nests deeper than the limit allows"));
        }
        self.steps.push(Step::Close { node, end });
        Ok(true)
    }

    /// Notes whether a container is open; the answer is whether it was.
    fn mark(&mut self, node: Node, open: bool) -> bool {
        let (bits, id) = match node {
            Node::Group(id) => (&mut self.open_groups, id as usize),
            Node::Object(id) => (&mut self.open_objects, id as usize),
            _ => return false,
        };
        let Some(word) = bits.get_mut(id / 64) else { return false };
        let bit = 1_u64 << (id % 64);
        let was = *word & bit != 0;
        *word = if open { *word | bit } else { *word & !bit };
        was
    }

    fn string(&mut self, text: &[u8]) -> Result<()> {
        // An escape takes six bytes; look closer only where that could be too much.
        if text.len().saturating_mul(6).saturating_add(2) > self.room() {
            self.check(escape::string_len(text))?;
        }
        self.exact &= escape::push_string(&mut self.out, text);
        Ok(())
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is pushed is mostly a literal of a few bytes")]
    fn push(&mut self, text: &[u8]) -> Result<()> {
        self.check(text.len())?;
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn room(&self) -> usize {
        self.limits.bytes.saturating_sub(self.out.len())
    }

    #[inline]
    fn check(&self, more: usize) -> Result<()> {
        if self.out.len().saturating_add(more) > self.limits.bytes {
            return Err(too_big("its JSON text is larger than the limit"));
        }
        Ok(())
    }
}

fn too_big(what: &str) -> Error {
    Error::new(Kind::TooBig, format!("the value cannot be shown: {what}"))
}
