//! Large values, in files of a shard's folder: `xx/yy/<28 hex digits>.val`.
//!
//! A name comes from a row, which anybody may have written who can write the database. So it must have exactly this form,
//! and no link is followed on the way: whatever is read, written and removed is inside the folder.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// The length of `xx/yy/<28>.val`.
const LENGTH: usize = 38;
const SUFFIX: &str = ".val";

/// Somebody may remove an empty folder just when a file should go there.
const TRIES: usize = 10;

/// The name of a value's file, relative to the shard's folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// A name of the form that diskcache gives.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_right = |(at, byte): (usize, &u8)| match at {
            2 | 5 => *byte == b'/',
            34.. => SUFFIX.as_bytes().get(at - 34) == Some(byte),
            _ => is_hex(byte),
        };
        let right = text.len() == LENGTH && text.iter().enumerate().all(is_right);
        if right { String::from_utf8(text.to_vec()).ok().map(Self) } else { None }
    }

    /// A new one. Two processes that make the same are kept apart by O_EXCL.
    fn random() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut words = [0; 2];
        for word in &mut words {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(NUMBER.fetch_add(1, Ordering::Relaxed));
            hasher.write_u32(std::process::id());
            *word = hasher.finish();
        }
        let [high, low] = words;
        let hex = format!("{high:016x}{low:016x}");
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        Self(format!("{}/{}/{}{SUFFIX}", part(0..2), part(2..4), part(4..32)))
    }

    /// The name as a row has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> [&str; 3] {
        [self.0.get(..2), self.0.get(3..5), self.0.get(6..)].map(Option::unwrap_or_default)
    }
}

/// A shard's folder.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at this path.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a new file, which is removed again unless it is kept.
    pub fn write(&self, content: &[u8]) -> Result<NewFile<'_>> {
        let (file, new) = self.create().map_err(|error| self.failed("written", error))?;
        let mut rest = content;
        while !rest.is_empty() {
            match rustix::io::write(&file, rest) {
                Ok(0) => return Err(self.failed("written", Errno::IO)),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("written", error)),
            }
        }
        Ok(new)
    }

    fn create(&self) -> Result<(OwnedFd, NewFile<'_>), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut last = Errno::NOENT;
        for _ in 0..TRIES {
            let name = Name::random();
            let [.., file] = name.parts();
            let made = self
                .enter(&name, true)
                .and_then(|[.., inner]| rustix::fs::openat(inner, file, flags, Mode::from_raw_mode(0o666)));
            match made {
                Ok(file) => return Ok((file, NewFile { folder: self, name, kept: false })),
                Err(error) => last = error,
            }
            self.remove(&name); // the folders, if they were made for it
            if !matches!(last, Errno::NOENT | Errno::EXIST | Errno::INTR) {
                break;
            }
        }
        Err(last)
    }

    /// A file's content; `None` where there is no such file. At most `limit` bytes.
    pub fn read(&self, name: &Name, limit: usize) -> Result<Option<Vec<u8>>> {
        let [.., file] = name.parts();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened =
            self.enter(name, false).and_then(|[.., inner]| rustix::fs::openat(inner, file, flags, Mode::empty()));
        let file = match opened {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(|error| self.failed("read", error))?,
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| self.failed("read", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::new(Kind::Undecodable, "the stored value's file is no regular file"));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > limit {
            let reason = format!("the stored value has {size} bytes; MAX_VALUE_BYTES is {limit}");
            return Err(Error::new(Kind::TooBig, reason));
        }
        let mut content = Vec::new();
        let no_memory = |_| Error::new(Kind::Memory, format!("no memory for a value of {size} bytes"));
        content.try_reserve_exact(size).map_err(no_memory)?;
        // no more than it had: one that grows meanwhile is no value of diskcache's
        while content.len() < size {
            match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut content)) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("read", error)),
            }
        }
        content.truncate(size);
        Ok(Some(content))
    }

    /// Removes a file, and the folders that become empty. What fails is left: nothing refers to it any more.
    pub fn remove(&self, name: &Name) {
        let Ok([root, outer, inner]) = self.enter(name, false) else { return };
        let [first, second, file] = name.parts();
        let _ = rustix::fs::unlinkat(&inner, file, AtFlags::empty());
        let emptied = rustix::fs::unlinkat(&outer, second, AtFlags::REMOVEDIR);
        if emptied.is_ok() {
            let _ = rustix::fs::unlinkat(&root, first, AtFlags::REMOVEDIR);
        }
    }

    /// This folder and the two inside of it that a name goes through, made if need be.
    fn enter(&self, name: &Name, make: bool) -> Result<[OwnedFd; 3], Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let [first, second, _] = name.parts();
        let inside = |outer: &OwnedFd, name: &str| {
            if make {
                match rustix::fs::mkdirat(outer, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
            }
            rustix::fs::openat(outer, name, flags | OFlags::NOFOLLOW, Mode::empty())
        };
        let root = rustix::fs::open(&self.0, flags, Mode::empty())?;
        let outer = inside(&root, first)?;
        let inner = inside(&outer, second)?;
        Ok([root, outer, inner])
    }

    /// The files that nobody has written for `age` seconds, at most `most` of them; those of the folders that were
    /// reached in time.
    pub fn old_files(&self, age: i64, now: i64, most: usize, deadline: &Deadline) -> Vec<Name> {
        let mut found = Vec::new();
        let two = |name: &str| name.len() == 2;
        for outer in names_in(&self.0).into_iter().filter(|name| two(name)) {
            if deadline.left().is_none() {
                break;
            }
            for inner in names_in(&self.0.join(&outer)).into_iter().filter(|name| two(name)) {
                for file in names_in(&self.0.join(&outer).join(&inner)) {
                    let Some(name) = Name::parse(format!("{outer}/{inner}/{file}").as_bytes()) else { continue };
                    let stat = rustix::fs::lstat(self.0.join(name.as_str()));
                    if stat.is_ok_and(|stat| now.saturating_sub(stat.st_mtime) > age) && found.len() < most {
                        found.push(name);
                    }
                }
            }
        }
        found
    }

    /// The failure of a system call on a value's file; `act` says what it cannot be.
    fn failed(&self, act: &str, error: Errno) -> Error {
        let kind = if error == Errno::NOMEM { Kind::Memory } else { Kind::Io };
        let folder = self.0.display();
        Error::new(kind, format!("a value's file in '{folder}' cannot be {act}: {}", std::io::Error::from(error)))
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// A file that no row names yet. Dropped, it is removed.
pub struct NewFile<'a> {
    folder: &'a Folder,
    name: Name,
    kept: bool,
}

impl NewFile<'_> {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// A row names it now, or may.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.folder.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let made = Name::random();
        assert_eq!(Name::parse(made.as_str().as_bytes()), Some(made.clone()));
        assert_ne!(Name::random(), made);
        let right = "ab/01/0123456789abcdef0123456789ab.val";
        assert!(Name::parse(right.as_bytes()).is_some());
        for wrong in [
            "",
            "cache.db",
            "../01/0123456789abcdef0123456789ab.val",
            "ab/../0123456789abcdef0123456789ab.val",
            "/b/01/0123456789abcdef0123456789ab.val",
            "ab/01/0123456789abcdef0123456789aB.val",
            "ab/01/0123456789abcdef0123456789/b.val",
            "ab/01/0123456789abcdef0123456789ab.vax",
            "ab/01/0123456789abcdef0123456789ab.val\0",
            "ab\u{0}01/0123456789abcdef0123456789ab.val",
        ] {
            assert_eq!(Name::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
