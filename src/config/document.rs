//! From text to JSON: syntax, size, names that stand twice, `${NAME}`; and where the aliases are.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::names::did_you_mean;
use super::place::{Place, Report};
use crate::error::Result;

/// The longest document, and the most that `${NAME}` may make of it, in bytes.
pub const LONGEST_DOCUMENT: usize = 16 << 20;

/// The deepest nesting. The JSON reader uses the stack for each level, and threads may have small ones.
const DEEPEST: usize = 32;

/// What Django keeps outside CACHES and larder knows (A, DR-4), and larder's own PIPELINES.
const SIBLINGS: [&str; 37] = [
    "PIPELINES",
    "DATABASES",
    "USE_TZ",
    "TIME_ZONE",
    "CACHE_HERD_TIMEOUT",
    "DJANGO_REDIS_SCAN_ITERSIZE",
    "DJANGO_REDIS_IGNORE_EXCEPTIONS",
    "DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS",
    "DJANGO_REDIS_LOGGER",
    "DJANGO_REDIS_CONNECTION_FACTORY",
    "DJANGO_REDIS_CLOSE_CONNECTION",
    "DJANGO_VALKEY_SCAN_ITERSIZE",
    "DJANGO_VALKEY_IGNORE_EXCEPTIONS",
    "DJANGO_VALKEY_LOG_IGNORED_EXCEPTIONS",
    "DJANGO_VALKEY_LOGGER",
    "DJANGO_VALKEY_CONNECTION_FACTORY",
    "DJANGO_VALKEY_CLOSE_CONNECTION",
    "CACHE_COMPRESS_MIN_LENGTH",
    "CACHE_COMPRESS_LEVEL",
    "COMPRESS_ZLIB_WBITS",
    "COMPRESS_LZMA_FORMAT",
    "COMPRESS_LZMA_CHECK",
    "COMPRESS_LZMA_FILTERS",
    "DECOMPRESS_LZMA_MEMLIMIT",
    "DECOMPRESS_LZMA_FORMAT",
    "DECOMPRESS_LZMA_FILTERS",
    "COMPRESS_LZ4_BLOCK_SIZE",
    "COMPRESS_LZ4_CONTENT_CHECKSUM",
    "COMPRESS_LZ4_BLOCK_LINKED",
    "COMPRESS_LZ4_STORE_SIZE",
    "COMPRESS_ZSTD_OPTIONS",
    "DECOMPRESS_ZSTD_OPTIONS",
    "COMPRESS_ZSTD_DICT",
    "DECOMPRESS_ZSTD_DICT",
    "COMPRESS_BROTLI_MODE",
    "COMPRESS_BROTLI_LGWIN",
    "COMPRESS_BROTLI_LGBLOCK",
];

/// What a right document looks like.
const FORM: &str = r#"{"CACHES": {"default": {"BACKEND": …}}}"#;

/// A document's parts.
pub(super) struct Document {
    /// The entries by alias.
    pub aliases: Map<String, Value>,
    /// Where they stand.
    pub place: Place,
    /// The settings beside CACHES.
    pub siblings: Map<String, Value>,
}

