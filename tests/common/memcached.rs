//! A memcached server of a test's own: on 127.0.0.1 or on a socket in a private folder, ended when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::daemon;
use super::redis::free_port;

/// A server. It runs, but for the time between [`Self::kill`] and [`Self::revive`].
pub struct MemcachedServer {
    process: Option<Child>,
    place: Place,
    more: Vec<String>,
}

/// Where a server listens.
#[derive(Clone, Debug)]
enum Place {
    Port(u16),
    /// In a folder of its own.
    Socket(PathBuf),
}

impl MemcachedServer {
    /// Starts a server on a free port and waits until it answers.
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    /// Starts a server on a port that was free just now (to come where another one was).
    pub fn start_on(port: u16) -> Self {
        Self::at(Place::Port(port), &[]).awaited()
    }

    /// Starts a server on a unix socket, with more arguments.
    pub fn on_socket(more: &[&str]) -> Self {
        Self::at(Place::Socket(private_folder().join("socket")), more).awaited()
    }

    /// Starts several servers at once on ports, with more arguments.
    pub fn several(count: usize, more: &[&str]) -> Vec<Self> {
        let begun: Vec<_> = (0..count).map(|_| Self::at(Place::Port(free_port()), more)).collect();
        begun.into_iter().map(Self::awaited).collect()
    }

    fn at(place: Place, more: &[&str]) -> Self {
        let more = more.iter().map(|&one| one.to_owned()).collect();
        let mut server = Self { process: None, place, more };
        server.begin();
        server
    }

    fn begin(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new("memcached");
        match &self.place {
            Place::Port(port) => command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0"]),
            Place::Socket(path) => command.arg("-s").arg(path).args(["-a", "0600"]),
        };
        command.args(["-m", "64", "-t", "2"]).args(&self.more);
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            command.args(["-u", "root"]); // else it refuses; another user could not use the socket's folder
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("this test needs the program memcached: {error}"));
        self.process = Some(process);
    }

    fn awaited(mut self) -> Self {
        self.wait_until_it_answers();
        self
    }

    fn wait_until_it_answers(&mut self) {
        let end = Instant::now() + Duration::from_mins(1);
        while self.try_connect().is_none() {
            if let Some(status) = self.process.as_mut().unwrap().try_wait().unwrap() {
                panic!("memcached ended at once: {status}");
            }
            assert!(Instant::now() < end, "memcached does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Port(port) => *port,
            Place::Socket(_) => panic!("this server is on a socket"),
        }
    }

    /// The server as LOCATION has it.
    pub fn location(&self) -> String {
        match &self.place {
            Place::Port(port) => format!("127.0.0.1:{port}"),
            Place::Socket(path) => format!("unix:{}", path.to_str().unwrap()),
        }
    }

    /// Lets the server stand still, or go on.
    pub fn pause(&self, pause: bool) {
        daemon::pause(self.process.as_ref().unwrap().id(), pause);
    }

    /// Ends the server at once; it forgets everything.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again where it was, after [`Self::kill`]; empty.
    pub fn revive(&mut self) {
        self.begin();
        self.wait_until_it_answers();
    }

    /// A connection to it.
    pub fn client(&self) -> MemcachedClient {
        self.try_connect().expect("memcached listens")
    }

    fn try_connect(&self) -> Option<MemcachedClient> {
        let stream: Box<dyn Stream> = match &self.place {
            Place::Port(port) => Box::new(TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).ok()?),
            Place::Socket(path) => Box::new(UnixStream::connect(path).ok()?),
        };
        Some(MemcachedClient(BufReader::new(stream)))
    }
}

impl Drop for MemcachedServer {
    fn drop(&mut self) {
        self.kill();
        if let Place::Socket(path) = &self.place {
            let _ = std::fs::remove_dir_all(path.parent().unwrap());
        }
    }
}

/// What LOCATION is for several servers.
pub fn locations(servers: &[MemcachedServer]) -> Vec<String> {
    servers.iter().map(MemcachedServer::location).collect()
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A client of the tests' own, so that they don't judge the library by itself.
pub struct MemcachedClient(BufReader<Box<dyn Stream>>);

/// What a server holds under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub flags: u32,
    pub bytes: Vec<u8>,
    /// Seconds that are left, as the server counts them; `None`: no end.
    pub left: Option<i64>,
}

impl MemcachedClient {
    /// The item under a made key.
    pub fn item(&mut self, key: &[u8]) -> Option<Item> {
        self.send(&[b"mg ", key, b" f t v"]);
        let line = self.line();
        let mut words = line.split(' ');
        match words.next() {
            Some("EN") => return None,
            Some("VA") => {}
            _ => panic!("memcached answered {line:?}"),
        }
        let size: usize = words.next().unwrap().parse().unwrap();
        let (mut flags, mut left) = (0, None);
        for word in words {
            match word.split_at(1) {
                ("f", number) => flags = number.parse().unwrap(),
                ("t", "-1") => left = None,
                ("t", number) => left = Some(number.parse().unwrap()),
                _ => panic!("memcached answered {line:?}"),
            }
        }
        let mut bytes = vec![0; size + 2];
        self.0.read_exact(&mut bytes).unwrap();
        bytes.truncate(size);
        Some(Item { flags, bytes, left })
    }

    /// Puts bytes under a made key as they are; `exptime` as in the protocol.
    pub fn put(&mut self, key: &[u8], flags: u32, exptime: i64, bytes: &[u8]) {
        let rest = format!(" {flags} {exptime} {}\r\n", bytes.len());
        self.send(&[b"set ", key, rest.as_bytes(), bytes]);
        assert_eq!(self.line(), "STORED");
    }

    /// Removes everything.
    pub fn flush(&mut self) {
        self.send(&[b"flush_all"]);
        assert_eq!(self.line(), "OK");
    }

    /// One number of `stats`.
    pub fn stat(&mut self, name: &str) -> u64 {
        self.send(&[b"stats"]);
        let (beginning, mut found) = (format!("STAT {name} "), None);
        loop {
            match self.line() {
                line if line == "END" => return found.unwrap_or_else(|| panic!("memcached has no number {name}")),
                line => found = line.strip_prefix(&beginning).map(|number| number.parse().unwrap()).or(found),
            }
        }
    }

    fn send(&mut self, parts: &[&[u8]]) {
        let mut request = parts.concat();
        request.extend_from_slice(b"\r\n");
        self.0.get_mut().write_all(&request).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the server closed the connection");
        line.trim_end().to_owned()
    }
}

fn private_folder() -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("larder-memcached-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    folder
}
