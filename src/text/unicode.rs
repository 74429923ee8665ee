//! Versions of Unicode, which decide what Python's `repr` escapes (PY-T7).

use super::printable::PRINTABLE;
use crate::error::{Error, Kind, Result};

/// A version of Unicode. Python has one built in, which `unicodedata.unidata_version` tells.
///
/// The default is 16.0: of the versions that are common it is the newest, that of Python 3.14. Two Pythons of which only
/// one knows a character make different tokens of it, so it has to be that of the Python that larder shares a cache with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unicode {
    /// Python 3.9 and 3.10.
    V13_0,
    /// Python 3.11.
    V14_0,
    /// Python 3.12.
    V15_0,
    /// Python 3.13.
    V15_1,
    /// Python 3.14.
    #[default]
    V16_0,
    /// Python 3.15.
    V17_0,
}

impl Unicode {
    /// All that larder has tables of, oldest first.
    pub const ALL: [Self; 6] = [Self::V13_0, Self::V14_0, Self::V15_0, Self::V15_1, Self::V16_0, Self::V17_0];

    /// The version of a text such as "15.1"; "15.1.0", as Python has it, is the same.
    pub fn read(text: &str) -> Result<Self> {
        let wanted = if text.matches('.').count() == 2 { text.strip_suffix(".0").unwrap_or(text) } else { text };
        Self::ALL.into_iter().find(|version| version.name() == wanted).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::new(Kind::Invalid, format!("there is no table of this version of Unicode; there are {known}"))
        })
    }

    /// Its number as text.
    pub fn name(self) -> &'static str {
        match self {
            Self::V13_0 => "13.0",
            Self::V14_0 => "14.0",
            Self::V15_0 => "15.0",
            Self::V15_1 => "15.1",
            Self::V16_0 => "16.0",
            Self::V17_0 => "17.0",
        }
    }

    /// Whether `str.isprintable` of a Python with this version takes a code point for printable.
    pub fn is_printable(self, code: u32) -> bool {
        if code < 0x7F {
            return code >= 0x20;
        }
        let after = PRINTABLE.partition_point(|(first, ..)| *first <= code);
        let range = after.checked_sub(1).and_then(|place| PRINTABLE.get(place));
        range.is_some_and(|(_, last, since)| code <= *last && *since <= self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known_by_name() {
        for version in Unicode::ALL {
            assert_eq!(Unicode::read(version.name()).unwrap(), version);
            assert_eq!(Unicode::read(&format!("{}.0", version.name())).unwrap(), version); // unidata_version
        }
        for unknown in ["", "14", "14.1", "12.1", "18.0", "15.0.1", "14.0.0.0", "14.", "newest"] {
            assert_eq!(Unicode::read(unknown).unwrap_err().kind(), Kind::Invalid, "{unknown}");
        }
        assert_eq!(Unicode::default().name(), "16.0");
    }

    /// What the standard says of itself: so many graphic characters, of which 17 are spaces and one of these counts.
    #[test]
    fn there_are_as_many_as_the_standard_says() {
        let graphic = [143_696, 144_532, 149_014, 149_641, 154_826, 159_629];
        for (version, graphic) in Unicode::ALL.into_iter().zip(graphic) {
            let printable = (0..=0x10_FFFF).filter(|code| version.is_printable(*code)).count();
            assert_eq!(printable, graphic - 17 + 1, "{}", version.name());
        }
    }

    #[test]
    fn a_character_is_printable_since_its_version() {
        let since = [
            (0x1F600, Unicode::V13_0),
            (0x1F9CC, Unicode::V14_0), // golden/README: a troll
            (0x1FAE8, Unicode::V15_0), // a shaking face
            (0x2EBF0, Unicode::V15_1),
            (0x1FAE9, Unicode::V16_0),
            (0x1FAEA, Unicode::V17_0),
        ];
        for (code, first) in since {
            for version in Unicode::ALL {
                assert_eq!(version.is_printable(code), version >= first, "U+{code:04X} in {}", version.name());
            }
        }
        for never in [0x0, 0x1F, 0x7F, 0xA0, 0xAD, 0x378, 0x200B, 0x2028, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x10_FFFF] {
            assert!(!Unicode::V17_0.is_printable(never), "U+{never:04X}");
        }
        assert!(!Unicode::V17_0.is_printable(0x11_0000) && !Unicode::V17_0.is_printable(u32::MAX));
    }
}
