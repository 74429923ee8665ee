//! Pickles, protocols 0 to 5 (PK rules): read as data, written as CPython writes them.

pub mod read;
pub mod write;

mod call;
mod collect;
mod frame;
mod machine;
mod memo;
pub(super) mod opcode;
mod text;
