//! The Python environment of the tests: Django, and the clients and backends that its caches use.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The interpreter: `$LARDER_PYTHON`, else the environment that `make deps` makes.
pub fn interpreter() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let program = std::env::var_os("LARDER_PYTHON").map_or(made, PathBuf::from);
    let wanted = "import brotli, diskcache, django, django_redis, django_valkey, lz4, msgpack, msgspec, \
                  prometheus_client, psycopg, pylibmc, pymemcache, pymysql, pyzstd, valkey; \
                  assert django.VERSION[:2] == (5, 2), django.VERSION; \
                  assert django_redis.VERSION[0] == 7, django_redis.VERSION";
    let tried = Command::new(&program).args(["-c", wanted]).stdin(Stdio::null()).output();
    let fault = match tried {
        Ok(output) if output.status.success() => return program,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "this test needs Python with Django 5.2, django-redis 7 and what else tools/deps.sh names: run `make deps`, or \
         name an interpreter in LARDER_PYTHON; {} does not do: {fault}",
        program.display()
    );
}

/// The folder with the real Pyot, as tools/deps.sh makes it: `$LARDER_PYOT`, else `pyot` in the interpreter's environment.
/// Versions 3 and 6 are in folders of their own, what both need is in `needs`.
pub fn pyot() -> PathBuf {
    let made = interpreter().parent().and_then(Path::parent).map(|environment| environment.join("pyot"));
    let folder = std::env::var_os("LARDER_PYOT").map(PathBuf::from).or(made).unwrap();
    for part in ["3/pyot", "6/pyot", "needs/aiohttp"] {
        let missing = format!("this test needs Pyot: run `make deps`; {} has no {part}", folder.display());
        assert!(folder.join(part).is_dir(), "{missing}");
    }
    folder
}

/// A Python process that answers requests, one line of JSON each.
pub struct Partner {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Partner {
    /// Starts a script of the tests' folder.
    pub fn start(script: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let mut command = Command::new(interpreter());
        command.env("PYTHONPATH", tests.join("common")).env("PYTHONDONTWRITEBYTECODE", "1"); // it imports serve.py
        command.arg(tests.join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        // -0.0 and hashes of texts must not make two runs of one seed differ.
        command.env("PYTHONHASHSEED", "0").env("PYTHONUTF8", "1");
        let mut process = command.spawn().unwrap();
        let (requests, answers) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, requests, answers }
    }

    /// Calls a function of the script: what it answers, or the text of what it raised.
    pub fn ask(&mut self, function: &str, arguments: Value) -> Result<Value, String> {
        let mut request = arguments;
        request["do"] = function.into();
        let requests = self.requests.as_mut().unwrap();
        writeln!(requests, "{request}").unwrap();
        requests.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the Python process ended at {request}");
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get_mut("answer") {
            Some(answer) => Ok(answer.take()),
            None => Err(answer["raised"].as_str().unwrap().to_owned()),
        }
    }

    /// Calls a function that must not raise.
    pub fn must(&mut self, function: &str, arguments: Value) -> Value {
        let shown = arguments.to_string();
        self.ask(function, arguments).unwrap_or_else(|raised| panic!("{function}({shown:.500}) raised {raised}"))
    }

    /// Calls a method of a cache.
    pub fn call(&mut self, alias: &str, method: &str, arguments: &Value) -> Value {
        self.must("call", json!({"alias": alias, "method": method, "arguments": arguments}))
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        drop(self.requests.take()); // the script ends when nothing more can come
        let _ = self.process.wait();
    }
}
