//! `include/larder.h` is what cbindgen makes of `src/capi` today. `make header` (LARDER_WRITE_HEADER=1) writes it.

use std::path::Path;

/// The files of the header, in the order in which a reader wants to meet them.
const SOURCES: [&str; 39] = [
    "status",
    "error",
    "log",
    "context",
    "request",
    "store",
    "argument",
    "operation",
    "upkeep",
    "stats",
    "prometheus",
    "many",
    "value",
    "cursor",
    "callback",
    "callback_many",
    "lock",
    "expiry",
    "pattern",
    "session",
    "table",
    "load",
    "get_or_load",
    "pipeline",
    "pipeline_operation",
    "pipeline_callback",
    "pipeline_stats",
    "event",
    "queue",
    "sink",
    "plugin",
    "key_function",
    "serializer",
    "compressor",
    "custom",
    "token",
    "token_field",
    "token_text",
    "live",
];

fn generate(root: &Path) -> String {
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    config.header = Some(std::fs::read_to_string(root.join("src/capi/header.top.h")).expect("header.top.h"));
    config.trailer = Some(std::fs::read_to_string(root.join("src/capi/header.end.h")).expect("header.end.h"));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join(format!("src/capi/{source}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().expect("cbindgen").write(&mut made);
    String::from_utf8(made).expect("UTF-8")
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (path, made) = (root.join("include/larder.h"), generate(root));
    if std::env::var_os("LARDER_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("write the header");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "include/larder.h is stale: run `make header` and commit it");
}
