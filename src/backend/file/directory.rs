//! The cache's directory: names, listings, new files (FB-1, FB-2, FB-6, K-11).

use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use md5::{Digest, Md5};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags};
use rustix::io::Errno;
use smallvec::SmallVec;

use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::sys;

/// What the names of cache files end in.
pub const SUFFIX: &[u8] = b".djcache";

/// After this many seconds a temporary file has lost its writer.
const ORPHANED_AFTER: i64 = 3600;

/// The bytes of a path; nearly always short enough to need no memory of their own.
pub type PathBytes = SmallVec<[u8; 256]>;

/// A directory with cache files.
pub struct Directory(PathBuf);

impl Directory {
    /// The directory at this path, made if possible; if not, the first use reports it (FB-2).
    pub fn open(path: PathBuf) -> Self {
        let directory = Self(path);
        let _ = directory.make();
        directory
    }

    /// Makes the directory and every level above it that is missing (FB-2).
    pub fn make(&self) -> Result<()> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| self.failed_with("made", &error))
    }

    /// Whether files can be made here now.
    pub fn check(&self) -> Result<()> {
        self.make()?;
        rustix::fs::access(&self.0, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| self.failed("written to", error))
    }

    /// The path of a file here.
    pub fn path(&self, name: &[u8]) -> PathBytes {
        let mut path = PathBytes::from_slice(self.0.as_os_str().as_bytes());
        path.push(b'/');
        path.extend_from_slice(name);
        path
    }

    /// The path of a key's file: the MD5 of the made key in lower-case hex (K-11).
    pub fn path_of(&self, key: &MadeKey) -> PathBytes {
        let mut path = self.path(&[]);
        for byte in Md5::digest(key.as_bytes()) {
            path.extend([byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        path.extend_from_slice(SUFFIX);
        path
    }

    /// Shows every name in the directory. None when there is no directory.
    pub fn list(&self, mut show: impl FnMut(&[u8])) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(&self.0, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(|error| self.failed("listed", error))?,
        };
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            show(entry.map_err(|error| self.failed("listed", error))?.file_name().to_bytes());
        }
        Ok(())
    }

    /// The names of all cache files, by whomever.
    pub fn cache_files(&self) -> Result<Vec<Box<[u8]>>> {
        let mut names = Vec::new();
        self.list(|name| {
            if is_cache_file(name) {
                names.push(name.into());
            }
        })?;
        Ok(names)
    }

    /// Writes a new file under a name that nobody reads (FB-6), making the directory if it is gone.
    pub fn write_temporary(&self, content: &[u8]) -> Result<Temporary> {
        let (file, temporary) = self.new_temporary()?;
        let mut rest = content;
        while !rest.is_empty() {
            match rustix::io::write(&file, rest) {
                Ok(0) => return Err(self.failed("written to", Errno::IO)),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("written to", error)), // dropping the temporary removes it
            }
        }
        Ok(temporary)
    }

    fn new_temporary(&self) -> Result<(OwnedFd, Temporary)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut made = false;
        loop {
            let path = self.path(temporary_name().as_bytes());
            match rustix::fs::open(path.as_slice(), flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => return Ok((file, Temporary(Some(path)))),
                Err(Errno::EXIST | Errno::INTR) => {}
                Err(Errno::NOENT) if !made => {
                    self.make()?;
                    made = true;
                }
                Err(error) => return Err(self.failed("written to", error)),
            }
        }
    }

    /// The failure of a system call on the directory; `act` says what it cannot be: `listed`, `written to`.
    pub fn failed(&self, act: &str, error: Errno) -> Error {
        self.failed_with(act, &error.into())
    }

    /// The failure of a system call on one file here; `act` says what it cannot be: `read`, `replaced`. Where it is the
    /// directory that stands in the way, that is said.
    pub fn failed_at(&self, act: &str, path: &[u8], error: Errno) -> Error {
        let changes_names = matches!(act, REPLACED | REMOVED);
        let needed = if changes_names { Access::WRITE_OK | Access::EXEC_OK } else { Access::EXEC_OK };
        let whole = error == Errno::NOTDIR
            || (error == Errno::ACCESS && rustix::fs::access(&self.0, needed) == Err(Errno::ACCESS));
        if whole {
            return self.failed(if changes_names { "written to" } else { "used" }, error);
        }
        let hint = match error {
            Errno::ACCESS | Errno::PERM => "; was it written by another user?",
            _ => "",
        };
        let path = String::from_utf8_lossy(path);
        let system = std::io::Error::from(error);
        Error::new(kind_of(&system), format!("the cache file '{path}' cannot be {act}: {system}{hint}"))
    }

    fn failed_with(&self, act: &str, error: &std::io::Error) -> Error {
        let path = self.0.display();
        // A regular file in the place of the directory, or of one above it?
        let is_other = |path: &&Path| std::fs::metadata(path).is_ok_and(|there| !there.is_dir());
        let reason = match self.0.ancestors().find(is_other) {
            Some(other) if other == self.0 => format!("the cache directory '{path}' is not a directory"),
            Some(other) => {
                format!("the cache directory '{path}' cannot be {act}: '{}' is not a directory", other.display())
            }
            None => format!("the cache directory '{path}' cannot be {act}: {error}"),
        };
        Error::new(kind_of(error), reason)
    }
}

