//! The classes and functions that a pickle may name and that have a meaning here; all others are only names.

use super::arena::{Node, Object, Tables};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing that is known here.
    Unknown,
    /// `_codecs.encode`, by which protocols 0 to 2 write bytes.
    CodecsEncode,
    /// `builtins.bytes`, for `b""` in protocols 0 to 2.
    Bytes,
    ByteArray,
    List,
    Tuple,
    Set,
    FrozenSet,
    Dict,
    OrderedDict,
    DefaultDict,
    Counter,
    Deque,
    SafeString,
    /// `builtins.getattr`, which names nested classes.
    GetAttr,
    /// `builtins.object`.
    Object,
    /// `builtins.str`.
    Text,
    /// `copyreg._reconstructor`, by which protocols 0 and 1 make instances.
    Reconstructor,
    /// `copyreg.__newobj__`.
    NewObj,
    /// `copyreg.__newobj_ex__`.
    NewObjEx,
    DateTime,
    Date,
    Time,
    TimeDelta,
    TimeZone,
    ZoneInfo,
    /// `pytz._UTC`.
    PytzUtc,
    Decimal,
    Uuid,
}

type Names = (Option<&'static str>, Option<&'static str>, Known);

/// The Python 3 names where Python 2 had others (protocols 0 to 2 are written with these), and what they mean.
pub(crate) fn resolve(module: &[u8], name: &[u8]) -> Names {
    match module {
        b"__builtin__" => {
            let new = match name {
                b"xrange" => Some("range"),
                b"unicode" => Some("str"),
                b"long" => Some("int"),
                b"unichr" => Some("chr"),
                _ => None,
            };
            (Some("builtins"), new, builtin(new.map_or(name, str::as_bytes)))
        }
        b"exceptions" => (Some("builtins"), None, Known::Unknown),
        b"copy_reg" => (Some("copyreg"), None, copyreg(name)),
        b"builtins" => (None, None, builtin(name)),
        b"copyreg" => (None, None, copyreg(name)),
        _ => (None, None, elsewhere(module, name)),
    }
}

fn builtin(name: &[u8]) -> Known {
    match name {
        b"bytes" => Known::Bytes,
        b"bytearray" => Known::ByteArray,
        b"list" => Known::List,
        b"tuple" => Known::Tuple,
        b"set" => Known::Set,
        b"frozenset" => Known::FrozenSet,
        b"dict" => Known::Dict,
        b"getattr" => Known::GetAttr,
        b"object" => Known::Object,
        b"str" => Known::Text,
        _ => Known::Unknown,
    }
}

fn copyreg(name: &[u8]) -> Known {
    match name {
        b"_reconstructor" => Known::Reconstructor,
        b"__newobj__" => Known::NewObj,
        b"__newobj_ex__" => Known::NewObjEx,
        _ => Known::Unknown,
    }
}

fn elsewhere(module: &[u8], name: &[u8]) -> Known {
    match (module, name) {
        (b"_codecs", b"encode") => Known::CodecsEncode,
        (b"collections", b"OrderedDict") => Known::OrderedDict,
        (b"collections", b"defaultdict") => Known::DefaultDict,
        (b"collections", b"Counter") => Known::Counter,
        (b"collections", b"deque") => Known::Deque,
        (b"django.utils.safestring", b"SafeString" | b"SafeText" | b"SafeUnicode") => Known::SafeString,
        (b"datetime", b"datetime") => Known::DateTime,
        (b"datetime", b"date") => Known::Date,
        (b"datetime", b"time") => Known::Time,
        (b"datetime", b"timedelta") => Known::TimeDelta,
        (b"datetime", b"timezone") => Known::TimeZone,
        (b"zoneinfo", b"ZoneInfo._unpickle") | (b"zoneinfo" | b"backports.zoneinfo", b"ZoneInfo") => Known::ZoneInfo,
        (b"pytz", b"_UTC") => Known::PytzUtc,
        (b"decimal", b"Decimal") => Known::Decimal,
        (b"uuid", b"UUID") => Known::Uuid,
        _ => Known::Unknown,
    }
}

impl Tables {
    /// What a node means as something to call.
    pub fn known(&self, node: Node) -> Known {
        match node {
            Node::Global(id) => self.global(id).map_or(Known::Unknown, |global| global.known),
            _ => Known::Unknown,
        }
    }

    /// An object and what its class means.
    pub fn known_object(&self, node: Node) -> Option<(&Object, Known)> {
        let Node::Object(id) = node else { return None };
        let object = self.object(id)?;
        Some((object, self.known(object.class)))
    }

    /// `module.name`.
    pub fn global_name(&self, id: u32) -> String {
        let Some(global) = self.global(id) else { return String::new() };
        let mut text = String::from_utf8_lossy(self.slice(global.module)).into_owned();
        text.push('.');
        if global.known == Known::ZoneInfo {
            text.push_str("ZoneInfo");
        } else {
            text.push_str(&String::from_utf8_lossy(self.slice(global.name)));
        }
        text
    }

    /// `module.name` of an object's class, if that is known by name.
    pub fn class_name(&self, object: u32) -> Option<String> {
        match self.object(object)?.class {
            Node::Global(id) => Some(self.global_name(id)),
            _ => None,
        }
    }
}
