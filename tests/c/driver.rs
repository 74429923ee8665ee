//! Builds C programs against the library that this test run made, and runs them: plainly, under valgrind, or with
//! AddressSanitizer, by `LARDER_C_UNDER`.

// Each test program uses its own part.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How C programs are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// As they are.
    Plain,
    /// Under memcheck: every definite, indirect and possible loss is an error.
    Valgrind,
    /// Built with AddressSanitizer and LeakSanitizer, against a library that is too (`make test-asan` builds it).
    AddressSanitizer,
}

/// What valgrind ends with where it found something.
pub const VALGRIND_FOUND: i32 = 99;

/// The longest that one program may run.
const LIMIT: Duration = Duration::from_mins(5);

/// `LARDER_C_UNDER`: plain, valgrind or asan.
pub fn under() -> Under {
    match std::env::var("LARDER_C_UNDER").as_deref() {
        Err(_) | Ok("plain") => Under::Plain,
        Ok("valgrind") => Under::Valgrind,
        Ok("asan") => Under::AddressSanitizer,
        Ok(other) => panic!("LARDER_C_UNDER is {other:?}; plain, valgrind and asan are known"),
    }
}

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the shared and the static library are: `LARDER_C_LIBRARY`, else beside this test program, where Cargo has put
/// them with the library that the test itself is linked with.
pub fn library_folder() -> PathBuf {
    let folder = match std::env::var_os("LARDER_C_LIBRARY") {
        Some(folder) => root().join(folder),
        None => std::env::current_exe().unwrap().parent().unwrap().to_owned(),
    };
    for name in ["liblarder.so", "liblarder.a"] {
        assert!(folder.join(name).exists(), "{} is not there", folder.join(name).display());
    }
    folder
}

/// How a program gets at larder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The shared library.
    Dynamic,
    /// The static library.
    Static,
    /// Not at all: it loads the library itself.
    Not,
}

/// A finished program.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// What it said on both outputs.
    pub said: String,
}

impl Outcome {
    /// It must have ended well, and have said this.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        assert_eq!(self.status, Some(0), "the program failed:\n{}", self.said);
        assert!(self.said.contains(text), "the program did not say {text:?}:\n{}", self.said);
    }
}

/// Builds a program of `tests/c` or `examples-c`; its path.
pub fn build(source: &str, link: Link) -> PathBuf {
    build_with(source, link, &[])
}

/// Builds a program that uses other libraries too, found by pkg-config.
pub fn build_with(source: &str, link: Link, packages: &[&str]) -> PathBuf {
    let is_cpp = Path::new(source).extension().is_some_and(|extension| extension == "cc");
    let (cc, standard) = if is_cpp { ("g++", "-std=c++17") } else { ("cc", "-std=c11") };
    let folder = folder_of_its_own("build");
    let program = folder.join("program");
    let library = library_folder();
    let mut command = Command::new(cc);
    command.args([standard, "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]);
    if under() == Under::AddressSanitizer {
        command.args(["-fsanitize=address", "-fno-omit-frame-pointer"]);
    }
    command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
    command.arg(root().join(source)).arg("-o").arg(&program);
    for package in packages {
        command.args(pkg_config(package));
    }
    match link {
        Link::Dynamic => {
            // the program asks for the soname, so there has to be a file with that name
            let named = folder.join("liblarder.so.0");
            std::os::unix::fs::symlink(library.join("liblarder.so"), named).unwrap();
            command.arg(library.join("liblarder.so")).arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        Link::Static => {
            command.arg(library.join("liblarder.a"));
            command.args(["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]);
        }
        Link::Not => {
            command.arg("-ldl");
        }
    }
    let done = command.output().unwrap_or_else(|error| panic!("this test needs the program {cc}: {error}"));
    assert!(done.status.success(), "{source} does not build:\n{}", String::from_utf8_lossy(&done.stderr));
    program
}

/// What the compiler has to be told to use a library.
fn pkg_config(package: &str) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(["--cflags", "--libs", package]);
    let outcome = finish(command);
    outcome.expect("");
    outcome.said.split_whitespace().map(str::to_owned).collect()
}

/// Runs a program in `folder`, under what `LARDER_C_UNDER` says.
pub fn run<A: AsRef<OsStr>>(program: &Path, folder: &Path, arguments: &[A]) -> Outcome {
    run_with_leaks(false, program, folder, arguments)
}

/// The same with variables in its environment.
pub fn run_with_variables<A: AsRef<OsStr>>(
    variables: &[(&str, String)],
    program: &Path,
    folder: &Path,
    arguments: &[A],
) -> Outcome {
    let mut command = command_for(false, program, folder, arguments);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    finish(command)
}

/// The same as [`run`]; a program that leaves in the middle of its work leaves memory behind, which is not to be told then.
pub fn run_with_leaks<A: AsRef<OsStr>>(leaks: bool, program: &Path, folder: &Path, arguments: &[A]) -> Outcome {
    finish(command_for(leaks, program, folder, arguments))
}

fn command_for<A: AsRef<OsStr>>(leaks: bool, program: &Path, folder: &Path, arguments: &[A]) -> Command {
    let mut command = if under() == Under::Valgrind {
        let mut valgrind = Command::new("valgrind");
        valgrind.arg(if leaks { "--leak-check=no" } else { "--leak-check=full" });
        valgrind.args(["--quiet", "--errors-for-leak-kinds=definite,indirect,possible"]);
        valgrind.args(["--show-leak-kinds=definite,indirect,possible", "--fair-sched=yes", "--num-callers=30"]);
        valgrind.arg(format!("--error-exitcode={VALGRIND_FOUND}")).arg(program);
        valgrind
    } else {
        Command::new(program)
    };
    // Cargo's search path would come before the program's own, and may hold an older library
    command.env_remove("LD_LIBRARY_PATH");
    command
        .args(arguments)
        .current_dir(folder)
        .env("ASAN_OPTIONS", format!("detect_leaks={}:abort_on_error=0", i32::from(!leaks)));
    command
}

/// Runs a command to its end, with a limit of time; both outputs go to a file, so that no pipe can fill up.
pub fn finish(mut command: Command) -> Outcome {
    let folder = folder_of_its_own("output");
    let path = folder.join("said");
    let said = File::create(&path).unwrap();
    command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
    let mut process = command.spawn().unwrap_or_else(|error| panic!("this test needs {command:?}: {error}"));
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            let _ = process.kill();
            let _ = process.wait();
            panic!("{command:?} does not end:\n{}", std::fs::read_to_string(&path).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let said = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    Outcome {
        status: status.code(),
        said: format!("{said}{}", if status.code().is_none() { status.to_string() } else { String::new() }),
    }
}

/// A folder that nobody else uses, under `target/tmp`; short enough for a unix socket in it where `target` is.
pub fn folder_of_its_own(purpose: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
    std::fs::create_dir_all(&all).unwrap_or_else(|error| panic!("cannot make {}: {error}", all.display()));
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = all.join(format!("{}-{number}-{purpose}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => return folder,
            // an earlier run had the same process id
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("cannot make {}: {error}", folder.display()),
        }
    }
}
