//! How connections are made and kept: TLS, several servers, keepalive, breakers (U-7, R-2, DR-5).

use larder::config::{BreakerRule, Keepalive};
#[cfg(feature = "tls")]
use larder::config::{CertificateCheck, Named, Tls};

use super::*;

#[cfg(feature = "tls")]
fn tls(opened: &Opened) -> &Tls {
    match &opened.redis.server.address {
        Address::Tls(_, _, tls) => tls,
        other => panic!("{other:?}"),
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_the_feature_there_is_no_tls() {
    for location in [json!("rediss://h"), json!(["redis://h", "rediss://h"])] {
        let reason = not_built_in(&document(CORE, &location, &json!({})));
        assert!(reason.contains("larder was built without the feature \"tls\""), "{reason}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_spoken_as_redis_py_is_told() {
    let plain = core("rediss://h:6380/1", &json!({}));
    assert_eq!(plain.redis.server.address, Address::Tls("h".to_owned(), 6380, Box::default()));
    assert_eq!(&*plain.redis.server.shown, "rediss://h:6380/1");
    assert_eq!(tls(&plain).check, CertificateCheck::Full); // U-7
    // Python's enums are numbers in JSON.
    for (given, check) in [
        (json!("required"), CertificateCheck::Full),
        (json!("optional"), CertificateCheck::Full),
        (json!("none"), CertificateCheck::Nothing),
        (json!("CERT_NONE"), CertificateCheck::Nothing),
        (json!("VerifyMode.CERT_REQUIRED"), CertificateCheck::Full),
        (json!(2), CertificateCheck::Full),
        (json!(1), CertificateCheck::Full),
        (json!(0), CertificateCheck::Nothing),
    ] {
        let opened = core("rediss://h", &json!({"ssl_cert_reqs": given}));
        assert_eq!((tls(&opened).check, opened.warnings.len()), (check, 0), "{given}");
    }
    let null = core("rediss://h", &json!({"ssl_cert_reqs": null}));
    assert_eq!(tls(&null).check, CertificateCheck::Nothing);
    assert!(null.warnings[0].starts_with("CACHES.default.OPTIONS.ssl_cert_reqs: is null"), "{:?}", null.warnings);
    let of_url = core("rediss://h?ssl_cert_reqs=none", &json!({"ssl_cert_reqs": "required"}));
    assert_eq!(tls(&of_url).check, CertificateCheck::Nothing); // U-6
    assert_eq!(tls(&core("rediss://h?ssl_check_hostname=no", &json!({}))).check, CertificateCheck::NotName);
    let both = json!({"ssl_check_hostname": true, "ssl_cert_reqs": "none"});
    assert_eq!(tls(&core("rediss://h", &both)).check, CertificateCheck::Nothing);
    // CONNECTION_POOL_KWARGS alone is enough.
    let named = |name: &str, value: &str| {
        let place = format!("CACHES.default.OPTIONS.CONNECTION_POOL_KWARGS.{name}").into();
        Some(Named { place, value: value.into() })
    };
    let arguments = json!({
        "ssl_ca_certs": "/ca.pem", "ssl_ca_path": "/certs", "ssl_certfile": "/me.pem", "ssl_keyfile": "/key.pem",
        "ssl_check_hostname": false, "ssl_min_version": 772, "ssl": true, "ssl_password": "secret",
        "ssl_ciphers": null, "ssl_validate_ocsp": false, "ssl_exclude_verify_flags": [],
    });
    let full = django_redis("redis://h", &json!({"CONNECTION_POOL_KWARGS": arguments}));
    let wanted = Tls {
        check: CertificateCheck::NotName,
        ca_file: named("ssl_ca_certs", "/ca.pem"),
        ca_folder: named("ssl_ca_path", "/certs"),
        ca_data: None,
        certificate: named("ssl_certfile", "/me.pem"),
        key: named("ssl_keyfile", "/key.pem"),
        only_newest: true,
    };
    assert_eq!(full.redis.server.address, Address::Tls("h".to_owned(), 6379, Box::new(wanted)));
    assert!(full.warnings.is_empty() && !format!("{:?}", full.redis).contains("secret"));
    let relative =
        json!({"ssl_ca_certs": "ca.pem", "ssl_ca_path": "./c", "ssl_certfile": "me.pem", "ssl_keyfile": "k"});
    let relative = core("rediss://h", &relative);
    let here = std::env::current_dir().expect("a working directory");
    let path = |named: &Option<Named<PathBuf>>| named.as_ref().map(|named| named.value.clone());
    let all = tls(&relative);
    assert_eq!(
        [path(&all.ca_file), path(&all.ca_folder), path(&all.certificate), path(&all.key)],
        ["ca.pem", "c", "me.pem", "k"].map(|name| Some(here.join(name)))
    );
    assert_eq!(relative.warnings.len(), 4);
    for warning in &relative.warnings {
        assert!(warning.contains(": is not absolute, so it means another place in each"), "{warning}");
    }
    for (given, newest) in
        [(json!(771), false), (json!("TLSv1_2"), false), (json!("TLSVersion.TLSv1_3"), true), (json!(null), false)]
    {
        assert_eq!(tls(&core("rediss://h", &json!({"ssl_min_version": given}))).only_newest, newest, "{given}");
    }
    assert!(tls(&core("rediss://h?ssl_min_version=772", &json!({}))).only_newest);
    for (options, expected) in [
        (
            json!({"ssl_cert_reqs": "maybe"}),
            "ssl_cert_reqs: must be \"required\", \"optional\" or \"none\", not \"maybe\"",
        ),
        (json!({"ssl_cert_reqs": 3}), "ssl_cert_reqs: must be \"required\""),
        (json!({"ssl_cert_reqs": true}), "ssl_cert_reqs: must be \"required\""),
        (json!({"ssl_min_version": 5}), "ssl_min_version: must be 771 (TLS 1.2) or 772 (TLS 1.3), not 5"),
        (json!({"ssl_ca_certs": 5}), "ssl_ca_certs: must be a text, not 5"),
        (json!({"ssl_ca_data": "secret"}), "ssl_ca_data: must be certificates in PEM (-----BEGIN CERTIFICATE-----)"),
        (json!({"ssl_keyfile": "/key.pem"}), "ssl_keyfile: is a key without a certificate, set ssl_certfile too"),
        (json!({"ssl_cafile": "/x"}), "ssl_cafile: redis-py has no such option"),
    ] {
        let reason = refused(&document(CORE, &json!("rediss://h"), &options));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{expected}")), "{options}: {reason}");
    }
    let socket = refused(&document(CORE, &json!("unix:///x"), &json!({"ssl_cert_reqs": "none"})));
    assert_eq!(socket, "CACHES.default.OPTIONS.ssl_cert_reqs: has a meaning only with a rediss:// address");
}

#[cfg(feature = "tls")]
#[test]
fn each_server_has_its_own_url_over_the_shared_options() {
    // R-2, DR-5.
    let list =
        json!(["redis://u:p@a/1?socket_timeout=2", "redis://:q@b:7000", "unix:///run/c.sock?db=3", "rediss://d"]);
    let options = json!({"db": 5, "username": "shared", "max_connections": 9, "socket_timeout": 2});
    let opened = opened(&document(CORE, &list, &options));
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    let redis = opened.redis;
    let login = |server: &Server| (server.username.clone().unwrap_or_default(), server.password.clone());
    assert_eq!(redis.server.address, Address::Tcp("a".to_owned(), 6379));
    assert_eq!((login(&redis.server), redis.server.database), (("u".to_owned(), Some("p".to_owned())), 1));
    let [b, c, d] = redis.replicas.as_slice() else { panic!("{redis:?}") };
    assert_eq!((&b.address, b.database), (&Address::Tcp("b".to_owned(), 7000), 5));
    assert_eq!(login(b), ("shared".to_owned(), Some("q".to_owned())));
    assert_eq!((&c.address, c.database), (&Address::Unix("/run/c.sock".into()), 3));
    assert!(matches!(&d.address, Address::Tls(host, 6379, _) if host == "d"));
    assert_eq!(redis.max_connections, 9);
    // The first one's times are everybody's.
    let other = json!(["redis://a", "redis://b?socket_timeout=9"]);
    let warnings = self::opened(&document(DJANGO_REDIS, &other, &json!({}))).warnings;
    assert!(warnings[0].starts_with("CACHES.default.LOCATION[1]: gives this server other times"), "{warnings:?}");
    // What is warned about is warned about once.
    let culled = self::opened(&document(CORE, &other, &json!({"MAX_ENTRIES": 5, "socket_timeout": 9})));
    assert_eq!(culled.warnings.iter().filter(|one| one.contains("MAX_ENTRIES")).count(), 1);
    let reason = refused(&document(CORE, &json!(["redis://a", "redis://b/-1"]), &json!({})));
    assert_eq!(reason, "CACHES.default.LOCATION[1]: has a database number that is out of range");
}

#[test]
fn connections_that_rest_are_kept() {
    let plain = core("redis://h", &json!({})).redis.resting;
    assert_eq!(plain.keepalive, Some(Keepalive { idle: Some(60), interval: Some(10), count: Some(3) }));
    let seconds = |count| Some(Duration::from_secs(count));
    assert_eq!((Some(plain.unheard), plain.check), (seconds(30), seconds(30)));
    let options = json!({
        "socket_keepalive_options": {"4": 5, "TCP_KEEPINTVL": "6", "socket.TCP_KEEPCNT": 7, "18": 1},
        "health_check_interval": 2.5, "socket_timeout": 45,
    });
    let given = core("redis://h", &options);
    assert!(given.warnings[0].starts_with("CACHES.default.OPTIONS.socket_keepalive_options.18: has no effect"));
    let resting = given.redis.resting;
    assert_eq!(resting.keepalive, Some(Keepalive { idle: Some(5), interval: Some(6), count: Some(7) }));
    assert_eq!((Some(resting.unheard), resting.check), (seconds(45), Some(Duration::from_millis(2500))));
    let off = core("redis://h?socket_keepalive=no&health_check_interval=0", &options).redis.resting;
    assert_eq!((off.keepalive, off.check), (None, None));
    let system = core("redis://h", &json!({"socket_keepalive_options": null})).redis.resting;
    assert_eq!(system.keepalive, Some(Keepalive { idle: None, interval: None, count: None }));
    for (options, expected) in [
        (
            json!({"health_check_interval": -1}),
            "health_check_interval: must be a number of seconds, 0 for never, not -1",
        ),
        (json!({"health_check_interval": null}), "health_check_interval: must be a number of seconds"),
        (json!({"socket_keepalive_options": [5]}), "socket_keepalive_options: must be an object, not a list"),
        (
            json!({"socket_keepalive_options": {"4": 0}}),
            "socket_keepalive_options.4: must be a whole number from 1 to 32767, not 0",
        ),
    ] {
        let reason = refused(&document(CORE, &json!("redis://h"), &options));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{expected}")), "{options}: {reason}");
    }
}

#[test]
fn breakers_are_set_by_larder_s_own_settings() {
    let with = |own: Value| json!({"CACHES": {"default": {"BACKEND": CORE, "LOCATION": "redis://h", "LARDER": own}}});
    let rule = |failures, pause| Some(BreakerRule { failures, pause: Duration::from_millis(pause) });
    for (own, expected) in [
        (json!({}), rule(5, 500)),
        (json!({"BREAKER": true}), rule(5, 500)),
        (json!({"BREAKER": {}}), rule(5, 500)),
        (json!({"BREAKER": {"FAILURES": 2}}), rule(2, 500)),
        (json!({"BREAKER": {"FAILURES": "3", "PAUSE_MS": 50}}), rule(3, 50)),
        (json!({"BREAKER": false}), None),
    ] {
        assert_eq!(opened(&with(own.clone())).redis.breaker, expected, "{own}");
    }
    for (own, expected) in [
        (json!({"BREAKER": null}), "BREAKER: must be true, false, or an object with FAILURES and PAUSE_MS, not null"),
        (json!({"BREAKER": 5}), "BREAKER: must be true, false"),
        (json!({"BREAKER": {"FAILURES": 0}}), "BREAKER.FAILURES: must be a whole number greater than 0, not 0"),
        (json!({"BREAKER": {"PAUSE": 5}}), "BREAKER.PAUSE: a breaker has no such setting"),
        (json!({"BREAKER": {"PAUSE_M": 5}}), "BREAKER.PAUSE_M: a breaker has no such setting; did you mean PAUSE_MS?"),
        (json!({"BRAKER": false}), "BRAKER: larder has no such setting; did you mean BREAKER?"),
    ] {
        let reason = refused(&with(own.clone()));
        assert!(reason.starts_with(&format!("CACHES.default.LARDER.{expected}")), "{own}: {reason}");
    }
    let local = json!({"CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache",
        "LARDER": {"BREAKER": false}}}});
    assert!(open(&local).warnings[0].starts_with("CACHES.default.LARDER.BREAKER: has no effect with this backend"));
}
