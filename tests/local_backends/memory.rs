//! Memory: names, eviction, changes in one step (L-1 to L-6).

use proptest::prelude::*;

use super::*;
use larder::stored::StoredRef;

fn live(cache: &dyn Backend) -> Vec<Vec<u8>> {
    let mut keys = cache.scan(b"*", 0, BUDGET).unwrap().keys;
    keys.sort();
    keys
}

/// L-1, pitfall 25.
#[test]
fn names_are_shared_by_the_process() {
    let tables = Tables::shared();
    let one = Memory::open(&tables, "memory-shared", ROOMY);
    one.put("a", "v", LONG);
    let other = Memory::open(&Tables::shared(), "memory-shared", ROOMY);
    assert_eq!(other.read("a").unwrap(), "v");
    assert_eq!(Memory::open(&tables, "memory-other", ROOMY).read("a"), None);
    drop((one, other));
    assert_eq!(Memory::open(&tables, "memory-shared", ROOMY).read("a").unwrap(), "v");
    assert_eq!(Memory::open(&Arc::default(), "memory-shared", ROOMY).read("a"), None);
}

/// The limit is the writing alias's.
#[test]
fn aliases_of_one_table_have_their_own_limits() {
    let tables = Arc::new(Tables::default());
    let wide = Memory::open(&tables, "", ROOMY);
    let narrow = Memory::open(&tables, "", Culling { max_entries: 2, frequency: 1 });
    for name in ["a", "b", "c", "d"] {
        wide.put(name, "v", LONG);
    }
    assert_eq!(live(&wide).len(), 4);
    narrow.put("e", "v", LONG);
    assert_eq!(live(&wide), [b":1:e"]);
}

/// Golden scenario "MAX_ENTRIES 5, keys read in between (least recently used goes first)" (L-3).
#[test]
fn the_least_recently_used_go_first() {
    let cache = memory(Culling { max_entries: 5, frequency: 3 });
    for name in ["k00", "k01", "k02", "k03", "k04"] {
        cache.put(name, "v", LONG);
    }
    assert!(cache.read("k00").is_some() && cache.read("k02").is_some());
    for name in ["k05", "k06", "k07"] {
        cache.put(name, "v", LONG);
    }
    assert_eq!(live(&cache), ["k00", "k02", "k05", "k06", "k07"].map(|name| format!(":1:{name}").into_bytes()));
}

/// L-3: incr keeps the expiry.
#[test]
fn a_change_in_one_step() {
    let cache = memory(ROOMY);
    assert_eq!(cache.habits().incr, IncrBy::Update);
    let double = &mut |old: StoredRef<'_>| Ok([old.bytes, old.bytes].concat().into());
    assert!(!cache.update(&key("a"), double, BUDGET).unwrap());
    cache.put("a", "xy", LONG);
    let before = cache.get(&key("a"), BUDGET).unwrap().unwrap();
    assert!(cache.update(&key("a"), double, BUDGET).unwrap());
    assert_eq!(cache.read("a").unwrap(), "xyxy");
    assert_eq!(before.bytes, "xy"); // what was handed out stays as it was (L-2)
    assert!(matches!(cache.ttl(&key("a"), BUDGET).unwrap(), Some(Ttl::Millis(_))));
    let refuse = &mut |_: StoredRef<'_>| Err(Error::new(Kind::Type, "not a number"));
    assert_eq!(cache.update(&key("a"), refuse, BUDGET).unwrap_err().kind(), Kind::Type);
    assert_eq!(cache.read("a").unwrap(), "xyxy");
    cache.put("a", "v", SPENT);
    assert!(!cache.update(&key("a"), double, BUDGET).unwrap());
    assert!(!cache.drop_key("a")); // L-5
}

/// L-5.
#[test]
fn expired_entries_stay_until_someone_meets_them() {
    let cache = memory(ROOMY);
    for name in ["get", "has", "touch", "stays"] {
        cache.put(name, "v", SPENT);
    }
    assert_eq!(cache.read("get"), None);
    assert!(!cache.there("has"));
    assert_eq!(cache.retime("touch", LONG), Touched::Missing);
    assert!(!cache.drop_key("get") && !cache.drop_key("has"));
    assert!(cache.drop_key("touch"));
    assert!(live(&cache).is_empty());
    cache.put("live", "v", LONG);
    assert_eq!(cache.purge_expired(BUDGET).unwrap(), 1);
    assert!(!cache.drop_key("stays"));
    assert_eq!(live(&cache), [b":1:live"]);
}

#[test]
fn keys_by_pattern_and_by_prefix() {
    let cache = memory(ROOMY);
    for name in [":1:a", ":1:b*", ":2:a", "x:1:a"] {
        cache.set(&MadeKey::as_is(name), b"v".into(), LONG, When::Always, BUDGET).unwrap();
    }
    let matching = |pattern: &[u8]| {
        let page = cache.scan(pattern, 0, BUDGET).unwrap();
        assert_eq!(page.next, None);
        page.keys.len()
    };
    assert_eq!((matching(b"*"), matching(b":1:*"), matching(b":[12]:a"), matching(b"*\\*")), (4, 2, 2, 1));
    cache.clear(Some(b":1:"), BUDGET).unwrap();
    assert_eq!(live(&cache), [&b":2:a"[..], b"x:1:a"]);
    cache.clear(None, BUDGET).unwrap();
    assert!(live(&cache).is_empty());
    cache.put("again", "v", LONG);
    assert_eq!(cache.read("again").unwrap(), "v");
}

