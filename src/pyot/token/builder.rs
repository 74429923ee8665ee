//! A token in the making: one parameter after the other.

use super::{LIMITS, LONGEST, Token, Wish};
use crate::codec::json;
use crate::error::{Error, Kind, Result};
use crate::float;

/// Which of the two dicts of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dict {
    /// What the endpoint's path has.
    Params,
    /// What stands behind its question mark.
    Queries,
}

/// A value of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// Python's `None`. Pyot leaves out queries that are `None`.
    Null,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `float`.
    Float(f64),
    /// `str`.
    Text(&'a str),
    /// Anything that JSON has: lists above all.
    Json(&'a [u8]),
}

/// A token that is not finished.
#[derive(Debug)]
pub struct Builder {
    wish: Wish,
    model: Box<str>,
    server: Box<str>,
    method: Box<str>,
    /// JSON objects without their braces, so that there is one way only that tokens are made in.
    params: Vec<u8>,
    queries: Vec<u8>,
}

impl Builder {
    /// Begins a token without parameters; the names as of [`Token::new`].
    pub fn new(wish: Wish, model: &str, server: &str, method: &str) -> Self {
        let (model, server, method) = (model.into(), server.into(), method.into());
        Self { wish, model, server, method, params: Vec::new(), queries: Vec::new() }
    }

    /// Adds a parameter, behind those that are there; one of the same name gets the new value where it stands, as in a
    /// Python dict.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] for bad JSON, [`Kind::TooBig`] for too much of all. The token is as it was then.
    pub fn put(&mut self, dict: Dict, name: &str, item: Item<'_>) -> Result<()> {
        if let Item::Json(text) = item {
            json::read(text, &LIMITS).map_err(|error| super::about(name_of(dict), &error))?;
        }
        let held = self.params.len() + self.queries.len();
        let more = name.len()
            + match item {
                Item::Text(text) => text.len(),
                Item::Json(text) => text.len(),
                _ => 0,
            };
        if held.saturating_add(more) > LONGEST {
            return Err(Error::new(Kind::TooBig, format!("a token's parameters have {LONGEST} bytes at most")));
        }
        let out = match dict {
            Dict::Params => &mut self.params,
            Dict::Queries => &mut self.queries,
        };
        if !out.is_empty() {
            out.push(b',');
        }
        push_text(out, name);
        out.push(b':');
        match item {
            Item::Null => out.extend_from_slice(b"null"),
            Item::Bool(true) => out.extend_from_slice(b"true"),
            Item::Bool(false) => out.extend_from_slice(b"false"),
            Item::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Item::Float(value) => float::push(out, value, float::JSON),
            Item::Text(text) => push_text(out, text),
            Item::Json(text) => out.extend_from_slice(text),
        }
        Ok(())
    }

    /// The token.
    ///
    /// # Errors
    ///
    /// As of [`Token::new`].
    pub fn finish(&self) -> Result<Token> {
        let object = |items: &[u8]| [b"{", items, b"}"].concat();
        let (params, queries) = (object(&self.params), object(&self.queries));
        Token::new(self.wish, &self.model, &self.server, &self.method, &params, &queries)
    }
}

/// What errors call the dict.
fn name_of(dict: Dict) -> &'static str {
    match dict {
        Dict::Params => "params",
        Dict::Queries => "queries",
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing to a Vec cannot fail, and every text has a form in JSON.
    let _ = serde_json::to_writer(out, text);
}
