//! The keys of JSON objects.

use std::hash::{BuildHasher, RandomState};

use crate::value::arena::{Node, Span, Tables};

/// The distinct keys of all objects: equal keys are one object in Python (PK-2), and have one number here.
pub struct Keys {
    hasher: RandomState,
    /// Numbers of keys by hash, open addressing; zero is empty.
    slots: Vec<u32>,
    /// Hash and text of each key; the number zero is not used.
    known: Vec<(u64, Span)>,
    /// For each key the place of its value, and the number of the object in which that was seen.
    seen: Vec<(u32, usize)>,
    objects: u32,
}

impl Keys {
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: vec![0; 64],
            known: vec![(0, Span::default())],
            seen: vec![(0, 0)],
            objects: 0,
        }
    }

    /// The text node of a key, which is the same for equal keys.
    pub fn shared(&mut self, tables: &Tables, span: Span) -> Node {
        let text = tables.slice(span);
        let hash = self.hasher.hash_one(text);
        let mut place = self.place(hash);
        while let Some(&number) = self.slots.get(place).filter(|number| **number != 0) {
            let Some(&(known_hash, known)) = self.known.get(number as usize) else { break };
            if known_hash == hash && tables.slice(known) == text {
                return Node::Text { share: number, span: known };
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
        // Numbers fit: there are fewer keys than bytes, and those are fewer than 2**31.
        let number = u32::try_from(self.known.len()).unwrap_or(0);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = number;
        }
        self.known.push((hash, span));
        self.seen.push((0, 0));
        if self.known.len() * 2 > self.slots.len() {
            self.grow();
        }
        Node::Text { share: number, span }
    }

    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash & (self.slots.len() as u64 - 1)).unwrap_or(0)
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for (number, (hash, _)) in self.known.iter().enumerate().skip(1) {
            let mut place = self.place(*hash);
            while self.slots.get(place).is_some_and(|slot| *slot != 0) {
                place = (place + 1) & (self.slots.len() - 1);
            }
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = u32::try_from(number).unwrap_or(0);
            }
        }
    }

    /// Lets the last of equal keys win, at the place of the first one; the object's items begin at `start`.
    pub fn merge(&mut self, values: &mut Vec<Node>, start: usize) {
        self.objects += 1;
        let mut end = start;
        let mut at = start;
        while let Some(&[key, value]) = values.get(at..at + 2) {
            at += 2;
            let Node::Text { share, .. } = key else { continue };
            let Some(seen) = self.seen.get_mut(share as usize) else { continue };
            if seen.0 == self.objects {
                if let Some(slot) = values.get_mut(seen.1) {
                    *slot = value;
                }
                continue;
            }
            *seen = (self.objects, end + 1);
            if end + 2 < at
                && let Some([to_key, to_value]) = values.get_mut(end..end + 2)
            {
                (*to_key, *to_value) = (key, value);
            }
            end += 2;
        }
        values.truncate(end);
    }
}