/// locmem as it is written: a list of keys, the most recently used last.
#[derive(Default)]
struct Model {
    order: Vec<(u16, bool)>,
    max: usize,
    frequency: usize,
}

impl Model {
    fn find(&self, key: u16) -> Option<(usize, bool)> {
        self.order.iter().position(|entry| entry.0 == key).map(|at| (at, self.order[at].1))
    }

    fn set(&mut self, key: u16, spent: bool) {
        if self.order.len() >= self.max {
            let gone = self.order.len().checked_div(self.frequency).unwrap_or(self.order.len());
            self.order.drain(..gone); // L-4
        }
        self.order.retain(|entry| entry.0 != key);
        self.order.push((key, spent));
    }

    /// Meets an entry; whether it is live.
    fn meet(&mut self, key: u16, uses: bool) -> bool {
        let Some((at, spent)) = self.find(key) else { return false };
        if spent || uses {
            let entry = self.order.remove(at);
            self.order.extend((!spent).then_some(entry));
        }
        !spent
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(u16, bool),
    Add(u16, bool),
    Replace(u16),
    Get(u16),
    Has(u16),
    Incr(u16),
    Touch(u16, bool),
    Delete(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..24_u16;
    let spent = prop::bool::weighted(0.2);
    prop_oneof![
        6 => (key.clone(), spent).prop_map(|(key, spent)| Op::Set(key, spent)),
        2 => (key.clone(), spent).prop_map(|(key, spent)| Op::Add(key, spent)),
        1 => key.clone().prop_map(Op::Replace),
        3 => key.clone().prop_map(Op::Get),
        2 => key.clone().prop_map(Op::Has),
        1 => key.clone().prop_map(Op::Incr),
        1 => (key.clone(), spent).prop_map(|(key, spent)| Op::Touch(key, spent)),
        1 => key.prop_map(Op::Delete),
    ]
}

fn ttl(spent: bool) -> Ttl {
    if spent { SPENT } else { LONG }
}

fn step(cache: &Memory, model: &mut Model, op: &Op) {
    let live = |model: &Model, key| model.find(key).is_some_and(|(_, spent)| !spent);
    match *op {
        Op::Set(key, spent) => {
            cache.put(&key.to_string(), "v", ttl(spent));
            model.set(key, spent);
        }
        Op::Add(key, spent) => {
            let stored = !live(model, key);
            assert_eq!(cache.add(&key.to_string(), "v", ttl(spent)) != Written::NotStored, stored);
            if stored {
                model.set(key, spent);
            }
        }
        Op::Replace(number) => {
            let written = cache.set(&key(&number.to_string()), b"v".into(), LONG, When::Present, BUDGET).unwrap();
            assert_eq!(written == Written::Stored, live(model, number));
            if written == Written::Stored {
                model.set(number, false);
            }
        }
        Op::Get(key) => assert_eq!(cache.read(&key.to_string()).is_some(), model.meet(key, true)),
        Op::Has(key) => assert_eq!(cache.there(&key.to_string()), model.meet(key, false)),
        Op::Incr(number) => {
            let found =
                cache.update(&key(&number.to_string()), &mut |old| Ok(old.bytes.to_vec().into()), BUDGET).unwrap();
            assert_eq!(found, model.meet(number, true));
        }
        Op::Touch(key, spent) => {
            let found = live(model, key);
            assert_eq!(cache.retime(&key.to_string(), ttl(spent)) != Touched::Missing, found);
            if let Some((at, _)) = model.find(key).filter(|_| found) {
                model.order[at].1 = spent;
            }
        }
        Op::Delete(key) => {
            assert_eq!(cache.drop_key(&key.to_string()), model.find(key).is_some());
            model.order.retain(|entry| entry.0 != key);
        }
    }
}

proptest! {
    /// L-3, L-4, L-5: any sequence of operations ends where Django's locmem would be.
    #[test]
    fn eviction_is_that_of_locmem(ops in prop::collection::vec(op(), 1..200), max in 0..20_usize, frequency in 0..5_usize) {
        let cache = memory(Culling { max_entries: max.try_into().unwrap(), frequency: frequency.try_into().unwrap() });
        let mut model = Model { max, frequency, ..Model::default() };
        for op in &ops {
            step(&cache, &mut model, op);
        }
        let mut expected: Vec<_> = model.order.iter().filter(|entry| !entry.1).map(|entry| format!(":1:{}", entry.0).into_bytes()).collect();
        expected.sort();
        prop_assert_eq!(live(&cache), expected);
        for key in 0..24 {
            prop_assert_eq!(cache.drop_key(&key.to_string()), model.find(key).is_some());
        }
    }
}

/// A larger table, where a cull lives on what an earlier one noted.
#[test]
fn eviction_in_a_larger_table() {
    let (max, frequency) = (1000, 50);
    let cache = memory(Culling { max_entries: 1000, frequency: 50 });
    let mut model = Model { max, frequency, ..Model::default() };
    let mut random = 1_u64;
    for number in 0..10_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = u16::try_from((random >> 33) % 3000).unwrap();
        let op = if number % 3 == 0 { Op::Get(key) } else { Op::Set(key, false) };
        step(&cache, &mut model, &op);
    }
    assert_eq!(live(&cache).len(), model.order.len());
}
