//! CACHES JSON → typed aliases. Every error carries its JSON path; what Django would silently ignore or misread becomes
//! a warning.
//!
//! # The document
//!
//! ```json
//! {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}
//! ```
//!
//! or the map of aliases alone (what stands under `CACHES` here). UTF-8, at most 16 MiB and 32 levels deep. A name that
//! stands twice in one object is an error. Beside `CACHES` these are known: `DJANGO_REDIS_IGNORE_EXCEPTIONS`,
//! `DJANGO_REDIS_CONNECTION_FACTORY` and `CACHE_HERD_TIMEOUT` are honoured, `DJANGO_VALKEY_IGNORE_EXCEPTIONS`,
//! `DJANGO_VALKEY_CONNECTION_FACTORY` and `CACHE_COMPRESS_MIN_LENGTH` by django-valkey's aliases, and so are `DATABASES`,
//! `USE_TZ` (true where it is not there) and `TIME_ZONE` (`America/Chicago` where it is not there, as in Django) by
//! database aliases, and `PIPELINES`, larder's own, below. `DJANGO_REDIS_` and `DJANGO_VALKEY_` with `SCAN_ITERSIZE`, `LOG_IGNORED_EXCEPTIONS`, `LOGGER` and
//! `CLOSE_CONNECTION`, `CACHE_COMPRESS_LEVEL`, and what says how a compressor works (`COMPRESS_…`, `DECOMPRESS_…`) are
//! accepted and have no effect, but that django-valkey's aliases cannot be opened where they make a format of their own.
//! Names that begin with `$` or `_` are the writer's
//! own. Others give a warning.
//!
//! `${NAME}` in any text is replaced by the environment variable `NAME`; one that is not set is an error. `$${` is a
//! literal `${`. Replacements are texts; settings that Python reads with `int()` take them as numbers. Passwords never appear in
//! messages; hosts, ports, paths and VERSION may.
//!
//! What is *wrong* (a wrong type, an unknown BACKEND, an unknown name where Python raises an error) makes reading fail.
//! What is right but *not in this version* becomes [`Family::NotBuiltIn`]: only opening that alias fails.
//!
//! # Every alias
//!
//! | name | where | default | meaning |
//! |---|---|---|---|
//! | `BACKEND` | top | required | one of the table below |
//! | `LOCATION` | top | `""` | depends on the backend |
//! | `timeout`, `TIMEOUT` | top, the first counts | 300 | default time to live in seconds, by Python's `int(x)`: `12.9` is 12, `"12"` is 12, `true` is 1, nonsense is 300 (with a warning); `null` is for ever |
//! | `max_entries` at the top, `MAX_ENTRIES` in OPTIONS, `MAX_ENTRIES` at the top | the first counts | 300 | how many entries a local backend holds before it culls. Django does not look at the last place: a warning says so |
//! | `cull_frequency`, `CULL_FREQUENCY` | likewise | 3 | one in so many entries is culled; 0 drops all |
//! | `KEY_PREFIX` | top | `""` | a text; numbers and truth values as Python's `str(x)`; `null` is the text `None` (with a warning) |
//! | `VERSION` | top | 1 | likewise: `1` is `1`, `1.0` is `1.0`, `true` is `True` |
//! | `KEY_FUNCTION` | top | Django's | `django.core.cache.backends.base.default_key_func` (`prefix:version:key`) or `larder.as_is` (the key alone), or a name that the program has registered (`larder_register_key_function`; docs/plugins.md) |
//! | `OPTIONS` | top | none | an object; depends on the backend |
//! | `LARDER` | top | none | larder's own settings, below |
//!
//! Other names at the top are ignored, as in Django, with a warning.
//!
//! # `LARDER`
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `TIMEOUT_MS` | SOCKET_TIMEOUT, `socket_timeout`, `timeout` or `receive_timeout` where given, for databases what is said below, else 5000 | the whole time that a call may take, in milliseconds |
//! | `MAX_VALUE_BYTES` | 512 MiB | the largest stored or shown value |
//! | `MAX_VALUE_NODES` | 16,777,216 | the most parts of one value |
//! | `MAX_VALUE_DEPTH` | 1000 | the deepest nesting of one value |
//! | `MAX_CONNECTIONS` | `max_connections` or `max_pool_size` where given, else 100; for databases 16 | blocking connections at the same time, to each server or to the database |
//! | `BREAKER` | `{"FAILURES": 5, "PAUSE_MS": 500}` | after so many failures in a row calls to a Redis or memcached server fail at once for so long; `false`: never |
//! | `DATABASE` | `default` | which of `DATABASES` a database alias is in |
//! | `UNDECODABLE` | `error` | `miss`: what cannot be decoded, or not within the limits, is a miss for those who read it |
//! | `NEAR_CACHE` | `false` | what of a Redis alias is kept in the process (docs/near_cache.md): an object with `MAX_ENTRIES` (10,000), `MAX_BYTES` (64 MiB) and `TIMEOUT` (60 seconds), or `true`, which is all of these. On one server, or on several with ShardClient; with replicas, Sentinels or HerdClient, and on other backends, it is an error |
//!
//! All but the last four are whole numbers greater than 0, and so are the two in `BREAKER`; other names are errors.
//!
//! # Backends
//!
//! | BACKEND | LOCATION | OPTIONS |
//! |---|---|---|
//! | `django.core.cache.backends.locmem.LocMemCache` | a name; aliases with the same one share their data | `MAX_ENTRIES`, `CULL_FREQUENCY` |
//! | `django.core.cache.backends.filebased.FileBasedCache` | a directory; a relative one is taken from the working directory when the configuration is read, with a warning | `MAX_ENTRIES`, `CULL_FREQUENCY` |
//! | `django.core.cache.backends.dummy.DummyCache` | ignored | none |
//! | `django.core.cache.backends.redis.RedisCache` | a URL, or several: a list, or a text split at `;` and `,` | redis-py's names, below; `serializer` (the default, or a name that the program has registered), `pool_class`, `parser_class` with their defaults |
//! | `django_redis.cache.RedisCache` | a URL, or several: a list, or a text split at `,` | django-redis's names, below |
//! | `django.core.cache.backends.memcached.PyMemcacheCache` | a server, or several: a list, or a text split at `;` and `,`; below | pymemcache's names, below |
//! | `django.core.cache.backends.memcached.PyLibMCCache` | likewise | pylibmc's names, below |
//! | `diskcache.DjangoCache` | a directory, with `~` and `$NAME` replaced as in diskcache; a relative one is taken from the working directory when the configuration is read, with a warning | diskcache's names, below |
//! | `django.core.cache.backends.db.DatabaseCache` | the name of a table | `MAX_ENTRIES`, `CULL_FREQUENCY`; where the table is stands in `DATABASES`, below |
//! | `django_valkey.cache.ValkeyCache` | a URL, or several, as with django-redis | django-valkey's names, below |
//! | a name that the program has registered (`larder_register_backend`) | its own | `SERIALIZER`, `COMPRESSOR` and `PICKLE_VERSION` (5 where it is not given) as with django-redis; the others are its own |
//!
//! `django_valkey.async_cache.cache.AsyncValkeyCache` and `django_valkey.cluster_cache.cache.ClusterValkeyCache` are not in
//! this version.
//!
//! Of several servers the first is written to, and the others are its replicas, but with ShardClient: each has its own
//! address, user, password, database and TLS from its URL; the times and the limits are the first one's.
//!
//! # Redis URLs
//!
//! `redis://[user][:password]@host[:port][/database][?options]`, the same with `rediss://` (TLS), and
//! `unix://[user[:password]@]/path[?options]`, read as redis-py reads them: user and password percent-decoded, the host
//! lower-cased, `localhost`, 6379 and 0 where nothing is said. The URL's parts beat OPTIONS, and `?db=` beats the path. A
//! path that is no number is ignored with a warning. A `/`, `?`, `#` or `@` in a password must be percent-encoded; where
//! it is not, redis-py goes to a wrong server, and this is an error.
//!
//! With django-valkey also `valkey://` and `valkeys://` (TLS), and all of them in any case.
//!
//! # redis-py's names
//!
//! In OPTIONS of core Redis, in CONNECTION_POOL_KWARGS of django-redis, and as a URL's options.
//!
//! | name | meaning |
//! |---|---|
//! | `db` | the database |
//! | `username`, `password` | for AUTH; empty and `null` are none |
//! | `socket_timeout` | seconds; the time that a call may take, where `LARDER.TIMEOUT_MS` is not given |
//! | `socket_connect_timeout` | seconds; what connecting may take of it |
//! | `client_name` | for CLIENT SETNAME |
//! | `max_connections` | blocking connections at the same time; 0 and `null` are 100 |
//! | `host`, `port`, `path` | where the URL has none |
//! | `socket_keepalive` | true where not given |
//! | `socket_keepalive_options` | an object: `TCP_KEEPIDLE` (60), `TCP_KEEPINTVL` (10), `TCP_KEEPCNT` (3) by these names or their numbers on Linux (4, 5, 6) |
//! | `health_check_interval` | seconds, 30 where not given: a connection of blocking calls that rested longer is asked (PING) before it is used; 0: never |
//! | `ssl` | true in CONNECTION_POOL_KWARGS or OPTIONS is TLS, as `rediss://` is |
//! | `ssl_cert_reqs` | `required`, or `optional`, which is the same for a client (U-7), or `none`; also 2, 1, 0 |
//! | `ssl_check_hostname` | true where not given: whether the certificate must be for the host |
//! | `ssl_ca_certs`, `ssl_ca_path`, `ssl_ca_data` | a file, a directory, a text of certificates (PEM) to trust instead of the system's |
//! | `ssl_certfile`, `ssl_keyfile` | the client's own certificate and key (PEM); of all these a relative path is taken from the working directory when the configuration is read, with a warning |
//! | `ssl_min_version` | 771 or `TLSv1_2` (also where it is not given), 772 or `TLSv1_3` |
//!
//! These are accepted and change nothing here: `socket_type`, `socket_read_size`, `retry_on_timeout`, `retry_on_error`,
//! `protocol`, `legacy_responses`, `lib_name`, `lib_version`, `driver_info`, `timeout`, `encoding_errors`, `ssl_password`
//! (but an encrypted key cannot be read); `encoding` and `decode_responses` with their defaults. `ssl_ciphers`, OCSP and
//! verify flags are not in this version: where they are set the alias cannot be opened. Names of Python objects (`retry`,
//! `credential_provider`, …) and unknown names are errors, since Python raises one at the first connection.
//!
//! # django-redis's names
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `USERNAME`, `PASSWORD` | none | for AUTH; the URL's beat them |
//! | `SOCKET_TIMEOUT`, `SOCKET_CONNECT_TIMEOUT` | none | seconds; 0 and `null` are none |
//! | `IGNORE_EXCEPTIONS` | `DJANGO_REDIS_IGNORE_EXCEPTIONS`, else false | a server that is away or answers errors counts as an empty cache |
//! | `CLIENT_CLASS` | `django_redis.client.DefaultClient` | or HerdClient (with the pickle serializer), ShardClient, SentinelClient, with or without the module's name |
//! | `SERIALIZER` | `django_redis.serializers.pickle.PickleSerializer` | or `….json.JSONSerializer`, `….msgpack.MSGPackSerializer`, or a registered name |
//! | `PICKLE_VERSION` | 4 | the pickle protocol to write: 0 to 5; negative is 5 |
//! | `COMPRESSOR` | `django_redis.compressors.identity.IdentityCompressor` | or `zlib.ZlibCompressor`, `gzip.GzipCompressor`, `lzma.LzmaCompressor`, `lz4.Lz4Compressor`, `zstd.ZStdCompressor` there, or a registered name |
//! | `REPLICA_READ_ONLY` | true | false: a set or add that the first server does not take is tried on the others |
//! | `CONNECTION_FACTORY` | `DJANGO_REDIS_CONNECTION_FACTORY`, else `django_redis.pool.ConnectionFactory` | or `django_redis.pool.SentinelConnectionFactory`, which SentinelClient needs; then URLs have a service's name for a host, and `is_master` |
//! | `SENTINELS`, `SENTINEL_KWARGS` | none | who is asked then: a list of `[host, port]`, and redis-py's names for it |
//! | `CONNECTION_POOL_KWARGS` | none | redis-py's names, above |
//!
//! `CONNECTION_POOL_CLASS` and `REDIS_CLIENT_CLASS` may name redis-py's own. `PARSER_CLASS`, `REDIS_CLIENT_KWARGS` and
//! `CLOSE_CONNECTION` are accepted and change nothing. Other names are ignored, as in django-redis, with a warning.
//!
//! At the top: `REVERSE_KEY_FUNCTION`, how listings find the user's key in a made one:
//! `django_redis.util.default_reverse_key` (what is behind the second colon; a warning where KEY_PREFIX or VERSION has
//! one), `larder.exact` (what was put before is taken off), or a registered key function. Where it is not given it is the
//! first with Django's KEY_FUNCTION, the second with `larder.as_is`, and else the KEY_FUNCTION itself.
//!
//! # django-valkey's names
//!
//! Those of django-redis, with `django_valkey.` for `django_redis.`, `valkey.` for `redis.`, `BASE_CLIENT_CLASS` and
//! `BASE_CLIENT_KWARGS` for `REDIS_CLIENT_…`; `LOG_IGNORE_EXCEPTIONS` too, and no `USERNAME`. Compressors also
//! `bz2.Bz2Compressor` and `brotli.BrotliCompressor`, serializers also `msgspec.MsgSpecJsonSerializer` and
//! `msgspec.MsgSpecMsgPackSerializer`, clients also `default.HashClient`. The asynchronous clients and those of clusters are
//! not in this version. SentinelClient needs no CONNECTION_FACTORY.
//!
//! # Memcached's servers
//!
//! `host`, `host:port` (11211 where it is not given), `[address]:port` for IPv6, `unix:/path` or `/path`. PyLibMCCache also
//! takes `host:port:weight`, and not sockets beside hosts; `udp:host` is not in this version. Blanks are not taken off: with
//! `a:1, b:2` the second host is ` b`, as in Django, and a warning says so. Where each key lives is decided as the Python
//! client decides it, so the servers must be written as they are there: the same names, and for PyLibMCCache in the same
//! order.
//!
//! # pymemcache's names
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `timeout`, `connect_timeout` | none | seconds; the time that a call may take, where `LARDER.TIMEOUT_MS` is not given, and what connecting may take of it |
//! | `key_prefix` | `""` | stands before every key, in front of KEY_PREFIX; visible ASCII. In Python it must be bytes |
//! | `allow_unicode_keys` | true | false: keys with other than ASCII characters are refused |
//! | `ignore_exc` | false | a server that is away or answers errors counts as an empty cache, in every call |
//! | `retry_attempts`, `retry_timeout`, `dead_timeout` | 2, 1, 60 | when the other servers take over the keys of one that cannot be reached: after so many more failures, at least so many seconds apart, for so many seconds. Until then a failure is told, where pymemcache says that there is nothing; and where all servers are away all are tried again at once |
//! | `use_pooling`, `max_pool_size` | false, none | blocking connections at the same time, to each server |
//! | `serde` | `pymemcache.serde.pickle_serde` | or `pymemcache.serde.compressed_serde`, which deflates values of more than 400 bytes. In Python it is the object, here its path |
//! | `socket_keepalive` | larder's own: 60, 10, 3 | an object with `idle` (1), `intvl` (1) and `cnt` (5), for a KeepaliveOpts; `null` is larder's own |
//!
//! These are accepted and change nothing here: `no_delay` (it is always on), `pool_idle_timeout`; `hasher` and `encoding` with
//! their defaults; `default_noreply`, since larder always waits for answers. `serializer`, `deserializer`, `socket_module`,
//! `lock_generator` and `tls_context` are Python objects, and `null` here. Other names are errors, as in Python.
//!
//! # pylibmc's names
//!
//! `behaviors`, below; `binary` true, `username` and `password` (SASL needs the binary protocol) are not in this version:
//! where they are set the alias cannot be opened, or reading fails as in Python. Other names are errors, as in Python.
//!
//! | behavior | default | meaning |
//! |---|---|---|
//! | `hash` | `default` | the hash of keys: `default` (Jenkins's one-at-a-time), `md5`, `crc`, `fnv1_32`, `fnv1a_32`, `fnv1_64`, `fnv1a_64`; others are not in this version |
//! | `ketama` | 0 | 1: a ring of servers instead of hash modulo number |
//! | `ketama_weighted` | none | 1: a ring whose points are MD5s, by weight; 0 is `ketama`, as in libmemcached |
//! | `distribution` | `modula` | or `consistent`, `consistent ketama`, `consistent weighted`, `consistent ketama spy`; others are not in this version |
//! | `connect_timeout` | none | milliseconds that connecting may take |
//! | `receive_timeout`, `_poll_timeout` | none | micro- and milliseconds; the first that is given is the time that a call may take, where `LARDER.TIMEOUT_MS` is not given |
//! | `auto_eject`, `remove_failed`, `failure_limit` | 0, none, 5 | with a ring: 1, or how many failures it takes, until the next servers on the ring take over the keys of one that cannot be reached. Without one its keys fail, as in libmemcached |
//! | `dead_timeout`, `retry_timeout` | 0, 2 | the first that is not 0: for how many seconds they do |
//! | `tcp_keepalive` | larder's own | 0: none |
//! | `namespace` | none | stands before every key, in front of KEY_PREFIX; visible ASCII. In Python it must be bytes |
//! | `_hash_with_prefix_key` | 0 | 1: the choice of the server sees the namespace too |
//! | `_sort_hosts` | 0 | 1: the servers are sorted by name and port first |
//! | `pickle_protocol` | -1 | the pickle protocol to write: 0 to 5; negative is 5 |
//!
//! These are accepted and change nothing here: `ketama_hash`, `tcp_nodelay` (it is always on), `no_block`, `cas`, `verify_keys`,
//! `send_timeout`, `num_replicas` (the text protocol has none), `buffer_requests` and `_noreply` (larder always waits for
//! answers), and the other names with an underscore. Values are whole numbers or truth values, as in Python. Unknown names are
//! errors.
//!
//! # diskcache's names
//!
//! At the top: `SHARDS` (8; 1 to 1000), over so many databases the keys are spread, which has to be the same for all who use
//! the directory; `DATABASE_TIMEOUT` (0.010) is accepted and has no effect: locks are waited for until the call's deadline.
//!
//! In OPTIONS, as settings that are kept in the cache itself: what is given here replaces what is there, and what is there
//! goes before the default.
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `size_limit` | 1 GiB | bytes; when the cache has so many, rows are evicted. Not kept: without it 1 GiB is written, as in diskcache |
//! | `cull_limit` | 10 | rows that one write evicts at most; 0: none |
//! | `eviction_policy` | `least-recently-stored` | or `least-recently-used`, `least-frequently-used` (with these two a get writes, too), `none` |
//! | `statistics` | false | whether hits and misses are counted in the cache, where diskcache's `stats()` finds them; then a get writes, too |
//! | `tag_index` | false | whether there is an index of tags, which larder does not use |
//! | `disk_min_file_size` | 32768 | from so many bytes (characters of a text) a value is a file of its own |
//! | `disk_pickle_protocol` | 5 | the pickle protocol to write: 0 to 5; negative is 5. Where it is not given larder writes 5, whatever is kept |
//! | `sqlite_journal_mode`, `sqlite_synchronous`, `sqlite_auto_vacuum`, `sqlite_cache_size` | `wal`, 1, 1, 8192 | PRAGMAs of SQLite |
//! | `sqlite_mmap_size` | 64 MiB | kept for Python processes; larder maps no database, since a file that becomes shorter would end the process |
//! | `disk` | `diskcache.Disk` | no other is in this version |
//!
//! Other names are kept as settings, as in diskcache, with a warning; `directory`, `shards`, `timeout` and other names with
//! `disk_` are errors, as in Python.
//!
//! # Databases
//!
//! An alias over DatabaseCache is in the database `default` of `DATABASES`, or in the one that its
//! `"LARDER": {"DATABASE": …}` names. There are no routers. A name that is already in quotes is taken as it is, so that
//! `schema"."table` names a table in a schema, as in Django.
//!
//! | name | meaning |
//! |---|---|
//! | `ENGINE` | `django.db.backends.sqlite3`, `django.db.backends.postgresql` or `django.db.backends.mysql` (MariaDB too). Oracle and engines of others: such an alias cannot be opened |
//! | `NAME` | the database; for SQLite a file (a relative one is taken from the working directory when the configuration is read, with a warning) or a `file:` URI, never in memory. larder makes no file unless it is asked to make the table |
//! | `USER`, `PASSWORD` | who asks; never shown |
//! | `HOST`, `PORT` | where; a HOST that begins with `/` is the directory of PostgreSQL's socket, or the path of MySQL's. No HOST, and `localhost` for MySQL: the socket that is found in the usual places, else 127.0.0.1 |
//! | `TIME_ZONE` | the zone of the column `expires` with USE_TZ, where it is not UTC; an error without USE_TZ, as in Django |
//! | `OPTIONS` | the driver's, below; unknown names are errors, since Python's driver raises one |
//!
//! The other names of Django (`ATOMIC_REQUESTS`, `CONN_MAX_AGE`, `TEST`, …) change nothing; unknown ones give a warning.
//!
//! SQLite: `timeout` (5 s: how long to wait for a lock; a longer one is also the time of a call), `init_command` (of it
//! only PRAGMAs that change nothing but the connection, `synchronous` for example; the others give a warning, and
//! `journal_mode` is left to Django). `transaction_mode` is checked, and changes nothing: larder's transactions are
//! immediate. The other arguments of `sqlite3.connect` change nothing.
//!
//! PostgreSQL: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `connect_timeout`, `options` (`-c name=value`),
//! `application_name`, `assume_role`, `isolation_level` (1 to 4), `pool` (`max_size`), `prepare_threshold` (`null`: no
//! named statements, for poolers such as PgBouncer; larder prepares where it is not given). Keepalives, encodings and
//! Python's own arguments change nothing. `service`, `passfile`, `hostaddr`, `target_session_attrs`, revocation lists and
//! the like are not in this version.
//!
//! MySQL: `charset` (utf8mb4), `collation`, `sql_mode`, `init_command`, `isolation_level` (`read committed`; `null`: the
//! server's), `unix_socket`, `connect_timeout`, `read_timeout` and `write_timeout` (the longer one is the time of a call),
//! `ssl` (`ca`, `cert`, `key`), `ssl_mode`. Python's own arguments change nothing. `read_default_file`, `auth_plugin` and
//! the like are not in this version.
//!
//! # `PIPELINES`
//!
//! Model name → list of Pyot's stores, in order (PY-S1). Models are compared in lower case. At most 256 pipelines of at most
//! 32 stores. Names in them are upper-case or lower-case; mixed case is an error. Or an object:
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `PIPELINE`, `STORES` | required | the list of stores (Pyot 6 calls it `stores`) |
//! | `PYOT` | 3 | 3 or 6: whose keys and tables |
//! | `UNICODE` | none | one of [`UNICODE_VERSIONS`], in quotes: what Python's `repr` escapes |
//! | `WRITE_BACK_TTL` | `remaining` | or `full`: for how long what a later store had is kept in the stores before it |
//! | `ON_STORE_ERROR` | `skip` | or `fail`: what becomes of a call when a store fails |
//! | `LOAD` | | `TIMEOUT_MS` (30000), `LOCK` (`{"ALIAS": …, "TTL_MS": 30000}`, or the alias), `GRACE_MS` (0), `EARLY` (0 to 100: 0), `JITTER` (0 to 0.5: 0) |
//! | `MODEL` | | the pipeline's name, or an error |
//!
//! `DEFAULT_REGION`, `DEFAULT_PLATFORM`, `DEFAULT_LOCALE`, `DEFAULT_VERSION`, `LOCALE_MAP`, `NAME` and `DEFAULT` have no effect,
//! with a warning; other names are errors.
//!
//! Every store has `BACKEND`, `EXPIRATIONS` and `LOG_LEVEL` (a number; 20 where it is not given).
//!
//! | BACKEND | arguments |
//! |---|---|
//! | `pyot.stores.DjangoCache` | `ALIAS`, one of CACHES (required, PY-S2) |
//! | `pyot.stores.RedisCache` | `HOST` (127.0.0.1), `PORT` (6379), `DB` (0), `UNIX_SOCKET_PATH`, and redis-py's names; `LARDER` |
//! | `pyot.stores.Omnistone` | `MAX_ENTRIES` (10000), `CULL_FRECUENCY` or `CULL_FREQUENCY` (2); `LARDER`. One in a pipeline, but with `"PYOT": 6` |
//! | `pyot.stores.DiskCache` | `DIRECTORY` (required), `SHARDS` (8), `TIMEOUT` (no effect), and diskcache's settings; `LARDER` |
//! | `pyot.stores.MongoDB` | not in this version |
//!
//! Each may also be written with its module, as Pyot 6 does: `pyot.stores.omnistone.Omnistone`. Services (`RiotAPI`, `CDragon`,
//! `DDragon`, `MerakiCDN`) are errors that name the loader, and so are arguments that a store does not have.
//!
//! EXPIRATIONS: endpoint → a number of seconds, or the text of one (0: neither read nor stored, -1: for ever, else not
//! negative), or a duration (`1h30m`, `PT1H30M`; units w, d, h, m, s). Fractions are cut off, with a warning (PY-E3). `lol`, `tft`,
//! `lor`, `val` and `riot` have tables of their own (of Pyot 3.1.1 or 6.0.9, and `status_v3_shard_data`), and other names are
//! errors there; any other model has what is named. `"*"` is every endpoint that EXPIRATIONS does not name, and replaces the
//! tables' own times.

