//! Keys by a number, and work that has to wait for other work on the same keys: a line for each key, and one for
//! everything.
//!
//! Only the order is kept here; what the work is and when it ends is known outside. No locks, no threads.
#![cfg_attr(not(feature = "net"), allow(dead_code))]

use std::collections::{BTreeMap, HashMap, VecDeque};

use smallvec::SmallVec;

/// A number for a key, never 0. Two keys with one number only cost some speed.
pub(crate) fn number(key: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut chunks = key.chunks_exact(8);
    let mut sum =
        chunks.by_ref().fold(key.len() as u64, |sum, chunk| mix(sum, chunk.try_into().map_or(0, u64::from_le_bytes)));
    for byte in chunks.remainder() {
        sum = mix(sum, u64::from(*byte));
    }
    sum = sum.wrapping_mul(FACTOR);
    (sum ^ (sum >> 32)).max(1)
}

/// Which of `places` places a key has in a table.
#[allow(clippy::cast_possible_truncation, reason = "any part of the number does")]
pub(crate) fn place(number: u64, places: usize) -> usize {
    number as usize % places
}

/// What some work touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No key.
    Nothing,
    /// Keys, by their numbers, in order and each once.
    Keys(SmallVec<[u64; 2]>),
    /// Every key.
    Everything,
}

impl Scope {
    /// Of these keys.
    pub(crate) fn of(keys: impl IntoIterator<Item = u64>) -> Self {
        let mut keys: SmallVec<[u64; 2]> = keys.into_iter().collect();
        if keys.len() > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
        Self::Keys(keys)
    }

    /// The one key, or the first.
    pub(crate) fn first(&self) -> u64 {
        match self {
            Self::Keys(keys) => keys.first().copied().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Work in order of arrival. The first in all its lines is ready; it stays in front until it is removed.
pub(crate) struct Fence<W> {
    items: BTreeMap<u64, Item<W>>,
    lines: HashMap<u64, VecDeque<u64>>,
    /// Those that touch everything.
    whole: VecDeque<u64>,
    ready: VecDeque<u64>,
    next: u64,
}

struct Item<W> {
    scope: Scope,
    work: W,
    /// It was put among those that are ready.
    told: bool,
}

impl<W> Default for Fence<W> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), lines: HashMap::new(), whole: VecDeque::new(), ready: VecDeque::new(), next: 0 }
    }
}

