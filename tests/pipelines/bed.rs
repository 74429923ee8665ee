//! What the tests stand on: an open pipeline, both faces of it, loaders, and what was logged.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use larder::backend::memory::Tables;
use larder::backend::{Answer, Sink, Ticket, When};
use larder::codec::Input;
use larder::config::{Config, read};
use larder::error::Result;
use larder::log::{Level, Log};
use larder::pyot::ask::{Ask, Found, Loaded, Operation, Outcome, OwnedInput, TokenRef};
use larder::pyot::counts::Snapshot;
use larder::pyot::flight::Flights;
use larder::pyot::load::{Load, Loader};
use larder::pyot::pipeline::Pipeline;
use larder::runtime::Runtime;
use larder::store::{Call, Store, Surroundings};
use larder::timeout::{Budget, Ttl, TtlChoice};
use serde_json::{Value, json};

/// A token of the endpoint `summoner_v4_by_name`.
pub const ONE: &str = "lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}";
/// Another one.
pub const TWO: &str = "lolna1summoner_v4_by_name{'name':_'Faker'}{}";
/// Longer than any test waits for something to happen.
pub const LONG: Duration = Duration::from_mins(1);

/// How an operation is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// On the caller's thread.
    Now,
    /// Begun, and answered later.
    Later,
}

/// Both.
pub const FACES: [Face; 2] = [Face::Now, Face::Later];

/// Keeps what is logged.
#[derive(Default)]
pub struct Kept(Mutex<Vec<(Level, String)>>);

impl Log for Kept {
    fn record(&self, level: Level, text: &std::fmt::Arguments<'_>) {
        self.0.lock().unwrap().push((level, text.to_string()));
    }
}

/// An open pipeline, and what belongs to it.
pub struct Bed {
    pub pipeline: Arc<Pipeline>,
    pub flights: Arc<Flights>,
    pub config: Config,
    pub around: Surroundings,
    log: Arc<Kept>,
    runtime: Arc<Runtime>,
    folder: PathBuf,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let ended = self.runtime.stop(Instant::now() + LONG);
        let _ = std::fs::remove_dir_all(&self.folder); // after the last write to it
        assert!(ended || std::thread::panicking(), "a thread of the runtime does not end");
    }
}

/// Memory in front of files, both with two minutes for summoners.
pub fn usual() -> Value {
    stores(&json!({"summoner_v4_by_name": 120}), &json!({"summoner_v4_by_name": 120}))
}

/// Memory in front of files, with these expirations.
pub fn stores(first: &Value, second: &Value) -> Value {
    json!([
        {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "memory", "EXPIRATIONS": first},
        {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "file", "EXPIRATIONS": second},
    ])
}

impl Bed {
    /// Memory and files, without a loader.
    pub fn new(pipeline: &Value) -> Self {
        Self::with(pipeline, &json!({}), None)
    }

    /// The same with a loader.
    pub fn loading(pipeline: &Value, loader: Arc<dyn Loader>) -> Self {
        Self::with(pipeline, &json!({}), Some(loader))
    }

    /// A pipeline `LOL` over the aliases `memory`, `file` and more.
    pub fn with(pipeline: &Value, more: &Value, loader: Option<Arc<dyn Loader>>) -> Self {
        Self::of("LOL", pipeline, more, loader)
    }

