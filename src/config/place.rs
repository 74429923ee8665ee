//! Where in the document something stands, and how messages show what stands there.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::error::{Error, Kind};

/// Names and texts in messages are cut at this many characters.
const SHOWN: usize = 60;

/// So many warnings are kept; the others are counted.
const KEPT_WARNINGS: usize = 200;

/// A JSON path, such as `CACHES.default.OPTIONS.PICKLE_VERSION` or `CACHES["my alias"].BACKEND`.
#[derive(Clone)]
pub(super) struct Place(String);

impl Place {
    /// The document itself.
    pub fn document() -> Self {
        Self(String::new())
    }

    /// A member of this object.
    pub fn at(&self, name: &str) -> Self {
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
        if plain && name.len() <= SHOWN {
            let dot = if self.0.is_empty() { "" } else { "." };
            Self(format!("{}{dot}{name}", self.0))
        } else {
            Self(format!("{}[{}]", self.0, quoted(name)))
        }
    }

    /// An item of this list.
    pub fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An option after the `?` of the URL that stands here.
    pub fn query(&self, name: &str) -> Self {
        Self(format!("{} (?{name})", self.0))
    }

    /// The error that what stands here is wrong.
    pub fn error(&self, what: impl fmt::Display) -> Error {
        Error::new(Kind::Config, format!("{self}: {what}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "the document" } else { &self.0 })
    }
}

/// A text in double quotes, escaped as in JSON, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Value::from(format!("{}…", text.get(..end).unwrap_or_default())).to_string(),
        None => Value::from(text).to_string(),
    }
}

/// Where the path that stands at `place` begins, since it is not absolute. `rule` names Django's check of it.
pub(super) fn working_directory(place: &Place, rule: &str, report: &mut Report) -> Result<PathBuf, Error> {
    report.warn(
        place,
        format_args!(
            "is not absolute{rule}, so it means another place in each working directory; it is taken from the one in \
             which the configuration is read"
        ),
    );
    std::env::current_dir()
        .map_err(|error| place.error(format_args!("is not absolute, and there is no working directory: {error}")))
}

/// What is told about a document beside the aliases, and what must not be shown.
#[derive(Default)]
pub(super) struct Report {
    warnings: Vec<String>,
    left_out: usize,
    /// Texts that came from the environment: they may be secrets.
    hidden: HashSet<String>,
}

impl Report {
    /// Warns about what stands somewhere.
    pub fn warn(&mut self, place: &Place, what: impl fmt::Display) {
        if self.warnings.len() < KEPT_WARNINGS {
            self.warnings.push(format!("{place}: {what}"));
        } else {
            self.left_out += 1;
        }
    }

    /// One that shows as little, for what is read once more.
    pub fn again(&self) -> Self {
        Self { hidden: self.hidden.clone(), ..Self::default() }
    }

    /// Never shows this text.
    pub fn hide(&mut self, text: &str) {
        self.hidden.insert(text.to_owned());
    }

    /// The warnings, in order.
    pub fn into_warnings(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.warnings.push(format!("the document: {} more warnings are not shown", self.left_out));
        }
        self.warnings
    }

    /// A value for a message. Texts that came from the environment or may hold credentials (a URL in the wrong place)
    /// are not shown.
    pub fn shown(&self, value: &Value) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) if self.hidden.contains(text) => "the text from the environment".to_owned(),
            Value::String(text) if text.contains('@') || text.contains("://") => "an address".to_owned(),
            Value::String(text) => quoted(text),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Setting<'a> {
    /// Where.
    pub place: Place,
    /// What.
    pub value: &'a Value,
    /// Whether messages must not show the value.
    pub secret: bool,
}

impl<'a> Setting<'a> {
    /// A member of an object, where it is there.
    pub fn of(map: &'a Map<String, Value>, place: &Place, name: &str) -> Option<Self> {
        map.get(name).map(|value| Self { place: place.at(name), value, secret: false })
    }

    /// The error that the value must be something else.
    pub fn must_be(&self, wanted: &str, report: &Report) -> Error {
        if self.secret {
            self.place.error(format_args!("must be {wanted}"))
        } else {
            self.place.error(format_args!("must be {wanted}, not {}", report.shown(self.value)))
        }
    }

    /// The value as an object.
    pub fn object(&self, report: &Report) -> Result<&'a Map<String, Value>, Error> {
        self.value.as_object().ok_or_else(|| self.must_be("an object", report))
    }

    /// The value as a text.
    pub fn text(&self, report: &Report) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.must_be("a text", report))
    }
}