/// Takes a document apart. `environment` answers `${NAME}`.
pub(super) fn parse(
    text: &[u8],
    environment: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Result<Document> {
    let here = Place::document();
    if text.len() > LONGEST_DOCUMENT {
        return Err(here.error(format_args!("is longer than {LONGEST_DOCUMENT} bytes")));
    }
    let text = std::str::from_utf8(text)
        .map_err(|error| here.error(format_args!("is not UTF-8 at byte {}", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if depth_of(text.as_bytes()) > DEEPEST {
        return Err(here.error(format_args!("is nested deeper than {DEEPEST} levels")));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| here.error(format_args!("is not JSON: {error}")))?;
    refuse_repeated_names(text)?;
    let mut document = take_apart(value, report)?;
    let mut left = LONGEST_DOCUMENT;
    for (name, value) in &mut document.siblings {
        if SIBLINGS.contains(&name.as_str()) {
            substitute(value, &here.at(name), environment, &mut left, report)?;
        }
    }
    for (name, value) in &mut document.aliases {
        substitute(value, &document.place.at(name), environment, &mut left, report)?;
    }
    Ok(document)
}

/// Finds the aliases: under `CACHES`, or the document is the map of aliases itself.
fn take_apart(value: Value, report: &mut Report) -> Result<Document> {
    let here = Place::document();
    let shown = report.shown(&value);
    let Value::Object(mut siblings) = value else {
        return Err(here.error(format_args!("must be an object such as {FORM}, not {shown}")));
    };
    if let Some(caches) = siblings.shift_remove("CACHES") {
        let place = here.at("CACHES");
        let shown = report.shown(&caches);
        let Value::Object(aliases) = caches else {
            return Err(place.error(format_args!("must be an object of aliases, not {shown}")));
        };
        if aliases.is_empty() {
            return Err(place.error("has no alias"));
        }
        warn_of_siblings(&siblings, &here, report);
        return Ok(Document { aliases, place, siblings });
    }
    if siblings.is_empty() {
        return Err(here.error(format_args!("has no alias; it must look like {FORM}")));
    }
    if siblings.get("BACKEND").is_some_and(Value::is_string) {
        return Err(here
            .at("BACKEND")
            .error(format_args!("stands outside an alias; the document must look like {FORM}")));
    }
    for (name, value) in &siblings {
        if !value.is_object() || (name == "PIPELINES" && value.get("BACKEND").is_none()) {
            let reason = if SIBLINGS.contains(&name.as_str()) {
                format!("stands beside CACHES, but there is no CACHES; the document must look like {FORM}")
            } else {
                format!("must be an alias (an object with a BACKEND), not {}", report.shown(value))
            };
            return Err(here.at(name).error(reason));
        }
    }
    Ok(Document { aliases: siblings, place: here, siblings: Map::new() })
}

fn warn_of_siblings(siblings: &Map<String, Value>, here: &Place, report: &mut Report) {
    for (name, value) in siblings {
        let is_alias = value.get("BACKEND").is_some();
        if is_alias {
            report.warn(&here.at(name), "is ignored; an alias stands inside CACHES");
        } else if !SIBLINGS.contains(&name.as_str()) && !name.starts_with(['$', '_']) {
            report.warn(
                &here.at(name),
                format_args!("is ignored: not a setting that larder knows{}", did_you_mean(name, &SIBLINGS)),
            );
        }
    }
}

/// One object or list that is being walked through.
enum Frame {
    /// The names so far, and the last one.
    Map(HashSet<String>, String),
    /// How many items are behind us.
    List(usize),
}

/// Refuses an object in which a name stands twice: JSON readers (Python's too) silently take the last one. `text` must
/// be good JSON.
fn refuse_repeated_names(text: &str) -> Result<()> {
    let bytes = text.as_bytes();
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' => frames.push(Frame::Map(HashSet::new(), String::new())),
            b'[' => frames.push(Frame::List(0)),
            b'}' | b']' => drop(frames.pop()),
            b',' => {
                if let Some(Frame::List(index)) = frames.last_mut() {
                    *index += 1;
                }
            }
            b'"' => {
                at = end_of_string(bytes, at);
                let is_name = bytes.get(at..).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b':'));
                if let (true, Some(Frame::Map(names, last)), Some(raw)) =
                    (is_name, frames.last_mut(), text.get(start..at))
                {
                    *last = serde_json::from_str(raw).unwrap_or_default();
                    if !names.insert(last.clone()) {
                        return Err(path_of(&frames).error("stands twice in the document"));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// How deep objects and lists are nested in a text that need not be good JSON.
fn depth_of(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(bytes, at),
            _ => {}
        }
    }
    deepest
}

/// Behind the quote that ends a string; `at` is behind the one that begins it.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at
}

fn path_of(frames: &[Frame]) -> Place {
    frames.iter().fold(Place::document(), |place, frame| match frame {
        Frame::Map(_, name) => place.at(name),
        Frame::List(index) => place.item(*index),
    })
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

/// What is still to be walked through at one level.
enum Level<'a> {
    Map(serde_json::map::IterMut<'a>),
    List(std::iter::Enumerate<std::slice::IterMut<'a, Value>>),
}

impl<'a> Level<'a> {
    fn next(&mut self) -> Option<(Step<'a>, &'a mut Value)> {
        match self {
            Self::Map(members) => members.next().map(|(name, value)| (Step::Name(name), value)),
            Self::List(items) => items.next().map(|(index, value)| (Step::Item(index), value)),
        }
    }
}

/// Replaces `${NAME}` in every text at and under `root`, without recursion. `left` is how many bytes may still be made.
fn substitute(
    root: &mut Value,
    place: &Place,
    environment: &dyn Fn(&str) -> Option<String>,
    left: &mut usize,
    report: &mut Report,
) -> Result<()> {
    let mut levels: Vec<Level<'_>> = Vec::new();
    // The way to `visited`: one step for each level.
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut visited = Some(root);
    loop {
        match visited.take() {
            Some(Value::Array(list)) => levels.push(Level::List(list.iter_mut().enumerate())),
            Some(Value::Object(map)) => levels.push(Level::Map(map.iter_mut())),
            Some(Value::String(text)) => {
                let filled = fill(text, environment, left).map_err(|reason| {
                    let way = steps.iter().fold(place.clone(), |place, step| match step {
                        Step::Name(name) => place.at(name),
                        Step::Item(index) => place.item(*index),
                    });
                    way.error(reason)
                })?;
                if let Some(filled) = filled {
                    report.hide(&filled);
                    *text = filled;
                }
            }
            _ => {}
        }
        steps.truncate(levels.len().saturating_sub(1));
        let Some(level) = levels.last_mut() else { return Ok(()) };
        if let Some((step, value)) = level.next() {
            steps.push(step);
            visited = Some(value);
        } else {
            levels.pop();
        }
    }
}

/// The text with `${NAME}` replaced and `$${` made `${`; `None` where it has neither.
fn fill(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    left: &mut usize,
) -> std::result::Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        filled.push_str(rest.get(..dollar).unwrap_or_default());
        rest = rest.get(dollar..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix("$${") {
            filled.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_name(name)) else {
                return Err("has a ${ without a variable's name and a }; write $${ for a literal ${".to_owned());
            };
            let value = environment(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
            filled.push_str(&value);
            rest = after;
        } else {
            filled.push('$');
            rest = rest.get(1..).unwrap_or_default();
        }
        if filled.len() > *left {
            return Err(format!(
                "the texts from the environment make the document longer than {LONGEST_DOCUMENT} bytes"
            ));
        }
    }
    filled.push_str(rest);
    *left = left.saturating_sub(filled.len());
    Ok(Some(filled))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.len() <= 200
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
