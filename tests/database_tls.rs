//! DatabaseCache over TLS, as `sslmode` and `ssl_mode` ask for it.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))] // the helpers are the Redis tests' too
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::database::{Site, new_name};
use common::flight::{LONG, Runtime};
use common::mariadb::MariaDbServer;
use common::postgres::PostgresServer;
use larder::error::{Kind, Result};
use larder::key::MadeKey;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

/// A certificate authority, and a certificate of its for 127.0.0.1 with its key.
fn papers() -> (String, [String; 2]) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    (authority, [certificate.pem(), own.serialize_pem()])
}

/// OPTIONS that ask for TLS: what is checked, and whom is trusted.
fn options(site: &Site, level: &str, authority: Option<&Path>) -> Value {
    match site {
        Site::Postgres(_) => match authority {
            Some(file) => json!({"sslmode": level, "sslrootcert": file}),
            None => json!({"sslmode": level}),
        },
        Site::MariaDb(_) => {
            let level = match level {
                "disable" => "DISABLED",
                "prefer" => "PREFERRED",
                "require" => "REQUIRED",
                _ => "VERIFY_IDENTITY",
            };
            match authority {
                Some(file) => json!({"ssl_mode": level, "ssl": {"ca": file}}),
                None => json!({"ssl_mode": level}),
            }
        }
    }
}

/// Uses a cache; whether that was over TLS.
fn attempt(site: &Site, runtime: &Arc<Runtime>, options: &Value) -> Result<bool> {
    let before = handshakes(site);
    let cache = site.open("cache", &json!({"DATABASE": {"OPTIONS": options}}), runtime.clone());
    cache.create_table(LONG)?;
    cache.has(&MadeKey::as_is("k"), LONG)?;
    Ok(handshakes(site) > before) // while the connection is there
}

/// PostgreSQL: sessions over TLS; MariaDB: how many there were.
fn handshakes(site: &Site) -> u64 {
    let shown = match site {
        Site::Postgres(_) => site.query(
            "SELECT COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name <> 'psql'",
        ),
        Site::MariaDb(_) => site.query("SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'").replace("Ssl_finished_accepts|", ""),
    };
    shown.parse().unwrap()
}

#[test]
fn tls_is_spoken_and_checked() {
    let runtime = Runtime::start();
    let (authority, [certificate, key]) = papers();
    let folder = std::env::temp_dir().join(format!("larder-papers-{}-{}", std::process::id(), new_name()));
    std::fs::create_dir(&folder).unwrap();
    let (trusted, strange) = (folder.join("ca.pem"), folder.join("other.pem"));
    std::fs::write(&trusted, authority).unwrap();
    std::fs::write(&strange, papers().0).unwrap();
    let tls = Some([certificate.as_str(), key.as_str()]);
    let postgres = Site::Postgres(Arc::new(PostgresServer::start_with(tls)));
    for site in [postgres, Site::MariaDb(Arc::new(MariaDbServer::start_with(tls)))] {
        let name = site.name();
        assert!(!attempt(&site, &runtime, &options(&site, "disable", None)).unwrap(), "{name}");
        for (level, file) in [("verify-full", Some(&*trusted)), ("require", None), ("prefer", None)] {
            assert!(attempt(&site, &runtime, &options(&site, level, file)).unwrap(), "{name} {level}");
        }
        let refused = attempt(&site, &runtime, &options(&site, "verify-full", Some(&strange))).unwrap_err();
        assert_eq!((refused.kind(), refused.is_retriable()), (Kind::Connection, false), "{name}: {refused}");
        assert!(refused.reason().contains("TLS"), "{refused}");
        let missing = attempt(&site, &runtime, &options(&site, "verify-full", Some(&folder.join("none")))).unwrap_err();
        assert!(!missing.may_have_happened(), "{missing}");
    }
    std::fs::remove_dir_all(folder).unwrap();
    let plain = Site::Postgres(PostgresServer::shared());
    let refused = attempt(&plain, &runtime, &options(&plain, "require", None)).unwrap_err();
    assert!(refused.reason().contains("TLS"), "{refused}");
}
