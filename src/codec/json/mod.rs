//! JSON text ↔ values.
//!
//! # What JSON becomes
//!
//! `null` → `None`, `true`/`false` → `bool`, numbers without point and exponent → `int` of up to 4300 digits, other
//! numbers, `NaN`, `Infinity` and `-Infinity` → `float`, strings → `str`, arrays → `list`, objects → `dict` (of equal
//! keys the last one's value counts, at the place of the first).
//!
//! # What JSON shows
//!
//! The text is exactly what Python's `json.dumps` makes with its defaults: `", "` and `": "`, everything beyond ASCII
//! escaped, `NaN` and `Infinity` bare, floats as `repr` has them. What JSON lacks becomes:
//!
//! | Python | JSON | lossy |
//! |---|---|---|
//! | `None`, `bool`, `int`, `float`, `list`, `dict` with `str` keys | itself | no |
//! | `str` | a string; a lone surrogate is an escape like `\ud800` | no; yes if two surrogates stand together that reading would take for one character |
//! | `SafeString` | a string | yes |
//! | `tuple`, `set`, `frozenset`, `deque` | an array (the order of a set is the pickle's) | yes |
//! | `OrderedDict`, `defaultdict`, `Counter` | an object | yes |
//! | `dict` with other keys | the keys as `json.dumps` has them: `true`, `null`, a number's text; dates, decimals, UUIDs their text; all others the text of their JSON | yes |
//! | `bytes`, `bytearray` | `{"$bytes": "<base64>"}` | yes |
//! | `datetime`, `date`, `time` | a string as `isoformat()` makes it; a `ZoneInfo` shows as `[Area/City]` instead of an offset | yes |
//! | `timedelta` | a string like `P1DT02H00M00S` | yes |
//! | `Decimal`, `UUID` | a string | yes |
//! | classes and functions | `{"$object": "module.name"}` | yes |
//! | everything else: `complex`, `range`, enum members, exceptions, instances | `{"$object": "module.name", "args": […], "kwargs": {…}, "state": …, "items": […], "pairs": [[key, value], …]}` with the members that are there; nothing is executed | yes |
//! | a list, dict or object inside itself | `{"$cycle": true}` | yes |
//!
//! What is there twice is shown twice. A value that is not lossy comes back unchanged when its JSON is set again.

mod escape;
mod keys;
pub mod read;
mod serializer;
pub mod write;

pub use read::read;
pub use serializer::{deserialise, glance, serialise, serialise_tree};
pub use write::write;
