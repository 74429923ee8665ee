//! What a linker sees of the library: names, soname, the header in every language that it promises.

#[path = "c/driver.rs"]
mod driver;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use driver::{Link, build, finish, folder_of_its_own, library_folder, root, run};

fn output(program: &str, options: &[&str], file: &Path) -> String {
    let mut command = Command::new(program);
    command.args(options).arg(file);
    let outcome = finish(command);
    outcome.expect("");
    outcome.said
}

/// The names that a library exports.
fn exported() -> BTreeSet<String> {
    let said = output("nm", &["-D", "--defined-only"], &library_folder().join("liblarder.so"));
    let names = said.lines().filter_map(|line| line.split_whitespace().last());
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

/// The functions that the header declares: what stands before a `(` at the beginning of a declaration.
fn declared() -> BTreeSet<String> {
    let header = std::fs::read_to_string(root().join("include/larder.h")).unwrap();
    let mut names = BTreeSet::new();
    for line in
        header.lines().filter(|line| !line.starts_with([' ', '/', '*', '#', '}']) && !line.starts_with("typedef"))
    {
        if let Some((before, _)) = line.split_once('(') {
            let name = before.rsplit([' ', '*']).next().unwrap();
            names.insert(name.to_owned());
        }
    }
    names
}

#[test]
fn only_larder_symbols_are_exported() {
    let strange: Vec<String> = exported().into_iter().filter(|name| !name.starts_with("larder_")).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn the_header_declares_what_the_library_exports() {
    let (declared, exported) = (declared(), exported());
    assert!(declared.len() > 40, "{declared:?}");
    assert_eq!(declared, exported);
}

#[test]
fn no_data_is_exported() {
    let said = output("nm", &["-D", "--defined-only"], &library_folder().join("liblarder.so"));
    for line in said.lines() {
        assert_eq!(line.split_whitespace().nth(1), Some("T"), "{line}");
    }
}

#[test]
fn the_library_has_a_soname_and_stays_mapped() {
    let said = output("readelf", &["--dynamic", "--wide"], &library_folder().join("liblarder.so"));
    assert!(said.contains("soname: [liblarder.so.0]"), "{said}");
    assert!(said.lines().any(|line| line.contains("FLAGS_1") && line.contains("NODELETE")), "{said}");
    for line in said.lines().filter(|line| line.contains("(NEEDED)")) {
        let system =
            ["libc.so.6", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2"];
        assert!(system.iter().any(|name| line.contains(name)), "it needs more than the system has: {line}");
    }
}

#[test]
fn the_static_library_links() {
    run::<&str>(&build("examples-c/many.c", Link::Static), &folder_of_its_own("run"), &[]).expect("3 of 4 found");
}

#[test]
fn the_header_compiles_in_every_language_it_promises() {
    let folder = folder_of_its_own("header");
    let languages = [
        ("cc", "-std=c99", "c"),
        ("cc", "-std=c11", "c"),
        ("cc", "-std=c17", "c"),
        ("g++", "-std=c++11", "c++"),
        ("g++", "-std=c++17", "c++"),
        ("g++", "-std=c++20", "c++"),
    ];
    // twice, since a header can be included twice, and alone, since it includes what it needs
    let source = folder.join("alone.c");
    std::fs::write(&source, "#include <larder.h>\n#include <larder.h>\nlarder_call call = LARDER_CALL_INIT;\n")
        .unwrap();
    for (compiler, standard, language) in languages {
        let mut command = Command::new(compiler);
        command.args([standard, "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
        command.arg(root().join("include")).arg(&source);
        let outcome = finish(command);
        assert_eq!(outcome.status, Some(0), "{compiler} {standard}: {}", outcome.said);
    }
}

#[test]
fn the_version_is_the_crate_s() {
    let folder = folder_of_its_own("version");
    let source = folder.join("version.c");
    std::fs::write(
        &source,
        "#include <larder.h>\n#include <stdio.h>\nint main(void) { return puts(larder_version()) < 0; }\n",
    )
    .unwrap();
    run::<&str>(&build(source.to_str().unwrap(), Link::Dynamic), &folder, &[]).expect(env!("CARGO_PKG_VERSION"));
}
