//! The reader's memo: dense numbers in a vector, far ones in a map, so that one large number costs nothing.

use std::collections::HashMap;

use crate::value::arena::Node;

/// The largest number that is taken. CPython makes room for twice the number: it runs out of memory before this.
const LARGEST: usize = 1 << 27;

pub struct Memo {
    near: Vec<Option<Node>>,
    far: HashMap<usize, Node>,
    /// How many numbers are taken: MEMOIZE uses this as the next one.
    len: usize,
}

impl Memo {
    pub fn new() -> Self {
        Self { near: Vec::new(), far: HashMap::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, number: usize) -> Option<Node> {
        match self.near.get(number) {
            Some(Some(node)) => Some(*node),
            _ if self.far.is_empty() => None,
            _ => self.far.get(&number).copied(),
        }
    }

    /// Remembers a node; false if the number is out of all bounds.
    pub fn put(&mut self, number: usize, node: Node) -> bool {
        if number == self.near.len() && self.far.is_empty() {
            self.near.push(Some(node));
            self.len += 1;
            return true;
        }
        self.put_anywhere(number, node)
    }

    fn put_anywhere(&mut self, number: usize, node: Node) -> bool {
        if number > LARGEST {
            return false;
        }
        let known = self.get(number).is_some();
        if number >= self.near.len() && number <= 2 * self.len + 64 {
            self.near.resize(number + 1, None);
        }
        match self.near.get_mut(number) {
            Some(slot) => {
                *slot = Some(node);
                self.far.remove(&number);
            }
            None => {
                self.far.insert(number, node);
            }
        }
        self.len += usize::from(!known);
        true
    }
}
