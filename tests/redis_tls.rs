//! TLS to a Redis server: whose certificates are taken, what is said of the others, and large values. Both faces.
#![cfg(all(feature = "redis", feature = "tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use common::flight::{FACES, Face, Ledger, Runtime, ask};
use common::redis::{RedisServer, free_port};
use larder::backend::redis::open;
use larder::backend::{Backend, Reply, Request, Spawner, When};
use larder::config::{self, Address, Family};
use larder::error::{Error, Kind, Result};
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::Silent;
use larder::timeout::{Budget, Ttl};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

const LONG: Budget = Budget::new(Duration::from_secs(20));

/// Certificates of the tests' own, as files.
struct Papers(PathBuf);

/// Those of all tests that run now; the last one removes them.
fn papers() -> Arc<Papers> {
    static PAPERS: Mutex<(u32, Weak<Papers>)> = Mutex::new((0, Weak::new()));
    let mut papers = PAPERS.lock();
    papers.1.upgrade().unwrap_or_else(|| {
        papers.0 += 1;
        let fresh = Arc::new(make_papers(papers.0));
        papers.1 = Arc::downgrade(&fresh);
        fresh
    })
}

fn make_papers(number: u32) -> Papers {
    let folder = std::env::temp_dir().join(format!("larder-tls-{}-{number}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let papers = Papers(folder);
    let issuer = papers.authority("ca");
    papers.authority("other-ca");
    papers.certificate("server", &issuer, &["localhost", "127.0.0.1"], |_| {});
    papers.certificate("elsewhere", &issuer, &["cache.example"], |_| {});
    papers.certificate("expired", &issuer, &["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    papers.certificate("early", &issuer, &["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    papers.certificate("client", &issuer, &["client"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    std::fs::create_dir(papers.0.join("trusted")).unwrap();
    std::fs::copy(papers.file("ca.pem"), papers.0.join("trusted/0a1b2c3d.0")).unwrap();
    std::fs::write(papers.0.join("trusted/README"), "no certificate").unwrap();
    std::fs::create_dir(papers.0.join("empty")).unwrap();
    papers
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Papers {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(self.file(&format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        Issuer::new(params, key)
    }

    fn certificate(
        &self,
        name: &str,
        issuer: &Issuer<'static, KeyPair>,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let pem = params.signed_by(&key, issuer).unwrap().pem();
        std::fs::write(self.file(&format!("{name}.pem")), pem).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A redis-server that speaks only TLS.
struct TlsServer {
    process: Child,
    port: u16,
    _papers: Arc<Papers>,
}

impl TlsServer {
    fn start(certificate: &str, more: &[&str]) -> Self {
        let papers = papers();
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--tls-auth-clients", "no"]);
        command.arg("--tls-cert-file").arg(papers.file(&format!("{certificate}.pem")));
        command.arg("--tls-key-file").arg(papers.file(&format!("{certificate}.key")));
        command.arg("--tls-ca-cert-file").arg(papers.file("ca.pem"));
        let socket = papers.file(&format!("{port}.sock"));
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(&papers.0).args(more);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Self { process, port, _papers: papers };
        let end = Instant::now() + Duration::from_mins(1);
        // The port alone may be another's, whose server was quicker.
        while UnixStream::connect(&socket).is_err() || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(server.process.try_wait().unwrap().is_none(), "redis-server has no TLS, or ended at once");
            assert!(Instant::now() < end, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cache as a configuration has it.
struct Client {
    cache: Arc<dyn Backend>,
    face: Face,
    _runtime: Arc<dyn Spawner>,
}

impl Client {
    fn new(location: &str, options: &Value, face: Face) -> Self {
        Self::open(Self::config(location, options), face)
    }

    fn config(location: &str, options: &Value) -> config::Redis {
        let entry = json!({
            "BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location, "OPTIONS": options,
            "LARDER": {"BREAKER": false},
        });
        let document = json!({"CACHES": {"default": entry}}).to_string();
        let mut config = config::read(document.as_bytes(), &|_| None).unwrap();
        let Family::Redis(redis) = config.aliases.remove(0).family else { panic!("{document}") };
        redis
    }

    fn open(config: config::Redis, face: Face) -> Self {
        assert!(matches!(config.server.address, Address::Tls(..)));
        let runtime: Arc<dyn Spawner> = Runtime::start();
        let log: Arc<dyn larder::log::Log> = Arc::new(Silent);
        Self { cache: open(config, runtime.clone(), log), face, _runtime: runtime }
    }

    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        ask(&*self.cache, self.face, request, budget)
    }

    fn works(&self) {
        let key = MadeKey::as_is("k");
        let value = vec![b'x'; 100];
        let set = Request::Set { key: &key, value: (&value).into(), ttl: Ttl::Forever, when: When::Always };
        self.call(&set, LONG).unwrap_or_else(|error| panic!("{:?}: {error}", self.face));
        let Reply::Value(Some(back)) = self.call(&Request::Get(&key), LONG).unwrap() else { panic!() };
        assert_eq!(back.bytes, value);
    }

    fn fails(&self) -> Error {
        self.call(&Request::Get(&MadeKey::as_is("k")), LONG).unwrap_err()
    }
}

fn at(port: u16) -> String {
    format!("rediss://127.0.0.1:{port}/0")
}

#[test]
fn a_certificate_of_one_s_own_authority_is_taken() {
    let server = TlsServer::start("server", &[]);
    let papers = papers();
    let text = std::fs::read_to_string(papers.file("ca.pem")).unwrap();
    for face in FACES {
        for options in [
            json!({"ssl_ca_certs": papers.path("ca.pem")}),
            json!({"ssl_ca_path": papers.path("trusted")}),
            json!({"ssl_ca_data": text}),
            json!({"ssl_ca_certs": papers.path("ca.pem"), "ssl_min_version": 772}),
            json!({"ssl_cert_reqs": "none"}),
        ] {
            Client::new(&at(server.port), &options, face).works();
        }
        let by_name = format!("rediss://localhost:{}/2", server.port);
        Client::new(&by_name, &json!({"ssl_ca_certs": papers.path("ca.pem")}), face).works();
        let of_url = format!("{}?ssl_cert_reqs=none", at(server.port));
        Client::new(&of_url, &json!({}), face).works();
    }
}

#[test]
fn older_tls_will_do_unless_newer_is_wanted() {
    let server = TlsServer::start("server", &["--tls-protocols", "TLSv1.2"]);
    let ca = papers().path("ca.pem");
    for face in FACES {
        Client::new(&at(server.port), &json!({"ssl_ca_certs": ca}), face).works();
        let error = Client::new(&at(server.port), &json!({"ssl_ca_certs": ca, "ssl_min_version": 772}), face).fails();
        assert_eq!(error.kind(), Kind::Connection);
        assert!(error.reason().contains("the server refused the version of TLS"), "{error}");
    }
}

#[test]
fn other_certificates_are_refused_with_advice() {
    let papers = papers();
    let trusting = json!({"ssl_ca_certs": papers.path("ca.pem")});
    let other = papers.path("other-ca.pem");
    let by_other = format!("not trusted by ssl_ca_certs ({other}): put the issuer's certificate there");
    let by_other = by_other.as_str();
    for (certificate, options, expected) in [
        ("server", json!({}), "not trusted by this system: name the issuer's certificate in ssl_ca_certs"),
        ("server", json!({"ssl_ca_certs": other}), by_other),
        ("server", json!({"ssl_ca_certs": other, "ssl_check_hostname": false}), by_other),
        (
            "server",
            json!({"ssl_ca_data": std::fs::read_to_string(&other).unwrap()}),
            "not trusted by ssl_ca_data: put the issuer's certificate there",
        ),
        ("elsewhere", trusting.clone(), "not for the name 127.0.0.1: use a name that it is for"),
        ("expired", trusting.clone(), "has expired: renew it"),
        (
            "expired",
            json!({"ssl_ca_certs": papers.path("ca.pem"), "ssl_check_hostname": false}),
            "has expired: renew it",
        ),
        ("early", trusting.clone(), "not valid yet: set this machine's clock"),
        ("client", trusting.clone(), "not meant for servers"),
    ] {
        let server = TlsServer::start(certificate, &[]);
        for face in FACES {
            let error = Client::new(&at(server.port), &options, face).fails();
            assert_eq!((error.kind(), error.is_retriable()), (Kind::Connection, false), "{error}");
            let text = error.to_string();
            assert!(text.contains("cannot connect: the server's certificate ") && text.contains(expected), "{text}");
            if certificate == "elsewhere" {
                let options = json!({"ssl_ca_certs": papers.path("ca.pem"), "ssl_check_hostname": false});
                Client::new(&at(server.port), &options, face).works();
            }
            Client::new(&at(server.port), &json!({"ssl_cert_reqs": "none"}), face).works();
        }
    }
}

#[test]
fn a_client_s_certificate_is_shown_where_the_server_wants_one() {
    let papers = papers();
    let own = |certificate: &str, key: &str| {
        json!({
            "ssl_ca_certs": papers.path("ca.pem"), "ssl_certfile": papers.path(certificate),
            "ssl_keyfile": papers.path(key),
        })
    };
    std::fs::write(
        papers.file("both.pem"),
        [std::fs::read(papers.file("client.key")).unwrap(), std::fs::read(papers.file("client.pem")).unwrap()].concat(),
    )
    .unwrap();
    for protocols in ["TLSv1.2", "TLSv1.3"] {
        let server = TlsServer::start("server", &["--tls-auth-clients", "yes", "--tls-protocols", protocols]);
        for face in FACES {
            Client::new(&at(server.port), &own("client.pem", "client.key"), face).works();
            let mut both = own("both.pem", "");
            both["ssl_keyfile"] = json!(null);
            Client::new(&at(server.port), &both, face).works();
            let error = Client::new(&at(server.port), &json!({"ssl_ca_certs": papers.path("ca.pem")}), face).fails();
            assert_eq!(error.kind(), Kind::Connection);
            assert!(error.reason().contains("ssl_certfile"), "{protocols} {face:?}: {error}");
        }
    }
}

#[test]
fn files_that_cannot_be_used_are_named_by_their_settings() {
    let papers = papers();
    let server = TlsServer::start("server", &[]);
    let ca = papers.path("ca.pem");
    std::fs::write(papers.file("broken.pem"), "-----BEGIN CERTIFICATE-----\n!!!secret!!!\n-----END CERTIFICATE-----\n")
        .unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(papers.file("encrypted.key"), encrypted).unwrap();
    let with_key = |key: &str| {
        json!({"ssl_ca_certs": ca, "ssl_certfile": papers.path("client.pem"), "ssl_keyfile": papers.path(key),
            "ssl_password": "secret"})
    };
    for (options, setting, expected) in [
        (json!({"ssl_ca_certs": "/nonexistent.pem"}), "ssl_ca_certs", "cannot read /nonexistent.pem: no such file"),
        (json!({"ssl_ca_certs": papers.path("empty")}), "ssl_ca_certs", "cannot read"),
        (json!({"ssl_ca_certs": papers.path("client.key")}), "ssl_ca_certs", "client.key has no certificate (PEM)"),
        (json!({"ssl_ca_certs": papers.path("broken.pem")}), "ssl_ca_certs", "broken.pem is no whole PEM text"),
        (json!({"ssl_ca_path": papers.path("empty")}), "ssl_ca_path", "has no file with a certificate (PEM)"),
        (json!({"ssl_ca_data": "-----BEGIN CERTIFICATE-----"}), "ssl_ca_data", "is no whole PEM text"),
        (with_key("server.key"), "ssl_keyfile", "is not the key of ssl_certfile's certificate"),
        (with_key("client.pem"), "ssl_keyfile", "client.pem has no private key (PEM): set ssl_keyfile"),
        (
            json!({"ssl_ca_certs": ca, "ssl_certfile": papers.path("client.pem")}),
            "ssl_certfile",
            "client.pem has no private key (PEM): set ssl_keyfile",
        ),
        (with_key("encrypted.key"), "ssl_keyfile", "is an encrypted key, which larder cannot read even with ssl_pass"),
    ] {
        for face in FACES {
            let error = Client::new(&at(server.port), &options, face).fails();
            assert_eq!((error.kind(), error.is_retriable()), (Kind::Config, false), "{error}");
            let reason = error.reason().replace(&papers.path(""), "");
            assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{setting}: {expected}")), "{reason}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
    // A file that appears later is read then.
    let late = papers.file("late.pem");
    for face in FACES {
        let client = Client::new(&at(server.port), &json!({"ssl_ca_certs": papers.path("late.pem")}), face);
        assert_eq!(client.fails().kind(), Kind::Config);
        std::fs::copy(&ca, &late).unwrap();
        client.works();
        std::fs::remove_file(&late).unwrap();
        // And so is one that was renewed.
        std::fs::copy(papers.path("other-ca.pem"), &late).unwrap();
        let client = Client::new(&at(server.port), &json!({"ssl_ca_certs": papers.path("late.pem")}), face);
        assert!(client.fails().reason().contains("not trusted by ssl_ca_certs ("));
        std::fs::copy(&ca, &late).unwrap();
        client.works();
        std::fs::remove_file(&late).unwrap();
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_noticed() {
    let plain = RedisServer::start();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    for face in FACES {
        // Redis takes the greeting for a command, and may wait for the end of its line.
        let client = Client::new(&at(plain.port()), &json!({"ssl_cert_reqs": "none"}), face);
        let short = Budget::new(Duration::from_millis(500));
        let error = client.call(&Request::Get(&MadeKey::as_is("k")), short).unwrap_err();
        assert!(matches!(error.kind(), Kind::Connection | Kind::Timeout), "{error}");
        // The asynchronous connection goes on without the caller, who is told only that he waited.
        if face == Face::Synchronous {
            assert!(
                error.reason().contains("does it speak TLS") || error.reason().contains("does the server speak it")
            );
        }
        // It accepts, and says nothing.
        let client = Client::new(&at(silent.local_addr().unwrap().port()), &json!({"ssl_cert_reqs": "none"}), face);
        let begin = Instant::now();
        let set = Request::Set { key: &MadeKey::as_is("k"), value: b"v".into(), ttl: Ttl::Forever, when: When::Always };
        let error = client.call(&set, short).unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error}");
        assert!(face == Face::Asynchronous || !error.may_have_happened(), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{face:?} took {:?}", begin.elapsed());
    }
}

// The connection over which a near cache hears of changes speaks TLS like the others.
#[test]
fn changes_are_heard_of_through_tls() {
    let server = TlsServer::start("server", &[]);
    let mut config = Client::config(&at(server.port), &json!({"ssl_ca_certs": papers().path("ca.pem")}));
    config.near = Some(config::NearCache::default());
    let near = Client::open(config.clone(), Face::Synchronous);
    config.near = None;
    let other = Client::open(config, Face::Synchronous);
    let key = MadeKey::as_is("k");
    let set = |value: &'static [u8]| {
        let set = Request::Set { key: &key, value: value.into(), ttl: Ttl::Forever, when: When::Always };
        other.call(&set, LONG).unwrap();
    };
    let reads = |value: &[u8]| near.cache.get(&key, LONG).unwrap().is_some_and(|found| found.bytes == value);
    let eventually = |done: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < end, "not in 20 s: {:?}", near.cache.near());
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    for [old, new] in [[b"one", b"two"], [b"new", b"end"]] {
        set(old);
        eventually(&|| {
            let hits = near.cache.near().unwrap().hits;
            reads(old) && near.cache.near().unwrap().hits > hits
        });
        set(new);
        eventually(&|| reads(new));
    }
}

#[test]
fn values_of_every_size_come_back() {
    let server = TlsServer::start("server", &[]);
    for face in FACES {
        let client = Client::new(&at(server.port), &json!({"ssl_ca_certs": papers().path("ca.pem")}), face);
        for size in [0, 1, 1000, 16_383, 16_384, 16_385, 65_536, 100_000, 1 << 20] {
            let value: Vec<u8> = (0..size).map(|at: u32| at.wrapping_mul(31).to_le_bytes()[1]).collect();
            let key = MadeKey::as_is(&format!("key:{size}"));
            let set = Request::Set { key: &key, value: (&value).into(), ttl: Ttl::Forever, when: When::Always };
            client.call(&set, LONG).unwrap();
            let Reply::Value(Some(back)) = client.call(&Request::Get(&key), LONG).unwrap() else { panic!("{size}") };
            assert!(back.bytes == value, "{face:?} {size}");
        }
    }
}

#[test]
fn thousands_in_flight_get_their_own_answers() {
    let server = TlsServer::start("server", &[]);
    let client = Client::new(&at(server.port), &json!({"ssl_ca_certs": papers().path("ca.pem")}), Face::Asynchronous);
    let answers = Ledger::new(6000);
    let value = |number: usize| vec![number.to_le_bytes()[0]; number * 37 % 5000];
    for number in 0..3000 {
        let key = MadeKey::as_is(&format!("key:{number}"));
        let value = value(number);
        let set = Request::Set { key: &key, value: (&value).into(), ttl: Ttl::Forever, when: When::Always };
        client.cache.start(set, LONG, answers.ticket(3000 + number));
        client.cache.start(Request::Get(&key), LONG, answers.ticket(number));
    }
    for (tag, answer) in answers.settle() {
        let tag = usize::try_from(tag).unwrap();
        match answer.unwrap() {
            Reply::Value(found) => assert!(found.unwrap().bytes == value(tag), "{tag}"),
            _ => assert!(tag >= 3000),
        }
    }
}

#[test]
fn connections_that_the_server_closed_are_replaced() {
    let server = TlsServer::start("server", &["--timeout", "1"]);
    for face in FACES {
        let client = Client::new(&at(server.port), &json!({"ssl_ca_certs": papers().path("ca.pem")}), face);
        client.works();
        std::thread::sleep(Duration::from_millis(2500));
        client.works();
    }
}

/// Nothing is said when a connection is dropped: no goodbye, which a forked child would say for its parent.
#[test]
fn dropping_a_connection_says_nothing() {
    let server = TlsServer::start("server", &[]);
    // Between client and server, and sees what the client says last.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = server.port;
    let relay = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut behind = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).unwrap();
        let (mut back, mut forth) = (behind.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back, &mut forth));
        let (mut said, mut some) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = client.read(&mut some) {
            said.extend_from_slice(&some[..count]);
            std::io::Write::write_all(&mut behind, &some[..count]).unwrap();
        }
        said
    });
    let client = Client::new(&at(port), &json!({"ssl_ca_certs": papers().path("ca.pem")}), Face::Synchronous);
    client.call(&Request::Ping, LONG).unwrap();
    drop(client);
    let said = relay.join().unwrap();
    // Records: the last holds the ping (14 bytes, 1 for the kind, 16 for the seal); a goodbye would be 19 long.
    let (mut rest, mut last) = (said.as_slice(), 0);
    while let [_, _, _, high, low, tail @ ..] = rest {
        last = usize::from(u16::from_be_bytes([*high, *low]));
        rest = &tail[last..];
    }
    assert_eq!(last, 14 + 1 + 16);
}
