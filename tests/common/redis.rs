//! A Redis server of a test's own: loopback only, nothing on disk, ended when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use super::daemon;

/// A running server.
pub struct RedisServer {
    process: Child,
    port: u16,
    folder: PathBuf,
    password: Option<String>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_on(free_port(), None)
    }

    /// Starts a server that wants this password.
    pub fn with_password(password: &str) -> Self {
        Self::start_on(free_port(), Some(password))
    }

    /// Starts a server on a port that was free just now (to come back where an ended one was).
    pub fn start_on(port: u16, password: Option<&str>) -> Self {
        Self::start_program(Path::new("redis-server"), port, password)
    }

    /// Starts a program that takes the same arguments.
    pub fn start_program(program: &Path, port: u16, password: Option<&str>) -> Self {
        Self::start_with(program, port, password, &[])
    }

    /// The same with more arguments.
    pub fn start_with(program: &Path, port: u16, password: Option<&str>, more: &[&str]) -> Self {
        let folder = private_folder();
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.arg("--unixsocket").arg(folder.join("redis.sock"));
        command.arg("--dir").arg(&folder).args(more);
        if let Some(password) = password {
            command.args(["--requirepass", password]);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs the program {}: {error}", program.display()));
        let mut server = Self { process, port, folder, password: password.map(str::to_owned) };
        server.wait_until_it_answers();
        server
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of the unix socket.
    pub fn socket_path(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// The URL of a database, as LOCATION has it; with the password if there is one.
    pub fn url(&self, database: u32) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}/{database}", self.port)
    }

    /// Sends one command over a connection of its own; the reply's text, nested ones with a space between the items.
    pub fn command(&self, database: u32, arguments: &[&[u8]]) -> Vec<u8> {
        let mut client = RedisClient::connect(self.port);
        if let Some(password) = &self.password {
            client.command(&[b"AUTH", password.as_bytes()]);
        }
        client.command(&[b"SELECT", database.to_string().as_bytes()]);
        client.command(arguments)
    }

    /// Lets the server stand still, or go on.
    pub fn pause(&self, pause: bool) {
        daemon::pause(self.process.id(), pause);
    }

    fn wait_until_it_answers(&mut self) {
        let end = Instant::now() + Duration::from_mins(1);
        let (port, path) = (self.port, self.socket_path());
        let answers = || {
            // The socket's file is there before the server listens on it.
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() && UnixStream::connect(&path).is_ok()
        };
        while !answers() {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("redis-server ended at once: {status}");
            }
            assert!(Instant::now() < end, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A client of the tests' own, so that they don't judge the library by itself.
pub struct RedisClient(BufReader<TcpStream>);

impl RedisClient {
    /// Connects to a server on this machine.
    pub fn connect(port: u16) -> Self {
        Self(BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()))
    }

    /// The other end: reads what a client sends.
    pub fn reading(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Reads one command; `None` when the client is gone.
    pub fn heard(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut line = String::new();
        if self.0.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let count: usize = line.trim_end().strip_prefix('*')?.parse().ok()?;
        (0..count)
            .map(|_| {
                let mut line = String::new();
                self.0.read_line(&mut line).ok()?;
                let size: usize = line.trim_end().strip_prefix('$')?.parse().ok()?;
                let mut data = vec![0; size + 2];
                self.0.read_exact(&mut data).ok()?;
                data.truncate(size);
                Some(data)
            })
            .collect()
    }

    /// Sends a command and reads its reply.
    pub fn command(&mut self, arguments: &[&[u8]]) -> Vec<u8> {
        self.try_command(arguments).unwrap()
    }

    /// The same with a server that may hang up: Sentinels have it do that.
    pub fn try_command(&mut self, arguments: &[&[u8]]) -> std::io::Result<Vec<u8>> {
        let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
        for one in arguments {
            request.extend_from_slice(format!("${}\r\n", one.len()).as_bytes());
            request.extend_from_slice(one);
            request.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&request)?;
        self.try_reply()
    }

    /// Reads one reply; a missing value is empty.
    pub fn reply(&mut self) -> Vec<u8> {
        self.try_reply().unwrap()
    }

    fn try_reply(&mut self) -> std::io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let size = || text[1..].parse::<i64>().unwrap();
        Ok(match text.as_bytes().first() {
            Some(b'$') if size() >= 0 => {
                let mut data = vec![0; usize::try_from(size()).unwrap() + 2];
                self.0.read_exact(&mut data)?;
                data.truncate(data.len() - 2);
                data
            }
            Some(b'$') => Vec::new(),
            Some(b'*') => (0..size()).map(|_| self.try_reply()).collect::<std::io::Result<Vec<_>>>()?.join(&b' '),
            Some(_) => text.as_bytes()[1..].to_vec(),
            None => return Err(std::io::ErrorKind::UnexpectedEof.into()), // the server closed the connection
        })
    }
}

/// A port that nobody listens on, below the range that outgoing connections take theirs from.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Programs that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let step = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(13));
        let port = 16_000 + u16::try_from(step % 16_000).unwrap();
        if is_free(port) {
            return port;
        }
    }
}

/// Tries to take a port as servers do, but never listens: a program that another thread starts in this moment has a copy
/// of the socket until it runs, and as long as that listened, nobody else could take the port.
fn is_free(port: u16) -> bool {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn private_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("larder-redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    restrict(&folder);
    folder
}

fn restrict(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Sees the commands that a server gets (MONITOR).
pub struct Monitor {
    stream: RedisClient,
    marker: RedisClient,
    count: u32,
}

impl Monitor {
    /// Watches a server that wants no password.
    pub fn watch(server: &RedisServer) -> Self {
        let mut stream = RedisClient::connect(server.port());
        stream.command(&[b"MONITOR"]);
        Self { stream, marker: RedisClient::connect(server.port()), count: 0 }
    }

    /// Forgets what has been sent until now.
    pub fn skip(&mut self) {
        self.seen();
    }

    /// The commands since the last look, without those that scripts call.
    pub fn seen(&mut self) -> Vec<Vec<Vec<u8>>> {
        self.count += 1;
        let marker = format!("marker {}", self.count);
        self.marker.command(&[b"ECHO", marker.as_bytes()]);
        let mut seen = Vec::new();
        loop {
            let line = self.stream.reply();
            let (origin, arguments) = monitored(&line);
            if arguments.get(1).is_some_and(|one| one == marker.as_bytes()) {
                return seen;
            }
            if !origin.contains("lua") {
                seen.push(arguments);
            }
        }
    }
}

/// Reads a line of MONITOR: `time [database origin] "argument" …`.
fn monitored(line: &[u8]) -> (String, Vec<Vec<u8>>) {
    let quote = line.iter().position(|byte| *byte == b'"').unwrap();
    let origin = String::from_utf8_lossy(&line[..quote]).into_owned();
    let mut arguments = Vec::new();
    let mut bytes = line[quote..].iter().copied();
    while let Some(opening) = bytes.next() {
        assert_eq!(opening, b'"', "{}", String::from_utf8_lossy(line));
        let mut one = Vec::new();
        loop {
            match bytes.next().unwrap() {
                b'"' => break,
                b'\\' => one.push(match bytes.next().unwrap() {
                    b'x' => {
                        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    other => other,
                }),
                plain => one.push(plain),
            }
        }
        arguments.push(one);
        bytes.next(); // the space between
    }
    (origin, arguments)
}
