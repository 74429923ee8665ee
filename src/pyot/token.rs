//! The name of a call to a service, by which its answer is stored (PY-T).

mod builder;
mod method;
mod repr;

use std::fmt;

use bytes::Bytes;

pub use builder::{Builder, Dict, Item};
pub use method::method_of;

use crate::codec::json;
pub use crate::config::TokenForm;
use crate::error::{Error, Kind, Result};
use crate::lock::OnceLock;
pub use crate::text::Unicode;
use crate::value::arena::Node;
use crate::value::{Limits, Tree, wtf8};

/// The longest token, and the most JSON for one, in bytes.
pub const LONGEST: usize = 16 << 20;

/// Bounds of the JSON. A thousand levels are what Python follows.
const LIMITS: Limits = Limits { bytes: LONGEST, nodes: 1 << 20, depth: 1000 };

/// How tokens are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Which of Pyot's major versions.
    pub form: TokenForm,
    /// Which characters Python's `repr` escapes.
    pub unicode: Unicode,
}

/// What a token itself says about its [`Style`]; the rest is the pipeline's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which of Pyot's major versions.
    pub form: Option<TokenForm>,
    /// Which characters Python's `repr` escapes.
    pub unicode: Option<Unicode>,
}

impl Wish {
    /// The style where the pipeline has another.
    fn over(self, style: Style) -> Style {
        Style { form: self.form.unwrap_or(style.form), unicode: self.unicode.unwrap_or(style.unicode) }
    }
}

/// A token: its text is the key, and what it was made of serves records and the tables of times to live. Immutable; any
/// thread may use it.
pub struct Token {
    wish: Wish,
    call: Option<Call>,
    /// As the wish, and where it says nothing the default, wants it.
    text: Box<str>,
    /// In the styles of pipelines that asked for others.
    others: Others,
    shown: OnceLock<Box<Shown>>,
}

/// The call of a token that is not ready-made.
struct Call {
    model: Box<str>,
    server: Box<str>,
    method: Box<str>,
    params: Fields,
    queries: Fields,
}

/// A text in another style, and where the next one comes: there are two forms and a few versions of Unicode, so no more.
type Others = OnceLock<Box<Other>>;

struct Other {
    style: Style,
    text: Box<str>,
    more: Others,
}

/// The texts of all values, by name.
struct Shown {
    params: Vec<(String, String)>,
    queries: Vec<(String, String)>,
}

impl Token {
    /// The token of a call.
    ///
    /// `model` and `server` are taken in lower case (PY-T1), so that "LOL" and "NA1" will do; no server is "". Both
    /// objects are JSON as `json.loads` takes it, in the order of Pyot's dicts; no text at all is an empty object.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] for what is no JSON, or no object, or cannot stand in a key (lone surrogates in version 6);
    /// [`Kind::TooBig`] beyond [`LONGEST`] bytes, 1000 levels and 4300 digits.
    pub fn new(
        wish: Wish,
        model: &str,
        server: &str,
        method: &str,
        params_json: &[u8],
        queries_json: &[u8],
    ) -> Result<Self> {
        let call = Call {
            model: model.to_lowercase().into(),
            server: server.to_lowercase().into(),
            method: method.into(),
            params: Fields::read(params_json, "params")?,
            queries: Fields::read(queries_json, "queries")?,
        };
        let text = call.text(wish.over(Style::default()))?.into();
        Ok(Self { wish, call: Some(call), text, others: Others::new(), shown: OnceLock::new() })
    }

    /// A token that somebody else has made: its text is used as it is.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] if it is empty, [`Kind::TooBig`] beyond [`LONGEST`] bytes.
    pub fn ready(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::new(Kind::Invalid, "the token's text is empty"));
        }
        repr::within(text.as_bytes())?;
        let (others, shown) = (Others::new(), OnceLock::new());
        Ok(Self { wish: Wish::default(), call: None, text: text.into(), others, shown })
    }

    /// The token's text: in the style that it was made with, which is the default where it was made with none.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The token's text as a pipeline of this style has it. What the token was made with goes before that; a ready-made
    /// one is what it is.
    ///
    /// # Errors
    ///
    /// As of [`Token::new`].
    pub fn text_in(&self, style: Style) -> Result<&str> {
        let wanted = self.wish.over(style);
        let Some(call) = &self.call else { return Ok(&self.text) };
        if wanted == self.wish.over(Style::default()) {
            return Ok(&self.text);
        }
        let mut place = &self.others;
        loop {
            let other = if let Some(other) = place.get() {
                other
            } else {
                let text = call.text(wanted)?.into();
                // Where somebody else was quicker, theirs stays.
                place.get_or_init(|| Box::new(Other { style: wanted, text, more: Others::new() }))
            };
            if other.style == wanted {
                return Ok(&other.text);
            }
            place = &other.more;
        }
    }

    /// The model, in lower case; `None` for a ready-made token.
    pub fn model(&self) -> Option<&str> {
        self.call.as_ref().map(|call| &*call.model)
    }

    /// The server, in lower case; `None` for a ready-made token.
    pub fn server(&self) -> Option<&str> {
        self.call.as_ref().map(|call| &*call.server)
    }

    /// The method; `None` for a ready-made token.
    pub fn method(&self) -> Option<&str> {
        self.call.as_ref().map(|call| &*call.method)
    }

    /// Which of the known names the method is, for the table of times to live: that of the call, or of a ready-made token
    /// what [`method_of`] finds.
    pub fn method_in<'a>(&self, model: &str, mut known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        match self.method() {
            Some(method) => known.find(|name| *name == method),
            None => method_of(&self.text, model, known),
        }
    }

    /// A value as Python's `str()` shows it, lone surrogates as U+FFFD; `None` where there is none of this name, or the
    /// token is ready-made.
    pub fn item(&self, dict: Dict, name: &str) -> Option<&str> {
        let shown = self.shown();
        let items = match dict {
            Dict::Params => &shown.params,
            Dict::Queries => &shown.queries,
        };
        items.iter().find(|(known, _)| known == name).map(|(_, text)| &**text)
    }

    /// What stands between an operation and its end in records (PY-L): `<NA1 summoner_v4_by_name: Hide on bush>`. Of a
    /// ready-made token, its text in such brackets.
    pub fn record(&self) -> String {
        let Some(call) = &self.call else { return format!("<{}>", self.text) };
        let values: Vec<&str> = self.shown().params.iter().map(|(_, text)| &**text).collect();
        format!("<{} {}: {}>", call.server.to_uppercase(), call.method, values.join(" "))
    }

    fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| {
            let unicode = self.wish.over(Style::default()).unicode;
            let show = |fields: &Fields| fields.shown(unicode);
            let call = self.call.as_ref();
            Box::new(Shown {
                params: call.map(|call| show(&call.params)).unwrap_or_default(),
                queries: call.map(|call| show(&call.queries)).unwrap_or_default(),
            })
        })
    }
}

