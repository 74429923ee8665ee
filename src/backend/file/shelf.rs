//! What can be done with the files of a directory; each operation as Django's FileBasedCache does it, less its races.

use std::path::PathBuf;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::census::Census;
use super::directory::{
    Directory, LOCKED, READ, REMOVED, REPLACED, SUFFIX, Temporary, is_cache_file, is_dangling, is_orphan, is_temporary,
    type_of,
};
use super::entry::{Entry, LockError, ReadError};
use super::format::{Header, push_header};
use crate::backend::{Fetched, Touched, When, Written};
use crate::config::Culling;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::lock::{Mutex, MutexGuard};
use crate::sys;
use crate::timeout::{Budget, Deadline, Ttl};
use crate::unpack::{Fault, no_memory};
use crate::zlib::{self, Wrap};

const STRIPES: usize = 16;

/// The files of one directory.
pub struct Shelf {
    directory: Directory,
    census: Census,
    /// The largest value that is read.
    limit: usize,
    /// Held for the moment in which a name changes what it stands for; by the key's hash. Always taken after the lock
    /// of a file.
    stripes: [Mutex<()>; STRIPES],
}

impl Shelf {
    /// The files in `directory`; values of more than `limit` bytes are not read.
    pub fn new(directory: PathBuf, culling: Culling, limit: usize) -> Self {
        Self {
            directory: Directory::open(directory),
            census: Census::new(culling),
            limit,
            stripes: [const { Mutex::new(()) }; STRIPES],
        }
    }

