use super::*;
use crate::config::{Address, Resting};
use crate::error::Result;
use crate::log::Silent;

const FAR: Nanos = clock::NEVER - 1;

/// Keeps tasks, and runs none.
#[derive(Default)]
struct Never(crate::lock::Mutex<Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Spawner for Never {
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        self.0.lock().push(task);
        Ok(())
    }

    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) -> Result<()> {
        Ok(())
    }
}

/// With a link to a server that nobody connects to.
fn tracked() -> Arc<Tracked> {
    let address = Address::Tcp("127.0.0.1".to_owned(), 1);
    let server = Server {
        address: address.clone(),
        username: None,
        password: None,
        database: 0,
        client_name: None,
        shown: "a server".into(),
    };
    let dialler = Dialler::new(address, Resting::default());
    let way = Way { dialler, server: Arc::new(server), connect: Duration::from_secs(1), log: Arc::new(Silent) };
    Tracked::new(NearCache::default(), [way], None, Arc::new(Never::default()))
}

fn fetched(value: &'static [u8]) -> Fetched {
    Fetched { value: Bytes::from_static(value).into(), left: Some(Ttl::Forever) }
}

fn key() -> MadeKey {
    MadeKey::as_is("k")
}

fn value(tracked: &Tracked) -> Option<Vec<u8>> {
    tracked.value(&key()).map(|stored| stored.bytes.to_vec())
}

#[test]
fn what_is_read_is_kept_while_the_server_tells_what_changes() {
    let tracked = tracked();
    assert!(tracked.begin(&key()).is_none(), "nobody tells of changes yet");
    tracked.stands(0, FAR);
    let token = tracked.begin(&key());
    tracked.keep(token.as_ref(), &key(), Some(&fetched(b"v")));
    assert_eq!(value(&tracked).as_deref(), Some(&b"v"[..]));
    assert!(tracked.falls(0));
    assert_eq!(value(&tracked), None);
    assert!(tracked.begin(&key()).is_none());
    assert!(!tracked.falls(0), "it had fallen already");
}

// A reader sees that the link stands, and is held up; the link falls, with all that is kept; and then the reader takes its
// token, which nothing is against, and reads what is changed a moment later. Nobody tells of that change. So nothing of
// the time in which no link stood may be used, or get in, once one stands anew.
#[test]
fn nothing_outlives_a_time_in_which_nobody_told_of_changes() {
    for kept_before in [true, false] {
        let tracked = tracked();
        tracked.stands(0, FAR);
        assert!(tracked.falls(0));
        let late = tracked.table.begin(key().as_bytes(), 0);
        assert!(late.is_some(), "this is what cannot be kept from happening");
        if kept_before {
            tracked.keep(late.as_ref(), &key(), Some(&fetched(b"old")));
            assert_eq!(value(&tracked), None, "no lease");
        }
        tracked.stands(0, FAR);
        if !kept_before {
            tracked.keep(late.as_ref(), &key(), Some(&fetched(b"old")));
        }
        assert_eq!(value(&tracked), None, "kept before the link stood anew: {kept_before}");
        assert_eq!(tracked.stats().entries, 0);
        // and what is read from now on is kept as ever
        let token = tracked.begin(&key());
        tracked.keep(token.as_ref(), &key(), Some(&fetched(b"new")));
        assert_eq!(value(&tracked).as_deref(), Some(&b"new"[..]));
    }
}
