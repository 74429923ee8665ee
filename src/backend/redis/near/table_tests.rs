use super::*;

const FAR: Nanos = clock::NEVER - 1;

fn table() -> Table {
    Table::new(Limits { entries: 1000, bytes: 1 << 20 })
}

fn put(table: &Table, key: &[u8], value: &[u8]) {
    let token = table.begin(key, 0).unwrap();
    table.put(&token, key, value, FAR, FAR);
}

fn get(table: &Table, key: &[u8]) -> Option<Vec<u8>> {
    table.look(key, |_| FAR, |entry| entry.value().to_vec())
}

/// Something that keeps a read that is under way out.
type Change = fn(&Table);

#[test]
fn what_was_read_gets_in_unless_something_changed() {
    let table = table();
    put(&table, b"k", b"one");
    assert_eq!(get(&table, b"k").unwrap(), b"one");
    let changes: [Change; 4] = [
        |table| table.forget(b"k"),
        |table| table.forget_all(Some(0)),
        |table| {
            let hash = table.hash(b"k");
            table.begin_write(hash, b"k");
            table.end_write(hash);
        },
        |table| {
            table.begin_write_all();
            table.end_write_all();
        },
    ];
    for change in changes {
        put(&table, b"k", b"two");
        let token = table.begin(b"k", 0).unwrap();
        change(&table);
        assert_eq!(get(&table, b"k"), None);
        table.put(&token, b"k", b"old", FAR, FAR);
        assert_eq!(get(&table, b"k"), None);
        assert_eq!((table.stats().entries, table.stats().bytes), (0, 0));
    }
}

#[test]
fn nothing_gets_in_while_it_is_written() {
    let table = table();
    let hash = table.hash(b"k");
    table.begin_write(hash, b"k");
    table.begin_write(hash, b"k");
    assert!(table.begin(b"k", 0).is_none());
    table.end_write(hash);
    assert!(table.begin(b"k", 0).is_none());
    table.end_write(hash);
    assert!(table.begin(b"k", 0).is_some());
    table.begin_write_all();
    assert!(table.begin(b"k", 0).is_none() && table.begin(b"other", 0).is_none());
    table.end_write_all();
    assert!(table.begin(b"k", 0).is_some());
}

#[test]
fn the_servers_are_told_apart() {
    let table = table();
    for number in 0..100_u32 {
        let key = number.to_le_bytes();
        let token = table.begin(&key, usize::from(number % 3 == 0)).unwrap();
        table.put(&token, &key, b"v", FAR, FAR);
    }
    table.forget_all(Some(1));
    assert_eq!(table.stats().entries, 66);
    assert_eq!(get(&table, &0_u32.to_le_bytes()), None);
    // one's lease has ended
    let until = |server: usize| if server == 0 { 0 } else { FAR };
    assert!(table.look(&1_u32.to_le_bytes(), until, |_| ()).is_none());
    assert!(get(&table, &1_u32.to_le_bytes()).is_some());
    table.forget_all(None);
    assert_eq!((table.stats().entries, table.stats().bytes), (0, 0));
}

#[test]
fn time_passes() {
    let table = table();
    let token = table.begin(b"k", 0).unwrap();
    table.put(&token, b"k", b"v", clock::now(), FAR); // it is over already
    assert_eq!(table.stats().entries, 0);
    let end = clock::now() + 20_000_000;
    table.put(&token, b"k", b"v", end, FAR);
    while clock::now() < end - 5_000_000 {
        assert!(get(&table, b"k").is_some() || clock::now() >= end);
    }
    while clock::now() < end {}
    assert_eq!(get(&table, b"k"), None);
    put(&table, b"k", b"new");
    assert_eq!((get(&table, b"k").unwrap(), table.stats().entries), (b"new".to_vec(), 1));
}

#[test]
fn what_is_left_is_told_by_the_server_s_end_and_not_by_ours() {
    let table = table();
    for (ends, left) in [(clock::NEVER, Ttl::Forever), (clock::now() + 60_000_000_000, Ttl::Millis(60_000))] {
        let token = table.begin(b"k", 0).unwrap();
        table.put(&token, b"k", b"v", clock::now() + 10_000_000_000, ends);
        let told = table.look(b"k", |_| FAR, Entry::left).flatten().unwrap();
        match (told, left) {
            (Ttl::Millis(told), Ttl::Millis(left)) => assert!((left - 5000..=left).contains(&told), "{told}"),
            other => assert_eq!(other, (Ttl::Forever, Ttl::Forever)),
        }
    }
}

#[test]
fn what_is_used_stays() {
    let table = Table::new(Limits { entries: 6400, bytes: 1 << 22 }); // about a hundred in each shard
    let hot: Vec<[u8; 4]> = (0..100_u32).map(u32::to_le_bytes).collect();
    for key in &hot {
        put(&table, key, b"hot");
    }
    for number in 1000..41_000_u32 {
        put(&table, &number.to_le_bytes(), b"cold");
        if number % 100 == 0 {
            for key in &hot {
                get(&table, key);
            }
        }
    }
    assert_eq!(table.stats().entries, 6400);
    let left = hot.iter().filter(|key| get(&table, &key[..]).is_some()).count();
    assert_eq!(left, 100, "without a thought for use about one would be");
}

#[test]
fn many_threads_leave_the_sums_right() {
    let table = Table::new(Limits { entries: 50, bytes: 20_000 });
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let table = &table;
            scope.spawn(move || {
                for number in 0..5000_u32 {
                    let key = (number.wrapping_mul(7919).wrapping_add(thread) % 100).to_le_bytes();
                    match number % 7 {
                        0 => table.forget(&key),
                        1 if number % 100 == 1 => table.forget_all(Some(0)),
                        2 | 3 => drop(get(table, &key)),
                        _ => {
                            if let Some(token) = table.begin(&key, 0) {
                                table.put(&token, &key, &[1; 200], FAR, FAR);
                            }
                        }
                    }
                }
            });
        }
    });
    let stats = table.stats();
    assert!(stats.entries <= 50 && stats.bytes <= 20_000, "{stats:?}");
    table.forget_all(None);
    assert_eq!((table.stats().entries, table.stats().bytes), (0, 0));
}