    /// A value, and what is left of its time. Expired and empty files are removed; other damage is an error, and the file stays (FB-5).
    pub fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        let path = self.directory.path_of(key);
        let Some(entry) = self.open(&path)? else { return Ok(None) };
        let first = self.value_of(&entry, &path);
        if !first.as_ref().is_err_and(|error| error.kind() == Kind::Undecodable) {
            return first;
        }
        // Perhaps Python's touch is writing it at this moment: read it again when that is done (FB-7).
        if entry.lock(false, &budget.start()).is_err() || entry.rewind().is_err() {
            return first;
        }
        self.value_of(&entry, &path)
    }

    fn value_of(&self, entry: &Entry, path: &[u8]) -> Result<Option<Fetched>> {
        let (bytes, whole) = self.read(entry, path)?;
        let (header, now) = (Header::read(&bytes)?, sys::wall_clock());
        let expiry = match header {
            Header::Expiry(expiry, _) if !header.is_over(now) => expiry,
            _ => {
                self.remove_expired(entry, path)?;
                return Ok(None);
            }
        };
        let value = zlib::value(body(&bytes, header), self.limit).map_err(|fault| unreadable(whole, fault))?;
        Ok(Some(Fetched { value: value.into(), left: Some(left(expiry, now)) }))
    }

    /// The expiry of a live entry, looking at the head only; expired and empty files are removed (FB-5).
    #[allow(clippy::option_option)] // no entry; an entry without an expiry; an expiry
    pub fn expiry(&self, key: &MadeKey) -> Result<Option<Option<f64>>> {
        self.expiry_at(&self.directory.path_of(key))
    }

    #[allow(clippy::option_option)] // as above
    fn expiry_at(&self, path: &[u8]) -> Result<Option<Option<f64>>> {
        let Some(entry) = self.open(path)? else { return Ok(None) };
        let header = self.header_of(&entry, path)?;
        match header {
            Header::Expiry(expiry, _) if !header.is_over(sys::wall_clock()) => Ok(Some(expiry)),
            _ => {
                self.remove_expired(&entry, path)?;
                Ok(None)
            }
        }
    }

    /// What is left of an entry's time.
    pub fn ttl(&self, key: &MadeKey) -> Result<Option<Ttl>> {
        Ok(self.expiry(key)?.map(|expiry| left(expiry, sys::wall_clock())))
    }

    /// Writes a value; one whose time is spent is written too, and is expired (T).
    pub fn set(&self, key: &MadeKey, value: &[u8], ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let path = self.directory.path_of(key);
        if when != When::Always && self.expiry_at(&path)?.is_some() != (when == When::Present) {
            return Ok(Written::NotStored);
        }
        let mut content = Vec::new();
        push_header(&mut content, expiry_in(ttl));
        zlib::pack(value, Wrap::Zlib, 6, &mut content).map_err(|_| no_memory())?;
        let exactly = self.census.make_room(&self.directory, &path)?;
        let temporary = self.directory.write_temporary(&content)?;
        let stored = match when {
            When::Always => self.replace(temporary, &path, exactly).map(|()| true),
            When::Missing => self.place(temporary, &path, budget),
            When::Present => self.replace_live(temporary, &path),
        };
        Ok(match stored? {
            false => Written::NotStored,
            true if ttl.is_spent() => Written::NotKept,
            true => Written::Stored,
        })
    }

    fn replace(&self, temporary: Temporary, path: &[u8], count_exactly: bool) -> Result<()> {
        let moment = self.moment_of(path);
        let is_new = !count_exactly || rustix::fs::access(path, rustix::fs::Access::EXISTS).is_err();
        self.rename(temporary, path)?;
        drop(moment);
        if is_new {
            self.census.added();
        }
        Ok(())
    }

    fn replace_live(&self, temporary: Temporary, path: &[u8]) -> Result<bool> {
        let _moment = self.moment_of(path);
        let Some(entry) = self.open(path)? else { return Ok(false) };
        if self.header_of(&entry, path)?.is_over(sys::wall_clock()) {
            return Ok(false); // whoever reads it next removes it
        }
        self.rename(temporary, path)?;
        Ok(true)
    }

    /// Django's add, but so that only one of many wins (FB-10).
    fn place(&self, mut temporary: Temporary, path: &[u8], budget: Budget) -> Result<bool> {
        let deadline = budget.start();
        loop {
            if temporary.place(path).map_err(|error| self.directory.failed_at(REPLACED, path, error))? {
                self.census.added();
                return Ok(true);
            }
            let Some(entry) = self.open(path)? else {
                // It is gone again; or the name is taken by a link that leads nowhere, which is as good as no entry.
                let _moment = self.moment_of(path);
                if is_dangling(path) {
                    self.rename(temporary, path)?;
                    self.census.added();
                    return Ok(true);
                }
                in_time(&deadline)?;
                continue;
            };
            if !self.header_of(&entry, path)?.is_over(sys::wall_clock()) {
                return Ok(false);
            }
            // An expired one is replaced under its lock, by the first who gets it.
            self.lock(&entry, path, &deadline)?;
            let _moment = self.moment_of(path);
            if self.is_at(&entry, path)? {
                self.rename(temporary, path)?;
                return Ok(true);
            }
            in_time(&deadline)?;
        }
    }

    /// Gives an entry another expiry, under the lock that Django's touch takes, but in a new file: readers see the old
    /// one or the new one (FB-7), and no old bytes stay behind the value (FB-4).
    pub fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        let path = self.directory.path_of(key);
        let deadline = budget.start();
        loop {
            let entry = Entry::open_for_touch(&path)
                .map_err(|error| self.directory.failed_at("opened for writing", &path, error))?;
            let Some(entry) = entry else { return Ok(Touched::Missing) };
            self.lock(&entry, &path, &deadline)?;
            let (bytes, whole) = self.read(&entry, &path)?;
            let header = Header::read(&bytes)?;
            if header.is_over(sys::wall_clock()) {
                self.remove_expired(&entry, &path)?;
                return Ok(Touched::Missing);
            }
            let body = body(&bytes, header);
            let length = zlib::length(body, self.limit).map_err(|fault| unreadable(whole, fault))?;
            let mut content = Vec::new();
            content.try_reserve_exact(length.saturating_add(21)).map_err(|_| no_memory())?;
            push_header(&mut content, expiry_in(ttl));
            content.extend_from_slice(body.get(..length).unwrap_or_default());
            let temporary = self.directory.write_temporary(&content)?;
            let _moment = self.moment_of(&path);
            if self.is_at(&entry, &path)? {
                self.rename(temporary, &path)?;
                return Ok(if ttl.is_spent() { Touched::NotKept } else { Touched::Changed });
            }
            in_time(&deadline)?; // another value came in between: that one is touched
        }
    }

    /// Removes a key; true also for an expired one (pitfall 22).
    pub fn delete(&self, key: &MadeKey) -> Result<bool> {
        let path = self.directory.path_of(key);
        let _moment = self.moment_of(&path);
        self.remove(&path)
    }

    /// Removes every cache file, whoever wrote it, and nothing else (FB-9). What cannot be removed does not keep the
    /// others; the first such failure is the answer. A directory is no cache file, whatever its name.
    pub fn clear(&self) -> Result<()> {
        let names = self.directory.cache_files()?;
        self.census.forget();
        let paths = names.iter().map(|name| self.directory.path(name));
        count_all(paths, |path| match self.remove(&path) {
            Err(_) if type_of(&path) == Some(FileType::Directory) => Ok(false),
            removed => removed,
        })
        .map(drop)
    }

    /// Removes expired files, and temporary ones whose writer must have died; how many. What cannot be removed does not
    /// keep the others; the first such failure is the answer.
    pub fn purge(&self) -> Result<u64> {
        let mut orphans = Vec::new();
        let mut files = Vec::new();
        self.directory.list(|name| {
            if is_cache_file(name) {
                files.push(self.directory.path(name));
            } else if is_temporary(name) {
                orphans.push(self.directory.path(name));
            }
        })?;
        let expired = count_all(files, |path| match Entry::open(&path) {
            Ok(Some(entry)) if entry.is_over(sys::wall_clock()) => self.remove_expired(&entry, &path),
            _ => Ok(false), // what cannot be opened or read (another user's, damaged) is left alone
        });
        let orphaned = count_all(orphans, |path| Ok(is_orphan(&path) && self.unlink(&path)?));
        Ok(expired? + orphaned?)
    }

    /// Whether files can be written.
    pub fn check(&self) -> Result<()> {
        self.directory.check()
    }

    /// Removes a file that has expired, unless another one has taken its name or its lock; whether it did.
    fn remove_expired(&self, entry: &Entry, path: &[u8]) -> Result<bool> {
        if !entry.try_lock() {
            return Ok(false); // someone is about to replace it
        }
        let _moment = self.moment_of(path);
        if self.is_at(entry, path)? { self.remove(path) } else { Ok(false) }
    }

    fn remove(&self, path: &[u8]) -> Result<bool> {
        let removed = self.unlink(path)?;
        if removed {
            self.census.removed();
        }
        Ok(removed)
    }

    fn unlink(&self, path: &[u8]) -> Result<bool> {
        match rustix::fs::unlink(path) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.directory.failed_at(REMOVED, path, error)),
        }
    }

    fn open(&self, path: &[u8]) -> Result<Option<Entry>> {
        Entry::open(path).map_err(|error| self.directory.failed_at(READ, path, error))
    }

    fn rename(&self, temporary: Temporary, path: &[u8]) -> Result<()> {
        temporary.replace(path).map_err(|error| self.directory.failed_at(REPLACED, path, error))
    }

    fn is_at(&self, entry: &Entry, path: &[u8]) -> Result<bool> {
        entry.is_at(path).map_err(|error| self.directory.failed_at(READ, path, error))
    }

    fn header_of(&self, entry: &Entry, path: &[u8]) -> Result<Header> {
        entry.header().map_err(|error| self.directory.failed_at(READ, path, error))?
    }

    /// A file's bytes: all of it, or as much as a value of the largest size can take.
    fn read(&self, entry: &Entry, path: &[u8]) -> Result<(Vec<u8>, bool)> {
        let limit = self.limit.saturating_add(self.limit / 64).saturating_add(64 << 10);
        entry.read(limit).map_err(|error| match error {
            ReadError::Memory => no_memory(),
            ReadError::System(error) => self.directory.failed_at(READ, path, error),
        })
    }

    /// Waits for the lock that Django's touch takes, for writing.
    fn lock(&self, entry: &Entry, path: &[u8], deadline: &Deadline) -> Result<()> {
        entry.lock(true, deadline).map_err(|error| match error {
            LockError::Late => LockError::late(),
            LockError::System(error) => self.directory.failed_at(LOCKED, path, error),
        })
    }

    /// The moment in which nobody else of this object changes what a name stands for.
    fn moment_of(&self, path: &[u8]) -> MutexGuard<'_, ()> {
        let last_digit = path.iter().rev().nth(SUFFIX.len()).copied().unwrap_or_default();
        let [first, ..] = &self.stripes;
        self.stripes.get(usize::from(last_digit) % STRIPES).unwrap_or(first).lock()
    }
}