impl<W> Fence<W> {
    /// Whether there is no work.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How much work there is.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether new work would have to wait for some.
    pub(crate) fn holds_back(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Nothing => false,
            Scope::Everything => !self.items.is_empty(),
            Scope::Keys(keys) => !self.whole.is_empty() || keys.iter().any(|key| self.lines.contains_key(key)),
        }
    }

    /// Puts work at the end.
    pub(crate) fn push(&mut self, scope: Scope, work: W) -> u64 {
        let number = self.next;
        self.next += 1;
        match &scope {
            Scope::Nothing => {}
            Scope::Everything => self.whole.push_back(number),
            Scope::Keys(keys) => {
                for key in keys {
                    self.lines.entry(*key).or_default().push_back(number);
                }
            }
        }
        self.items.insert(number, Item { scope, work, told: false });
        self.tell_if_ready(number);
        number
    }

    /// Work that became the first in all its lines, each once.
    pub(crate) fn next_ready(&mut self) -> Option<u64> {
        loop {
            let number = self.ready.pop_front()?;
            if self.items.contains_key(&number) {
                return Some(number);
            }
        }
    }

    /// Some work and what it touches.
    pub(crate) fn get(&mut self, number: u64) -> Option<(&Scope, &mut W)> {
        self.items.get_mut(&number).map(|item| (&item.scope, &mut item.work))
    }

    /// All work, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &W)> {
        self.items.iter().map(|(number, item)| (*number, &item.work))
    }

    /// The work that came last.
    pub(crate) fn last(&self) -> Option<&W> {
        self.items.last_key_value().map(|(_, item)| &item.work)
    }

    /// Takes work out; what waited only for it is ready then.
    pub(crate) fn remove(&mut self, number: u64) -> Option<W> {
        let item = self.items.remove(&number)?;
        match item.scope {
            Scope::Nothing => {}
            Scope::Everything => {
                self.whole.retain(|one| *one != number);
                let end = self.whole.front().copied().unwrap_or(u64::MAX);
                // none where another of this kind is still before
                let range = number.min(end)..end;
                let behind: Vec<u64> = self.items.range(range).map(|(number, _)| *number).collect();
                for number in behind {
                    self.tell_if_ready(number);
                }
            }
            Scope::Keys(keys) => {
                for key in keys {
                    self.leave(key, number);
                }
            }
        }
        if let Some(first) = self.whole.front().copied() {
            self.tell_if_ready(first);
        }
        Some(item.work)
    }

    fn leave(&mut self, key: u64, number: u64) {
        let Some(line) = self.lines.get_mut(&key) else { return };
        if line.front() == Some(&number) {
            line.pop_front();
        } else {
            line.retain(|one| *one != number);
        }
        match line.front().copied() {
            Some(first) => self.tell_if_ready(first),
            None => drop(self.lines.remove(&key)),
        }
    }

    fn tell_if_ready(&mut self, number: u64) {
        let first_of_all = self.items.first_key_value().map(|(first, _)| *first);
        let Some(item) = self.items.get_mut(&number) else { return };
        let free = match &item.scope {
            Scope::Nothing => true,
            Scope::Everything => first_of_all == Some(number),
            Scope::Keys(keys) => {
                self.whole.front().is_none_or(|first| *first > number)
                    && keys.iter().all(|key| self.lines.get(key).and_then(VecDeque::front) == Some(&number))
            }
        };
        if free && !item.told {
            item.told = true;
            self.ready.push_back(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ready(fence: &mut Fence<u32>) -> Vec<u64> {
        std::iter::from_fn(|| fence.next_ready()).collect()
    }

    #[test]
    fn each_key_has_a_line() {
        let mut fence = Fence::default();
        let first = fence.push(Scope::of([1, 2]), 0);
        let second = fence.push(Scope::of([2, 3, 2]), 0);
        let third = fence.push(Scope::of([3]), 0);
        let other = fence.push(Scope::of([4]), 0);
        assert_eq!(ready(&mut fence), [first, other]);
        assert!(fence.holds_back(&Scope::of([3])) && !fence.holds_back(&Scope::of([5])));
        assert!(fence.holds_back(&Scope::Everything) && !fence.holds_back(&Scope::Nothing));
        fence.remove(first);
        assert_eq!(ready(&mut fence), [second]);
        fence.remove(third);
        fence.remove(second);
        assert!(ready(&mut fence).is_empty());
        assert!(!fence.holds_back(&Scope::of([1, 2, 3])));
    }

    #[test]
    fn what_touches_everything_waits_for_all_and_all_for_it() {
        let mut fence = Fence::default();
        let before = fence.push(Scope::of([1]), 0);
        let whole = fence.push(Scope::Everything, 0);
        let after = [fence.push(Scope::of([2]), 0), fence.push(Scope::of([3]), 0)];
        let again = fence.push(Scope::Everything, 0);
        let last = fence.push(Scope::of([3]), 0);
        assert_eq!(ready(&mut fence), [before]);
        assert!(fence.holds_back(&Scope::of([9])));
        fence.remove(before);
        assert_eq!(ready(&mut fence), [whole]);
        fence.remove(whole);
        assert_eq!(ready(&mut fence), after);
        for one in after {
            fence.remove(one);
        }
        assert_eq!(ready(&mut fence), [again]);
        fence.remove(again);
        assert_eq!(ready(&mut fence), [last]);
        fence.remove(last);
        assert!(fence.is_empty());
    }

    #[test]
    fn keys_have_numbers_of_their_own() {
        let numbers: std::collections::HashSet<u64> =
            (0..100_000).map(|number_| number(format!(":1:k{number_}").as_bytes())).collect();
        assert!(numbers.len() > 99_990, "{}", numbers.len());
        let places: std::collections::HashSet<usize> = numbers.iter().map(|one| place(*one, 1024)).collect();
        assert_eq!(places.len(), 1024);
        assert_ne!(number(b""), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        // Whatever is pushed and removed: nobody gets past somebody on the same key, and everybody gets through.
        #[test]
        fn nobody_gets_past(
            scopes in prop::collection::vec(prop::collection::vec(0..5_u64, 0..4), 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut fence = Fence::default();
            let scopes: Vec<Scope> = scopes.into_iter()
                .map(|keys| if keys.contains(&4) { Scope::Everything } else { Scope::of(keys) }).collect();
            for scope in &scopes {
                fence.push(scope.clone(), 0);
            }
            let conflict = |one: &Scope, other: &Scope| match (one, other) {
                (Scope::Keys(one), Scope::Keys(other)) => one.iter().any(|key| other.contains(key)),
                _ => true,
            };
            let (mut running, mut done, mut order) = (ready(&mut fence), Vec::new(), order.iter());
            while !running.is_empty() {
                for one in &running {
                    let index = usize::try_from(*one).unwrap();
                    let passed = (0..index).filter(|before| conflict(&scopes[*before], &scopes[index]))
                        .any(|before| !done.contains(&(before as u64)));
                    prop_assert!(!passed);
                }
                let pick = order.next().unwrap().index(running.len());
                let number = running.swap_remove(pick);
                fence.remove(number);
                done.push(number);
                running.extend(ready(&mut fence));
            }
            prop_assert_eq!(done.len(), scopes.len());
        }
    }
}
