//! One item of a dict, without showing all of it.

use super::arena::Node;
use super::{Loss, Tree, ValueKind};
use crate::error::{Error, Kind, Result};

impl Tree {
    /// The text under a text of a dict; `None` where the dict has no such key. As in Python the last of equal keys counts.
    /// Errors: [`Kind::Type`] where this is no dict, where what is there is no text, or has lone surrogates.
    pub fn item_text(&self, name: &str) -> Result<Option<(&str, Loss)>> {
        let Node::Group(id) = self.root else { return Err(no_dict()) };
        if self.kind() != ValueKind::Dict {
            return Err(no_dict());
        }
        let (mut items, mut found) = (self.tables.cursor(id), None);
        while let Some(key) = self.tables.next(&mut items) {
            let Some(value) = self.tables.next(&mut items) else { break };
            if let Node::Text { span, .. } | Node::Safe(span) = key
                && self.tables.slice(span) == name.as_bytes()
            {
                found = Some(value);
            }
        }
        let (span, loss) = match found {
            None => return Ok(None),
            Some(Node::Text { span, .. }) => (span, Loss::Exact),
            Some(Node::Safe(span)) => (span, Loss::Lossy),
            Some(_) => return Err(no_text()),
        };
        std::str::from_utf8(self.tables.slice(span)).map(|text| Some((text, loss))).map_err(|_| no_text())
    }
}

fn no_dict() -> Error {
    Error::new(Kind::Type, "the value is no dict; its kind tells what it is")
}

fn no_text() -> Error {
    Error::new(Kind::Type, "the item is no text; the value's JSON shows it")
}
