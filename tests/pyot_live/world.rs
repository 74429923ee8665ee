//! Both sides over one set of stores.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use larder::backend::{Answer, Sink, Ticket, Written};
use larder::codec::Input;
use larder::log::{Level, Log};
use larder::pyot::ask::{Ask, Found, Operation, Outcome, TokenRef};
use larder::pyot::pipeline::Pipeline;
use larder::pyot::token::{Style, Token, TokenForm, Unicode, Wish};
use larder::store::Surroundings;
use serde_json::{Value, json};

use super::common::python::{Partner, pyot};
use super::common::redis::RedisServer;

/// The pipeline's stores, by their place in it.
pub const FILE: usize = 0;
pub const REDIS: usize = 1;
pub const DATABASE: usize = 2;
pub const RAW_REDIS: usize = 3;
pub const DISK: usize = 4;
pub const STORES: [usize; 5] = [FILE, REDIS, DATABASE, RAW_REDIS, DISK];

/// Whose entries live how long, everywhere.
pub const MINUTES: &str = "summoner_v4_by_name";
pub const SECOND: &str = "summoner_v4_by_id";
pub const FOREVER: &str = "match_v4_match";
pub const NEVER: &str = "match_v4_timeline";

/// A call: the server, the endpoint, and as JSON what it is asked for.
#[derive(Clone, Debug)]
pub struct Call {
    pub server: String,
    pub method: String,
    pub params: String,
    pub queries: String,
}

pub fn call(method: &str, params: &str) -> Call {
    let [server, method, params, queries] = ["na1", method, params, "{}"].map(str::to_owned);
    Call { server, method, params, queries }
}

impl Call {
    pub fn json(&self) -> Value {
        json!([self.server, self.method, self.params, self.queries])
    }
}

struct Silence;

impl Log for Silence {
    fn record(&self, _: Level, _: &std::fmt::Arguments<'_>) {}
}

struct Answers(mpsc::Sender<Answer>);

impl Sink for Answers {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        answers.drain(..).for_each(|answer| drop(self.0.send(answer)));
    }
}

/// A pipeline of Pyot's, and one of larder's.
pub struct World {
    pub python: Partner,
    pub pipeline: Arc<Pipeline>,
    pub server: RedisServer,
    pub version: u32,
    style: Style,
    turn: AtomicU32,
    folder: PathBuf,
}

impl World {
    /// With this major version of Pyot.
    pub fn new(version: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("larder-pyot-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let server = RedisServer::start();
        let mut document = document(version, &folder, &server);
        let mut python = Partner::start("pyot_live/partner.py");
        let unicode = python.must("begin", json!({"version": version, "folder": pyot(), "document": document}));
        document["PIPELINES"]["LOL"]["UNICODE"] = unicode.clone();

        let config = larder::config::read(document.to_string().as_bytes(), &|_| None).unwrap();
        let around = Surroundings {
            plugins: Arc::default(),
            tables: larder::backend::memory::Tables::shared(),
            spawner: larder::runtime::Runtime::new(),
            log: Arc::new(Silence),
        };
        let one = &config.pipelines[0];
        let style = Style { form: one.form, unicode: Unicode::read(unicode.as_str().unwrap()).unwrap() };
        assert_eq!(style.form, if version == 3 { TokenForm::V3 } else { TokenForm::V6 });
        let pipeline = Arc::new(Pipeline::open(one, &around, Arc::default(), None).unwrap());
        Self { python, pipeline, server, version, style, turn: AtomicU32::new(0), folder }
    }

    /// larder's token, and its text.
    fn made(&self, call: &Call) -> (Arc<Token>, String) {
        let Call { server, method, params, queries } = call;
        let token = Token::new(Wish::default(), "lol", server, method, params.as_bytes(), queries.as_bytes()).unwrap();
        let text = token.text_in(self.style).unwrap().to_owned();
        (Arc::new(token), text)
    }

    pub fn token(&self, call: &Call) -> String {
        self.made(call).1
    }

    /// By turns on this thread, and begun here and ended elsewhere.
    fn perform(&self, operation: &Operation<'_>) -> Outcome {
        if self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return self.pipeline.perform(operation, &Ask::default()).unwrap();
        }
        let prepared = self.pipeline.prepare(operation, &Ask::default()).unwrap();
        let asked = prepared.asked;
        let (sender, receiver) = mpsc::channel();
        self.pipeline.begin(prepared, Ticket::new(Arc::new(Answers(sender)), 1));
        let (_, answer) = receiver.recv_timeout(Duration::from_mins(1)).expect("no answer");
        self.pipeline.conclude(asked, answer).unwrap()
    }