/// What a file cannot be, for [`Directory::failed_at`]: its content is wanted.
pub const READ: &str = "read";
/// Another one should take its name.
pub const REPLACED: &str = "replaced";
/// Its name should go.
pub const REMOVED: &str = "removed";
/// Its lock is wanted.
pub const LOCKED: &str = "locked";

fn kind_of(error: &std::io::Error) -> Kind {
    if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) { Kind::Memory } else { Kind::Io }
}

/// A whole file that is not under its real name yet. Dropped, it is removed.
pub struct Temporary(Option<PathBytes>);

impl Temporary {
    /// Gives the file its name, in the place of another one if need be. Readers see the old file or the new.
    pub fn replace(mut self, target: &[u8]) -> Result<(), Errno> {
        rustix::fs::rename(self.path(), target)?;
        self.0 = None;
        Ok(())
    }

    /// Gives the file its name unless there is a file of that name; whether it did. At most one of many can.
    pub fn place(&mut self, target: &[u8]) -> Result<bool, Errno> {
        let directory = rustix::fs::CWD;
        match rustix::fs::renameat_with(directory, self.path(), directory, target, RenameFlags::NOREPLACE) {
            Ok(()) => self.0 = None,
            Err(Errno::EXIST) => return Ok(false),
            // This file system has no such rename: a second name for the file, then the first one goes.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match rustix::fs::link(self.path(), target) {
                Err(Errno::EXIST) => return Ok(false),
                linked => linked?,
            },
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn path(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = rustix::fs::unlink(path.as_slice());
        }
    }
}

/// Whether a name is one that Django counts, culls and clears: `*.djcache`, not hidden (FB-8).
pub fn is_cache_file(name: &[u8]) -> bool {
    name.ends_with(SUFFIX) && !name.starts_with(b".")
}

/// Whether a name can be that of a temporary file, ours or Python's: `tmp` and eight of `[a-z0-9_]` (FB-6).
pub fn is_temporary(name: &[u8]) -> bool {
    name.strip_prefix(b"tmp").is_some_and(|random| {
        random.len() == 8 && random.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    })
}

/// Whether a temporary file has lost its writer: a plain file, ours and for nobody else, that has not been written for
/// an hour. The directory may be one that others use as well (FB-1), so whatever could be theirs is left.
pub fn is_orphan(path: &[u8]) -> bool {
    let stat = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW);
    #[allow(clippy::cast_possible_truncation)] // whole seconds since 1970
    let now = sys::wall_clock() as i64;
    stat.is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_mode & 0o7777 == 0o600
            && stat.st_uid == rustix::process::geteuid().as_raw()
            && now.saturating_sub(stat.st_mtime) > ORPHANED_AFTER
    })
}

/// What a name stands for itself, where it is a link; `None` if there is no such name.
pub fn type_of(path: &[u8]) -> Option<FileType> {
    let stat = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

/// Whether a name is a link that leads nowhere.
pub fn is_dangling(path: &[u8]) -> bool {
    type_of(path) == Some(FileType::Symlink) && rustix::fs::stat(path).err() == Some(Errno::NOENT)
}

/// `tmp` and eight random characters, as `mkstemp` makes them. The number and the process keep threads and forked
/// children apart; whom they don't keep apart O_EXCL does.
fn temporary_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(NUMBER.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    let mut name = String::with_capacity(11);
    let _ = write!(name, "tmp{:08x}", hasher.finish() >> 32);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_what_stands_in_the_way() {
        let there = Directory(std::env::temp_dir());
        let path = there.path(b"0.djcache");
        let named = |act: &str, error| there.failed_at(act, &path, error).reason().to_owned();
        let file = String::from_utf8_lossy(&path).into_owned();
        let told = named(READ, Errno::ACCESS);
        assert!(told.starts_with(&format!("the cache file '{file}' cannot be read: Permission denied")), "{told}");
        assert!(told.ends_with("; was it written by another user?"), "{told}");
        let told = named(REMOVED, Errno::PERM);
        assert!(told.contains("cannot be removed: ") && told.ends_with("another user?"), "{told}");
        let told = named(REPLACED, Errno::ISDIR);
        assert!(told.contains("cannot be replaced: ") && !told.contains("user"), "{told}");
        assert!(named(READ, Errno::NOTDIR).starts_with("the cache directory '"));
        assert_eq!(there.failed_at(READ, &path, Errno::NOMEM).kind(), Kind::Memory);
    }

    /// FB-6: what `mkstemp` makes, and nothing else.
    #[test]
    fn names_of_temporary_files() {
        for name in ["tmpabcd1234", "tmp________"] {
            assert!(is_temporary(name.as_bytes()), "{name}");
        }
        assert!(is_temporary(temporary_name().as_bytes()));
        for name in ["tmp", "tmpabc", "tmpabcd12345", "tmpABCD1234", "tmpabcd.234", "xtmpabcd1234", "tmpreport.csv"] {
            assert!(!is_temporary(name.as_bytes()), "{name}");
        }
    }
}