mod alias;
mod class;
mod connection;
mod core_redis;
mod database;
mod diskcache;
mod django_redis;
mod django_valkey;
mod document;
mod encoding;
mod entry;
mod key_function;
mod layout;
mod memcached;
mod memcached_servers;
mod names;
mod near;
mod own;
mod pipelines;
mod place;
mod pylibmc;
mod python;
mod resting;
mod reverse_key;
mod sentinel;
mod servers;
mod tls;
mod url;

pub use alias::{
    Address, Alias, BreakerRule, CertificateCheck, Compressor, CompressorMethod, Config, Culling, Family, Flavor,
    Keepalive, Layout, Named, NearCache, Plugged, Redis, Resting, Serializer, Server, Service, Settings, Tls,
};
pub use database::{Database, Engine, Login, MySql, Postgres, Reach, Sqlite, SqliteFile, SslMode, Times};
pub use diskcache::{DiskCache, MOST_SHARDS, Scalar};
pub use document::LONGEST_DOCUMENT;
pub use memcached::{Choice, Client, Failover, Hash, Memcached, MemcachedServer, Ring};
pub use names::nearest;
pub use pipelines::{
    Expirations, Expiry, Level, LevelKind, LoadLock, Loading, OnStoreError, Pipeline, TokenForm, UNICODE_VERSIONS,
    WriteBack,
};

