//! What fuzz targets do with the decoders of replies.

use std::fmt::Debug;

use super::Decoding;
use super::input::{LARGE_READS, SMALL_READS};

/// Replies are the same whether they come at once or in pieces, and whether values are copies or parts of what was read.
pub(crate) fn in_any_pieces<D: Decoding>(sent: &[u8], piece: usize)
where
    D::Frame: Debug,
{
    let whole = replies(D::new(LARGE_READS), sent, usize::MAX);
    for decoder in [D::new(SMALL_READS), D::sharing(SMALL_READS), D::sharing(LARGE_READS)] {
        let same = replies(decoder, sent, piece.max(1));
        assert_eq!(same, whole, "in pieces of {piece} bytes");
    }
}

/// The replies as text (since not a number is not equal to itself), and whether an error followed.
fn replies<D: Decoding>(mut decoder: D, sent: &[u8], piece: usize) -> (Vec<String>, bool)
where
    D::Frame: Debug,
{
    let (mut frames, mut rest) = (Vec::new(), sent);
    loop {
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(format!("{frame:?}")),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
        if rest.is_empty() {
            return (frames, false);
        }
        let Ok(room) = decoder.room() else { return (frames, true) };
        let (now, later) = rest.split_at(piece.min(room.capacity() - room.len()).min(rest.len()));
        assert!(!now.is_empty(), "there is no room");
        room.extend_from_slice(now);
        rest = later;
    }
}
