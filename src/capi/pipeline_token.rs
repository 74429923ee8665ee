//! The tokens of a call on a pipeline: their texts, or made ones, which the pipeline writes in its own way.

use std::ffi::c_char;
use std::sync::Arc;

use super::argument::{self, array, invalid};
use super::token::{self, larder_token};
use crate::error::Result;
use crate::pyot::ask::TokenRef;
use crate::pyot::pipeline::Pipeline;
use crate::pyot::token::Token;

/// One token, as it was given.
pub(super) enum Given<'a> {
    /// Its text.
    Text(&'a str),
    /// A made one, and its text in the pipeline's style.
    Made(&'a Arc<Token>, &'a str),
}

impl<'a> Given<'a> {
    /// The token of a call: made, or else its text.
    ///
    /// # Safety
    /// `text` has its length; `made` is NULL or leads to one token that the host holds.
    pub unsafe fn one(
        pipeline: &Pipeline,
        (text, len): (*const c_char, usize),
        made: *const *const larder_token,
    ) -> Result<Self> {
        if made.is_null() {
            // SAFETY: by this function's own contract.
            return Ok(Self::Text(unsafe { argument::key(text, len, "token") }?));
        }
        if !text.is_null() || len > 0 {
            return Err(twice());
        }
        // SAFETY: by this function's own contract.
        Self::made(pipeline, unsafe { token::borrow(*made) }?)
    }

    /// The tokens of a call.
    ///
    /// # Safety
    /// As of [`Given::one`], with `n` of each.
    pub unsafe fn several(
        pipeline: &Pipeline,
        (texts, lens): (*const *const c_char, *const usize),
        n: usize,
        made: *const *const larder_token,
    ) -> Result<Vec<Self>> {
        if made.is_null() {
            // SAFETY: by this function's own contract.
            return Ok(unsafe { argument::texts(texts, lens, n) }?.into_iter().map(Self::Text).collect());
        }
        if !texts.is_null() || !lens.is_null() {
            return Err(twice());
        }
        // SAFETY: by this function's own contract.
        let made = unsafe { array(made, n, "tokens") }?.iter().map(|token| unsafe { token::borrow(*token) });
        made.map(|token| Self::made(pipeline, token?)).collect()
    }

    /// A made token, as a pipeline writes it.
    pub fn made(pipeline: &Pipeline, token: &'a Arc<Token>) -> Result<Self> {
        Ok(Self::Made(token, token.text_in(pipeline.style())?))
    }

    /// For the pipeline.
    pub fn as_ref(&self) -> TokenRef<'_> {
        match self {
            Self::Text(text) => TokenRef::from(*text),
            Self::Made(token, text) => TokenRef::of(token, text),
        }
    }
}

fn twice() -> crate::error::Error {
    invalid("the token is given twice, as a text and as a larder_token; give one of them")
}