    pub fn found(&self, call: &Call) -> Option<Found> {
        let (token, text) = self.made(call);
        match self.perform(&Operation::Get { token: TokenRef::of(&token, &text) }) {
            Outcome::Value(found) => found,
            _ => panic!("another outcome"),
        }
    }

    /// Which store had it, and its JSON, which has to be exact.
    pub fn get(&self, call: &Call) -> Option<(usize, String)> {
        self.found(call).map(|found| {
            let json = found.value.json().unwrap();
            assert!(!json.lossy, "{call:?}");
            (found.level.expect("a store"), json.shown.to_owned())
        })
    }

    pub fn set(&self, call: &Call, value: &str) -> Written {
        let (token, text) = self.made(call);
        match self.perform(&Operation::Set { token: TokenRef::of(&token, &text), value: Input::Json(value.as_bytes()) })
        {
            Outcome::Written(written) => written,
            _ => panic!("another outcome"),
        }
    }

    fn told(&self, operation: &Operation<'_>) -> bool {
        match self.perform(operation) {
            Outcome::Found(found) => found,
            _ => panic!("another outcome"),
        }
    }

    pub fn contains(&self, call: &Call) -> bool {
        self.told(&Operation::Contains { token: self.token(call).as_str().into() }) // a ready-made one
    }

    pub fn delete(&self, call: &Call) -> bool {
        let (token, text) = self.made(call);
        self.told(&Operation::Delete { token: TokenRef::of(&token, &text) })
    }

    /// A function of the partner about a call; without a store it is about Pyot's whole pipeline.
    pub fn python(&mut self, function: &str, call: &Call, store: Option<usize>, value: Option<&str>) -> Value {
        let mut arguments = json!({"call": call.json(), "store": store});
        if let Some(value) = value {
            arguments["value"] = value.into();
        }
        self.python.must(function, arguments)
    }

    /// What one of Pyot's stores has, as JSON; `None` where it says NotFound.
    pub fn python_has(&mut self, call: &Call, store: usize) -> Option<String> {
        let found = self.python("get", call, Some(store), None);
        (found != json!(["str", "\"NotFound\""])).then(|| found[1].as_str().unwrap().to_owned())
    }

    /// Leaves it in this store only.
    pub fn only_in(&mut self, call: &Call, store: usize) {
        for other in STORES.into_iter().filter(|other| *other != store) {
            self.python("delete", call, Some(other), None);
        }
    }

    /// Leaves it nowhere.
    pub fn remove(&mut self, call: &Call) {
        self.python("delete", call, None, None);
    }

    /// Milliseconds that an entry of one of the two Redis stores lives; -1 for ever, -2 where there is none.
    pub fn redis_ttl(&self, call: &Call, store: usize) -> i64 {
        let token = self.token(call);
        let (db, key) = if store == REDIS { (0, format!(":1:{token}")) } else { (1, token) };
        let answer = self.server.command(db, &[b"PTTL", key.as_bytes()]);
        String::from_utf8(answer).unwrap().trim_start_matches(':').trim().parse().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The configuration, which both sides read.
fn document(version: u32, folder: &std::path::Path, server: &RedisServer) -> Value {
    let times = json!({SECOND: 1, MINUTES: 120, FOREVER: -1, NEVER: 0});
    let store = |backend: &str, more: Value| {
        let mut all = json!({"expirations": times, "log_level": 10});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all["backend"] = match version {
            3 => format!("pyot.stores.{backend}").into(),
            _ => format!("pyot.stores.{}.{backend}", backend.to_lowercase()).into(),
        };
        if version == 3 {
            // as its documentation writes them
            let upper = all.as_object().unwrap().iter().map(|(name, value)| (name.to_uppercase(), value.clone()));
            all = Value::Object(upper.collect());
        }
        all
    };
    json!({
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder.join("files")},
            "redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0)},
            "database": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "pyot_cache"},
        },
        "DATABASES": {"default": {
            "ENGINE": "django.db.backends.sqlite3", "NAME": folder.join("db.sqlite3"),
            "OPTIONS": {"init_command": "PRAGMA synchronous=OFF"}, // no test loses power
        }},
        "PIPELINES": {"LOL": {"PYOT": version, "PIPELINE": [
            store("DjangoCache", json!({"alias": "file"})),
            store("DjangoCache", json!({"alias": "redis"})),
            store("DjangoCache", json!({"alias": "database"})),
            store("RedisCache", json!({"host": "127.0.0.1", "port": server.port(), "db": 1})),
            store("DiskCache", json!({"directory": folder.join("disk"), "shards": 2})),
        ]}},
    })
}