impl fmt::Debug for Token {
    /// Says what is called and never with what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?}, {:?}, {} bytes)", self.server(), self.method(), self.text.len())
    }
}

impl Call {
    fn text(&self, style: Style) -> Result<String> {
        let names = [&self.model, &self.server, &self.method].map(|name| name.as_bytes());
        let mut out = Vec::with_capacity(names.iter().map(|name| name.len()).sum::<usize>() + 64);
        match style.form {
            TokenForm::V3 => {
                out.extend(names.into_iter().flatten());
                self.params.push_repr(&mut out, style.unicode)?;
                self.queries.push_repr(&mut out, style.unicode)?;
                // PY-T3: everywhere, and nothing but this space
                out.iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'_');
            }
            TokenForm::V6 => self.push_path(&mut out, style.unicode)?,
        }
        repr::within(&out)?;
        String::from_utf8(out).map_err(|_| {
            Error::new(Kind::Invalid, "a token of version 6 cannot hold a lone surrogate (\\ud800 to \\udfff)")
        })
    }

    /// `model/server/method/value/value?name=value&name=value`, without escapes, as Pyot 6 writes it.
    fn push_path(&self, out: &mut Vec<u8>, unicode: Unicode) -> Result<()> {
        out.extend_from_slice(self.model.as_bytes());
        if !self.server.is_empty() {
            out.push(b'/');
            out.extend_from_slice(self.server.as_bytes());
        }
        out.push(b'/');
        out.extend_from_slice(self.method.as_bytes());
        let before = out.len();
        for (_, value) in self.params.iter() {
            out.push(b'/');
            self.params.push_str(out, value, unicode)?;
        }
        if out.len() == before + 1 {
            out.truncate(before); // of one empty value nothing is left
        }
        let before = out.len();
        for (name, value) in self.queries.iter() {
            out.push(if out.len() == before { b'?' } else { b'&' });
            self.queries.push_str(out, name, unicode)?;
            out.push(b'=');
            self.queries.push_str(out, value, unicode)?;
        }
        Ok(())
    }
}

/// An ordered JSON object; `None` if nothing is in it.
struct Fields(Option<Tree>);

impl Fields {
    fn read(text: &[u8], what: &'static str) -> Result<Self> {
        if text.is_empty() || text == b"{}" {
            return Ok(Self(None));
        }
        let read = || json::read::read_shared(&Bytes::copy_from_slice(text), &LIMITS, Kind::TooBig);
        let tree = read().map_err(|error| about(what, &error))?;
        match tree.kind() {
            crate::value::ValueKind::Dict => Ok(Self(Some(tree))),
            _ => Err(Error::new(Kind::Invalid, format!("{what} is no JSON object"))),
        }
    }

    /// Names and values.
    fn iter(&self) -> impl Iterator<Item = (Node, Node)> + '_ {
        self.0.iter().flat_map(|tree| {
            let mut items = if let Node::Group(id) = tree.root { Some(tree.tables.cursor(id)) } else { None };
            std::iter::from_fn(move || {
                let items = items.as_mut()?;
                Some((tree.tables.next(items)?, tree.tables.next(items)?))
            })
        })
    }

    fn push_repr(&self, out: &mut Vec<u8>, unicode: Unicode) -> Result<()> {
        let Some(tree) = &self.0 else {
            out.extend_from_slice(b"{}");
            return Ok(());
        };
        repr::push(out, &tree.tables, tree.root, unicode)
    }

    fn push_str(&self, out: &mut Vec<u8>, node: Node, unicode: Unicode) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |tree| repr::push_str(out, &tree.tables, node, unicode))
    }

    fn shown(&self, unicode: Unicode) -> Vec<(String, String)> {
        let text = |node| {
            let mut out = Vec::new();
            // What is too long was refused when the token was made.
            let _ = self.push_str(&mut out, node, unicode);
            wtf8::shown(&out).into_owned()
        };
        self.iter().map(|(name, value)| (text(name), text(value))).collect()
    }
}

/// The same failure with the name of what was wrong.
fn about(what: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{what}: {}", error.reason()))
}