fn body(bytes: &[u8], header: Header) -> &[u8] {
    match header {
        Header::Expiry(_, length) => bytes.get(length..).unwrap_or_default(),
        Header::Missing => &[],
    }
}

/// Why a file's value could not be unpacked. A stream that ends where reading stopped is not broken but too long.
fn unreadable(whole: bool, fault: Fault) -> Error {
    match fault {
        Fault::Broken | Fault::CutShort if whole => {
            Error::new(Kind::Undecodable, "the value in the cache file is not a whole zlib stream")
        }
        Fault::Broken | Fault::CutShort => {
            Error::new(Kind::TooBig, "the cache file is larger than MAX_VALUE_BYTES allows")
        }
        Fault::TooBig | Fault::ManyStreams => {
            Error::new(Kind::TooBig, "the value in the cache file is larger than MAX_VALUE_BYTES")
        }
        Fault::NoMemory => no_memory(),
    }
}

/// The expiry of an entry written now (T: `now + t`, as a float of seconds).
#[allow(clippy::cast_precision_loss)] // beyond 2^53 ms nobody counts
fn expiry_in(ttl: Ttl) -> Option<f64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Millis(0) => Some(sys::wall_clock() - 1.0), // T-1: so that `expiry < now` cannot race
        Ttl::Millis(ms) => Some(sys::wall_clock() + ms as f64 / 1000.0),
    }
}