use std::sync::Arc;

use crate::error::Result;
use place::Report;

/// The names under which a program has registered what it plugs in.
#[derive(Clone, Debug, Default)]
pub struct Registered {
    /// For KEY_FUNCTION.
    pub key_functions: Vec<Arc<str>>,
    /// For SERIALIZER.
    pub serializers: Vec<Arc<str>>,
    /// For COMPRESSOR.
    pub compressors: Vec<Arc<str>>,
    /// For BACKEND.
    pub backends: Vec<Arc<str>>,
}

/// As [`read_with`], where nothing is registered.
pub fn read(text: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Config> {
    read_with(text, environment, &Registered::default())
}

/// Reads a configuration: `{"CACHES": {…}}` with optional siblings, or the bare alias map. `environment` answers
/// `${NAME}`.
///
/// Fails with `Kind::Config`; the reason begins with the JSON path, and never shows a password or a URL.
pub fn read_with(text: &[u8], environment: &dyn Fn(&str) -> Option<String>, registered: &Registered) -> Result<Config> {
    let mut report = Report::default();
    let document = document::parse(text, environment, &mut report)?;
    let beside = entry::Beside { siblings: &document.siblings, plugged: registered };
    let mut aliases = Vec::with_capacity(document.aliases.len());
    for (name, value) in &document.aliases {
        aliases.push(entry::read(name, value, document.place.at(name), &beside, &mut report)?);
    }
    if !document.aliases.contains_key("default") {
        report.warn(&document.place, "has no alias named default, which Django wants (caches.E001)"); // A-6
    }
    let pipelines = pipelines::read(&document.siblings, &aliases, &mut report)?;
    Ok(Config { aliases, pipelines, warnings: report.into_warnings() })
}
