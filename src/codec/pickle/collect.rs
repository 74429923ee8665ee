//! The opcodes that fill containers, name classes and ask for calls.

use super::call;
use super::machine::{Machine, bad, underflow};
use super::opcode as op;
use crate::error::Result;
use crate::value::arena::{GroupKind, NIL, Node, Span};

impl Machine<'_> {
    // Containers.

    pub fn group(&mut self, kind: GroupKind) -> Result<()> {
        let id = self.tables.add_group(kind)?;
        self.push(Node::Group(id))
    }

    /// Replaces the top of the stack from `start` on by a group of it.
    pub fn gather(&mut self, kind: GroupKind, start: usize) -> Result<()> {
        let items = self.stack.get(start..).ok_or_else(underflow)?;
        if kind.holds_pairs() && items.len() % 2 != 0 {
            return Err(bad("a key has no value"));
        }
        let id = self.tables.add_group_of(kind, items)?;
        self.stack.truncate(start);
        self.push(Node::Group(id))
    }

    pub fn short_tuple(&mut self, len: usize) -> Result<()> {
        if self.stack.len() < self.fence + len {
            return Err(underflow());
        }
        self.gather(GroupKind::Tuple, self.stack.len() - len)
    }

    pub fn gather_marked(&mut self, kind: GroupKind) -> Result<()> {
        let start = self.take_mark()?;
        self.gather(kind, start)
    }

    /// The place behind the object that a run of items on the stack is for, and the object; `None` for an empty run.
    pub fn run_of_items(&mut self, marked: bool, single: usize) -> Result<Option<(usize, Node)>> {
        let start =
            if marked { self.take_mark()? } else { self.stack.len().checked_sub(single).ok_or_else(underflow)? };
        if start <= self.fence {
            return Err(underflow());
        }
        if start == self.stack.len() {
            return Ok(None);
        }
        let target = start.checked_sub(1).and_then(|place| self.stack.get(place)).copied();
        Ok(Some((start, target.ok_or_else(underflow)?)))
    }

    pub fn append(&mut self, marked: bool) -> Result<()> {
        let Some((start, target)) = self.run_of_items(marked, 1)? else { return Ok(()) };
        let group = match target {
            Node::Group(id) if matches!(self.tables.group_kind(id), GroupKind::List | GroupKind::Deque) => id,
            Node::Object(id) => self.collection(id, false)?,
            _ => return Err(bad("items are appended to something that is no list")),
        };
        self.move_items(start, group)
    }

    pub fn add_items(&mut self) -> Result<()> {
        let Some((start, target)) = self.run_of_items(true, 0)? else { return Ok(()) };
        let group = match target {
            Node::Group(id) if self.tables.group_kind(id) == GroupKind::Set => id,
            Node::Object(id) => self.collection(id, false)?,
            _ => return Err(bad("items are added to something that is no set")),
        };
        self.move_items(start, group)
    }

    pub fn set_items(&mut self, marked: bool) -> Result<()> {
        let Some((start, target)) = self.run_of_items(marked, 2)? else { return Ok(()) };
        if !(self.stack.len() - start).is_multiple_of(2) {
            return Err(bad("a key has no value"));
        }
        let group = match target {
            Node::Group(id) if self.tables.group_kind(id).holds_pairs() => id,
            Node::Object(id) => self.collection(id, true)?,
            _ => return Err(bad("keys are set on something that is no dict")),
        };
        self.move_items(start, group)
    }

    pub fn move_items(&mut self, start: usize, group: u32) -> Result<()> {
        self.tables.append(group, self.stack.get(start..).unwrap_or_default())?;
        self.stack.truncate(start);
        Ok(())
    }

    /// The group that collects an opaque object's items or pairs.
    pub fn collection(&mut self, object: u32, pairs: bool) -> Result<u32> {
        let id = self.tables.object(object).map_or(NIL, |object| if pairs { object.pairs } else { object.items });
        if id != NIL {
            return Ok(id);
        }
        // Kept as a list, since nothing is known about how the class treats equal keys.
        let id = self.tables.add_group(GroupKind::List)?;
        if let Some(object) = self.tables.object_mut(object) {
            *(if pairs { &mut object.pairs } else { &mut object.items }) = id;
        }
        Ok(id)
    }

    // Names and calls.

    pub fn protocol(&mut self) -> Result<()> {
        match self.byte()? {
            0..=5 => Ok(()),
            _ => Err(bad("its protocol is newer than 5")),
        }
    }

    pub fn global(&mut self, code: u8) -> Result<()> {
        let (module, name) = if code == op::STACK_GLOBAL {
            match (self.pop()?, self.pop()?) {
                (Node::Text { span: name, .. }, Node::Text { span: module, .. }) => (module, name),
                _ => return Err(bad("a class is named by something that is no text")),
            }
        } else {
            (self.name_line()?, self.name_line()?)
        };
        let class = Node::Global(self.tables.add_global(module, name)?);
        if code != op::INST {
            return self.push(class);
        }
        self.gather_marked(GroupKind::Tuple)?;
        let args = self.pop()?;
        let made = call::call(&mut self.tables, class, args)?;
        self.push(made)
    }

    pub fn name_line(&mut self) -> Result<Span> {
        let line = self.line()?;
        if line.is_empty() || std::str::from_utf8(line).is_err() {
            return Err(bad("a class has no name"));
        }
        self.at -= 1;
        let span = self.span(line.len());
        self.at += 1;
        span
    }

    pub fn call(&mut self, code: u8) -> Result<()> {
        let made = match code {
            op::REDUCE => {
                let (args, callable) = (self.pop()?, self.pop()?);
                call::call(&mut self.tables, callable, args)?
            }
            op::NEWOBJ => {
                let (args, class) = (self.pop()?, self.pop()?);
                call::new_object(&mut self.tables, class, args, None)?
            }
            op::NEWOBJ_EX => {
                let (kwargs, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                call::new_object(&mut self.tables, class, args, Some(kwargs))?
            }
            op::OBJ => {
                let start = self.take_mark()?;
                if start >= self.stack.len() {
                    return Err(underflow());
                }
                self.gather(GroupKind::Tuple, start + 1)?;
                let (args, class) = (self.pop()?, self.pop()?);
                call::call(&mut self.tables, class, args)?
            }
            _ => {
                let state = self.pop()?;
                let target = self.top()?;
                return call::build(&mut self.tables, target, state);
            }
        };
        self.push(made)
    }
}
