//! TLS with the servers and with the Sentinels (DR-37).

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::client::{Client, LONG};
use crate::common::flight::FACES;
use crate::common::redis::free_port;

/// A primary and a Sentinel that speak nothing but TLS, with one certificate.
struct Site {
    processes: Vec<Child>,
    folder: PathBuf,
    sentinel: u16,
}

impl Drop for Site {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Site {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("larder-sentinel-tls-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.join("server.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
        let mut site = Self { processes: Vec::new(), folder, sentinel: free_port() };
        let primary = free_port();
        site.run(primary, "", &["--save", "", "--appendonly", "no"]);
        let monitor = format!("sentinel monitor mymaster 127.0.0.1 {primary} 1\n");
        let sentinel = site.sentinel;
        site.run(sentinel, &monitor, &["--sentinel"]);
        site
    }

    fn run(&mut self, port: u16, more: &str, arguments: &[&str]) {
        let file = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        let config = format!(
            "port 0\ntls-port {port}\nbind 127.0.0.1\ndir {}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n\
             tls-auth-clients no\ntls-replication yes\n{more}",
            self.folder.display(),
            file("server.pem"),
            file("server.key"),
            file("server.pem")
        );
        let path = file(&format!("{port}.conf"));
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&path).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        self.processes.push(command.spawn().unwrap());
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(self.processes.last_mut().unwrap().try_wait().unwrap().is_none(), "redis-server ended at once");
            assert!(Instant::now() < end, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn servers_and_sentinels_can_speak_tls() {
    let site = Site::start();
    let trusted = site.folder.join("server.pem").to_str().unwrap().to_owned();
    let entry = |location: &str, pool: &serde_json::Value, sentinel: &serde_json::Value| {
        json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": {
            "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
            "SENTINELS": [["127.0.0.1", site.sentinel]], "CONNECTION_POOL_KWARGS": pool, "SENTINEL_KWARGS": sentinel,
        }})
    };
    let to_sentinels = json!({"ssl": true, "ssl_ca_certs": trusted});
    for face in FACES {
        // the scheme says it, or the arguments
        for (location, pool) in [
            ("rediss://mymaster/0", json!({"ssl_ca_certs": trusted})),
            ("redis://mymaster/0", json!({"ssl": true, "ssl_ca_certs": trusted})),
        ] {
            let client = Client::new(&entry(location, &pool, &to_sentinels), face);
            client.set("k", "v");
            assert_eq!(client.get("k").as_deref(), Some("v"));
        }
        // whom nobody vouches for
        let client = Client::new(&entry("rediss://mymaster/0", &json!({}), &to_sentinels), face);
        let error = client.fails(LONG);
        assert!(error.reason().contains("certificate") && !error.is_retriable(), "{error}");
        let client = Client::new(&entry("rediss://mymaster/0", &json!({}), &json!({"ssl": true})), face);
        let error = client.fails(LONG);
        assert!(error.reason().contains("no Sentinel could be asked") && !error.is_retriable(), "{error}");
        assert!(error.reason().contains("certificate"), "{error}");
    }
}
