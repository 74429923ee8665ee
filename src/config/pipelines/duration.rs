//! Times as people write them: `3h`, `1h30m`, and ISO 8601's `PT3H`, `P1DT12H`.

/// The units, longest first, in seconds. Those of ISO 8601's date are true; years and months have no fixed length.
const UNITS: [(char, u64, bool); 5] =
    [('w', 7 * 24 * 3600, true), ('d', 24 * 3600, true), ('h', 3600, false), ('m', 60, false), ('s', 1, false)];

/// A second.
const NANOS: u128 = 1_000_000_000;

/// More digits are no time that anybody means.
const MOST_DIGITS: usize = 18;

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// Whole seconds; what is beyond them is `u64::MAX`.
    pub seconds: u64,
    /// Whether it has a part of a second besides.
    pub has_fraction: bool,
}

/// Reads a time, in any case, with blanks between the parts but not in ISO 8601; `None` for everything else. Parts stand
/// in the order of their length, each at most once, and only the last may have a fraction.
pub(super) fn read(text: &str) -> Option<Time> {
    let text = text.trim().to_ascii_lowercase();
    let (mut parts, mut rest) = (Parts::default(), text.as_str());
    if let Some(iso) = text.strip_prefix('p') {
        let (date, time) = iso.split_once('t').unwrap_or((iso, ""));
        if iso.ends_with('t') {
            return None;
        }
        for (text, wants_date) in [(date, true), (time, false)] {
            rest = text;
            while !rest.is_empty() {
                rest = parts.take(rest, |is_date| is_date == wants_date)?;
            }
        }
    } else {
        while !rest.is_empty() {
            rest = parts.take(rest, |_| true)?.trim_start();
        }
    }
    parts.time()
}

/// What was read so far.
#[derive(Default)]
struct Parts {
    nanos: u128,
    /// How many units there were, or were passed over; 0: none.
    behind: usize,
    has_fraction: bool,
}

impl Parts {
    /// Takes one number with its unit off, where the unit may stand here.
    fn take<'a>(&mut self, text: &'a str, allowed: impl Fn(bool) -> bool) -> Option<&'a str> {
        if self.has_fraction {
            return None;
        }
        let (whole, rest) = digits(text);
        let (fraction, rest) = match rest.strip_prefix(['.', ',']) {
            Some(rest) => digits(rest),
            None => ("", rest),
        };
        self.has_fraction = rest.len() + whole.len() != text.len();
        if whole.is_empty() || whole.len() > MOST_DIGITS || (self.has_fraction && fraction.is_empty()) {
            return None;
        }
        let mut letters = rest.chars();
        let unit = letters.next()?;
        let index = UNITS.iter().position(|(letter, ..)| *letter == unit)?;
        let (_, seconds, is_date) = UNITS.get(index)?;
        if index < self.behind || !allowed(*is_date) {
            return None;
        }
        self.behind = index + 1;
        let size = u128::from(*seconds);
        let whole: u128 = whole.parse().ok()?;
        // finer than a nanosecond is nothing
        let fraction: u128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        self.nanos = self.nanos.checked_add((whole * NANOS).checked_add(fraction)?.checked_mul(size)?)?;
        Some(letters.as_str())
    }

    fn time(&self) -> Option<Time> {
        let seconds = u64::try_from(self.nanos / NANOS).unwrap_or(u64::MAX);
        (self.behind > 0).then_some(Time { seconds, has_fraction: !self.nanos.is_multiple_of(NANOS) })
    }
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("3h", 10_800),
            ("10m", 600),
            ("1h30m", 5400),
            (" 1h 30m ", 5400),
            ("90s", 90),
            ("0s", 0),
            ("1W2D", 777_600),
            ("1.5h", 5400),
            ("PT3H", 10_800),
            ("pt90m", 5400),
            ("P1D", 86_400),
            ("P0DT03H00M00S", 10_800),
            ("P1W", 604_800),
            ("PT0,5M", 30),
            ("999999999999999999s", 999_999_999_999_999_999),
            ("999999999999999999w999999999999999999d", u64::MAX),
        ] {
            assert_eq!(read(text), Some(Time { seconds, has_fraction: false }), "{text}");
        }
        assert_eq!(read("0.5s"), Some(Time { seconds: 0, has_fraction: true }));
        assert_eq!(read("PT1M0.999999999S"), Some(Time { seconds: 60, has_fraction: true }));
    }

    #[test]
    fn what_is_no_time() {
        let long = format!("{}s", "9".repeat(1000));
        for text in [
            "", " ", "3", "h", "3x", "30m1h", "1h1h", "1h30", "-3h", "+3h", "1.5h30m", ".5h", "1.h", "1e3s", "3 h",
            "P", "PT", "P1DT", "P1H", "PT1D", "P1Y", "P1M", "P 1D", "PT1H 1M", "-PT3H", "3h\0", "３h", "1..5h", &long,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
