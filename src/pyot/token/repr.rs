//! JSON values as Python's `str()` and `repr()` show them (PY-T2, PY-T4 to PY-T6).

use std::io::Write;

use super::LONGEST;
use crate::error::{Error, Kind, Result};
use crate::float;
use crate::text::{Unicode, push_repr};
use crate::value::arena::{Cursor, GroupKind, Node, Tables};
use crate::value::decimal;

/// A list or dict that has begun.
struct Open {
    items: Cursor,
    dict: bool,
    first: bool,
}

/// Adds `repr(node)`. Nesting is followed by a stack of its own, never by recursion.
pub(super) fn push(out: &mut Vec<u8>, tables: &Tables, node: Node, unicode: Unicode) -> Result<()> {
    let mut open = Vec::new();
    open.extend(begin(out, tables, node, unicode)?);
    while let Some(top) = open.last_mut() {
        let Some(mut item) = tables.next(&mut top.items) else {
            out.push(if top.dict { b'}' } else { b']' });
            open.pop();
            continue;
        };
        if !top.first {
            out.extend_from_slice(b", ");
        }
        top.first = false;
        if top.dict {
            begin(out, tables, item, unicode)?; // keys are texts
            out.extend_from_slice(b": ");
            item = tables.next(&mut top.items).unwrap_or(Node::None);
        }
        let inner = begin(out, tables, item, unicode)?;
        open.extend(inner);
        within(out)?;
    }
    Ok(())
}

/// Adds `str(node)`: of a text, itself.
pub(super) fn push_str(out: &mut Vec<u8>, tables: &Tables, node: Node, unicode: Unicode) -> Result<()> {
    match node {
        Node::Text { span, .. } => {
            out.extend_from_slice(tables.slice(span));
            within(out)
        }
        node => push(out, tables, node, unicode),
    }
}

/// A token is not hashed, so it can be long (PY-T8); but not without an end.
pub(super) fn within(out: &[u8]) -> Result<()> {
    if out.len() > LONGEST {
        return Err(Error::new(Kind::TooBig, format!("the token has more than {LONGEST} bytes")));
    }
    Ok(())
}

/// Adds a scalar, or the beginning of a list or dict, which is then to be filled.
fn begin(out: &mut Vec<u8>, tables: &Tables, node: Node, unicode: Unicode) -> Result<Option<Open>> {
    match node {
        Node::None => out.extend_from_slice(b"None"),
        Node::Bool(true) => out.extend_from_slice(b"True"),
        Node::Bool(false) => out.extend_from_slice(b"False"),
        Node::Int(value) => {
            let _ = write!(out, "{value}"); // writing to a Vec cannot fail
        }
        Node::Big(span) => out.extend_from_slice(decimal(tables.slice(span))?.as_bytes()),
        Node::Float(value) => float::push(out, value, float::REPR),
        Node::Text { span, .. } => push_repr(out, tables.slice(span), unicode),
        Node::Group(id) => {
            let dict = match tables.group_kind(id) {
                GroupKind::List => false,
                GroupKind::Dict => true,
                _ => return Err(not_json()),
            };
            out.push(if dict { b'{' } else { b'[' });
            return Ok(Some(Open { items: tables.cursor(id), dict, first: true }));
        }
        _ => return Err(not_json()),
    }
    Ok(None)
}

/// The values of a token were read from JSON, which makes nothing else.
fn not_json() -> Error {
    Error::new(Kind::Type, "only what JSON has can stand in a token")
}