    pub fn of(name: &str, pipeline: &Value, more: &Value, loader: Option<Arc<dyn Loader>>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("larder-pipelines-{}-{number}", std::process::id()));
        let django = "django.core.cache.backends";
        let mut caches = json!({
            "memory": {"BACKEND": format!("{django}.locmem.LocMemCache"), "LOCATION": "pipelines"},
            "file": {"BACKEND": format!("{django}.filebased.FileBasedCache"), "LOCATION": folder},
        });
        for (name, entry) in more.as_object().unwrap() {
            caches[name] = entry.clone();
        }
        let document = json!({"CACHES": caches, "PIPELINES": {name: pipeline}}).to_string();
        let config = read(document.as_bytes(), &|_| None).unwrap();
        let (log, runtime) = (Arc::new(Kept::default()), Runtime::new());
        let around = Surroundings {
            tables: Arc::new(Tables::default()),
            plugins: Arc::default(),
            spawner: runtime.clone(),
            log: log.clone(),
        };
        let flights = Arc::new(Flights::default());
        let pipeline = Pipeline::open(&config.pipelines[0], &around, flights.clone(), loader).unwrap();
        Self { pipeline: Arc::new(pipeline), flights, config, around, log, runtime, folder }
    }

    /// A store over one of the aliases, for what the pipeline is not to know.
    pub fn store(&self, alias: &str) -> Arc<Store> {
        let alias = self.config.aliases.iter().find(|one| &*one.name == alias).unwrap().clone();
        Arc::new(Store::open(alias, self.around.clone()).unwrap())
    }

    /// Puts a text there.
    pub fn put(&self, alias: &str, token: &str, text: &str, ttl: Ttl) {
        let store = self.store(alias);
        let _ = store.set(token, Input::Text(text), TtlChoice::Of(ttl), When::Always, &Call::default()).unwrap();
    }

    /// What is there.
    pub fn read(&self, alias: &str, token: &str) -> Option<String> {
        let value = self.store(alias).get(token, &Call::default()).unwrap()?;
        Some(value.text().unwrap().shown.to_owned())
    }

    /// For how many milliseconds something is there; `None` where it is not, -1 for ever.
    pub fn left(&self, alias: &str, token: &str) -> Option<i64> {
        Some(match self.store(alias).ttl(token, &Call::default()).unwrap()? {
            Ttl::Millis(left) => left,
            Ttl::Forever => -1,
        })
    }

    /// Does something by one of the faces.
    pub fn ask(&self, face: Face, operation: &Operation<'_>, ask: &Ask) -> Result<Outcome> {
        self.begin(face, operation, ask)()
    }

    /// Does something, or begins it: whose end the result waits for.
    pub fn begin(&self, face: Face, operation: &Operation<'_>, ask: &Ask) -> Box<dyn FnOnce() -> Result<Outcome>> {
        begin(&self.pipeline, face, operation, ask)
    }

    pub fn get(&self, face: Face, token: &str) -> Result<Option<Found>> {
        self.get_with(face, token, &Ask::default())
    }

    pub fn get_with(&self, face: Face, token: &str, ask: &Ask) -> Result<Option<Found>> {
        Ok(value(self.ask(face, &Operation::Get { token: TokenRef::from(token) }, ask)?))
    }

    /// A get's text, and which store had it.
    pub fn text(&self, face: Face, token: &str) -> Result<Option<(String, Option<usize>)>> {
        Ok(self.get(face, token)?.map(|found| (text(&found), found.level)))
    }

    pub fn set(&self, face: Face, token: &str, value: &str) -> Result<Outcome> {
        let operation = Operation::Set { token: TokenRef::from(token), value: Input::Text(value) };
        self.ask(face, &operation, &Ask::default())
    }

    /// What was logged since the last time, without levels.
    pub fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap().drain(..).map(|(_, text)| text).collect()
    }

    /// The same with them.
    pub fn records(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.log.0.lock().unwrap())
    }

    pub fn counts(&self) -> Snapshot {
        self.pipeline.counts()
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LONG;
        while !is_so(self) {
            assert!(Instant::now() < end, "{what}: it never comes; {:?}", self.counts());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the runtime, as a shutdown does.
    pub fn shut_down(&self) {
        assert!(self.runtime.stop(Instant::now() + LONG));
    }
}

struct Answers(Mutex<mpsc::Sender<Answer>>);

impl Sink for Answers {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for answer in answers.drain(..) {
            let _ = self.0.lock().unwrap().send(answer);
        }
    }
}

/// Does something with a pipeline, or begins it: whose end the result waits for.
pub fn begin(
    pipeline: &Arc<Pipeline>,
    face: Face,
    operation: &Operation<'_>,
    ask: &Ask,
) -> Box<dyn FnOnce() -> Result<Outcome>> {
    if face == Face::Now {
        let outcome = pipeline.perform(operation, ask);
        return Box::new(move || outcome);
    }
    let prepared = match pipeline.prepare(operation, ask) {
        Ok(prepared) => prepared,
        Err(error) => return Box::new(move || Err(error)),
    };
    let asked = prepared.asked;
    let (sender, receiver) = mpsc::channel();
    let pipeline = pipeline.clone();
    pipeline.begin(prepared, Ticket::new(Arc::new(Answers(Mutex::new(sender))), 1));
    Box::new(move || {
        let (_, answer) = receiver.recv_timeout(LONG).expect("no answer");
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err(), "two answers");
        pipeline.conclude(asked, answer)
    })
}

pub fn value(outcome: Outcome) -> Option<Found> {
    match outcome {
        Outcome::Value(found) => found,
        _ => panic!("no outcome of a get"),
    }
}

pub fn text(found: &Found) -> String {
    found.value.text().unwrap().shown.to_owned()
}

/// With another total time.
pub fn within(millis: u64) -> Ask {
    Ask { budget: Some(Budget::new(Duration::from_millis(millis))), ..Ask::default() }
}

pub fn loaded(text: &str) -> Loaded {
    Loaded::Value(Arc::new(OwnedInput::Text(text.to_owned())), None)
}

/// A loader that is a function, and counts.
pub struct Own {
    pub calls: AtomicUsize,
    blocks: bool,
    act: Box<dyn Fn(Load) + Send + Sync>,
}

impl Own {
    pub fn new(act: impl Fn(Load) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), blocks: true, act: Box::new(act) })
    }

    /// One that never waits.
    pub fn quick(act: impl Fn(Load) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { calls: AtomicUsize::new(0), blocks: false, act: Box::new(act) })
    }

    /// One that answers the same at once, with the number of the call where there is a `#`.
    pub fn text(text: &'static str) -> Arc<Self> {
        let number = AtomicUsize::new(0);
        Self::new(move |load| {
            let number = number.fetch_add(1, Ordering::SeqCst) + 1;
            load.done(loaded(&text.replace('#', &number.to_string())));
        })
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Loader for Own {
    fn load(&self, load: Load) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.act)(load);
    }

    fn blocks(&self) -> bool {
        self.blocks
    }
}