/// What is left of a live entry's time.
fn left(expiry: Option<f64>, now: f64) -> Ttl {
    match expiry.filter(|expiry| expiry.is_finite()) {
        None => Ttl::Forever,
        Some(expiry) => Ttl::Millis(whole_millis(expiry - now)),
    }
}

/// Seconds as whole milliseconds, rounded up; at least one, as the entry is live.
#[allow(clippy::cast_possible_truncation)] // `as` saturates
fn whole_millis(seconds: f64) -> i64 {
    ((seconds * 1000.0).ceil() as i64).max(1)
}

/// Does something with all of them, and counts where it was done; the first failure, once all have had their turn.
fn count_all<T>(all: impl IntoIterator<Item = T>, mut work: impl FnMut(T) -> Result<bool>) -> Result<u64> {
    let (mut count, mut first) = (0, None);
    for one in all {
        match work(one) {
            Ok(done) => count += u64::from(done),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(count), Err)
}

/// To be asked before something is tried again because another process was quicker.
fn in_time(deadline: &Deadline) -> Result<()> {
    match deadline.left() {
        Some(_) => Ok(()),
        None => Err(Error::new(Kind::Timeout, "other processes kept changing the cache file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody can be refused as root, so that this is not shown with files.
    #[test]
    fn a_failure_does_not_keep_the_others() {
        let mut seen = Vec::new();
        let answer = count_all(0..5, |number| {
            seen.push(number);
            if number % 2 == 1 { Err(Error::new(Kind::Io, format!("number {number}"))) } else { Ok(number > 0) }
        });
        assert_eq!(answer.unwrap_err().reason(), "number 1");
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(count_all(0..5, |number| Ok(number > 0)).unwrap(), 4);
    }

    #[test]
    fn nothing_is_tried_again_when_the_time_is_over() {
        assert!(in_time(&Budget::new(std::time::Duration::from_mins(1)).start()).is_ok());
        assert_eq!(in_time(&Budget::new(std::time::Duration::ZERO).start()).unwrap_err().kind(), Kind::Timeout);
    }
}
