//! What a row holds: a value by its columns mode, filename and value, and back.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::fault::Fault;
use super::files::Name;
use crate::backend::{Stored, StoredRef};
use crate::error::{Error, Kind};
use crate::stored::kind::{BYTES, FLOAT, INT, NULL, PICKLE, TEXT};

const MODE_NONE: i64 = 0;
const MODE_RAW: i64 = 1;
const MODE_BINARY: i64 = 2;
const MODE_TEXT: i64 = 3;
const MODE_PICKLE: i64 = 4;

/// A value, or where it is.
#[derive(Debug)]
pub enum Held {
    /// Here.
    Here(Stored),
    /// In a file, and of which kind it is.
    File(Name, u32),
}

/// Reads the columns `mode`, `filename`, `value`, which stand at `at` and after it. Values of more than `limit` bytes are
/// refused.
pub fn read(row: &rusqlite::Row<'_>, at: usize, limit: usize) -> Result<Held, Fault> {
    let (mode, value) = (row.get_ref(at)?, row.get_ref(at + 2)?);
    let ValueRef::Integer(mode) = mode else { return Err(broken("the mode is no number")) };
    let here = |bytes: &[u8], flags| copied(bytes, flags, limit).map(Held::Here);
    match (mode, value) {
        (MODE_RAW, ValueRef::Null) | (MODE_NONE, _) => here(&[], NULL),
        (MODE_RAW, ValueRef::Integer(int)) => here(int.to_string().as_bytes(), INT),
        (MODE_RAW, ValueRef::Real(float)) => here(crate::float::repr(float).as_bytes(), FLOAT),
        (MODE_RAW, ValueRef::Text(text)) => here(text, TEXT),
        (MODE_RAW, ValueRef::Blob(bytes)) => here(bytes, BYTES),
        (MODE_PICKLE, ValueRef::Blob(pickle)) => here(pickle, PICKLE),
        (MODE_PICKLE, ValueRef::Null) => Ok(Held::File(filename(row, at + 1)?, PICKLE)),
        (MODE_BINARY, _) => Ok(Held::File(filename(row, at + 1)?, BYTES)),
        (MODE_TEXT, _) => Ok(Held::File(filename(row, at + 1)?, TEXT)),
        _ => Err(broken("mode and value do not fit")),
    }
}

/// The column `filename`, for who will remove the file: nothing where it has none, or one that is not diskcache's.
pub fn file_of(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<Name>, Fault> {
    Ok(match row.get_ref(at)? {
        ValueRef::Text(name) => Name::parse(name),
        _ => None,
    })
}

fn filename(row: &rusqlite::Row<'_>, at: usize) -> Result<Name, Fault> {
    file_of(row, at)?.ok_or_else(|| broken("its file has a name that diskcache does not give"))
}

fn copied(bytes: &[u8], flags: u32, limit: usize) -> Result<Stored, Fault> {
    if bytes.len() > limit {
        let reason = format!("the stored value has {} bytes; MAX_VALUE_BYTES is {limit}", bytes.len());
        return Err(Error::new(Kind::TooBig, reason).into());
    }
    let mut copy = Vec::new();
    let no_memory = |_| Error::new(Kind::Memory, format!("no memory for a value of {} bytes", bytes.len()));
    copy.try_reserve_exact(bytes.len()).map_err(no_memory)?;
    copy.extend_from_slice(bytes);
    Ok(Stored { bytes: copy.into(), flags })
}

fn broken(what: &str) -> Fault {
    Error::new(Kind::Undecodable, format!("the stored row cannot be read: {what}")).into()
}

/// The columns `size`, `mode`, `filename`, `value` of a value that is to be written.
pub struct Columns<'a> {
    /// Bytes in a file; 0 without one.
    pub size: i64,
    /// How to read it.
    pub mode: i64,
    /// Where.
    pub filename: Option<&'a str>,
    /// The value itself.
    pub value: Cell<'a>,
}

/// A value for SQLite.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// INTEGER.
    Int(i64),
    /// REAL.
    Float(f64),
    /// TEXT.
    Text(&'a [u8]),
    /// BLOB.
    Blob(&'a [u8]),
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match *self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(int) => ToSqlOutput::Owned(Value::Integer(int)),
            Self::Float(float) => ToSqlOutput::Owned(Value::Real(float)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text)),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// Whether a value goes to a file, as `Disk.store` decides: a text by its characters, bytes and pickles by their bytes.
pub fn needs_file(value: StoredRef<'_>, min_file_size: f64) -> bool {
    let len = match value.flags {
        TEXT => std::str::from_utf8(value.bytes).map_or(value.bytes.len(), |text| text.chars().count()),
        BYTES | PICKLE => value.bytes.len(),
        _ => return false,
    };
    #[allow(clippy::cast_precision_loss, reason = "a setting may be a float in Python too")]
    let len = len as f64;
    len >= min_file_size
}

impl<'a> Columns<'a> {
    /// Of a value that is in a file of this name, or in the row.
    pub fn of(value: StoredRef<'a>, file: Option<&'a Name>) -> Result<Self, Error> {
        let mode = match value.flags {
            PICKLE => MODE_PICKLE,
            TEXT if file.is_some() => MODE_TEXT,
            BYTES if file.is_some() => MODE_BINARY,
            _ => MODE_RAW,
        };
        if let Some(name) = file {
            let size = i64::try_from(value.bytes.len()).map_err(|_| not_kept())?;
            return Ok(Self { size, mode, filename: Some(name.as_str()), value: Cell::Null });
        }
        let value = match value.flags {
            NULL => Some(Cell::Null),
            INT => number(value.bytes).map(Cell::Int),
            FLOAT => number(value.bytes).map(Cell::Float),
            TEXT => Some(Cell::Text(value.bytes)),
            BYTES | PICKLE => Some(Cell::Blob(value.bytes)),
            _ => None,
        };
        Ok(Self { size: 0, mode, filename: None, value: value.ok_or_else(not_kept)? })
    }
}

/// A number as it was written for the codec: Rust reads all that Python's `repr` writes.
fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn not_kept() -> Error {
    Error::new(Kind::Invalid, "the value is of no kind that diskcache keeps")
}
