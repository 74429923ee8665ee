//! When a row ends: the texts of the column `expires`, and points in time to compare (DB-5, DB-6).
//!
//! Django writes whole seconds, rounded down. With USE_TZ the column holds moments: in UTC, or in the TIME_ZONE of the
//! database (PostgreSQL: as moments that know their zone). Without USE_TZ it holds what a clock on the wall shows in
//! TIME_ZONE, and Django compares those: in the hour that a clock shows twice, an expiry can come an hour early or late,
//! there as here. (On PostgreSQL larder writes and compares the moment itself, also without USE_TZ.)
//!
//! A text that stands for two moments means the first, and one that a clock skips is read by the time before the jump
//! (Python's `fold=0`).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::dialect::Engine;
use crate::config::Times;
use crate::error::{Error, Kind, Result};
use crate::timeout::Ttl;

/// `datetime.max` without its microseconds.
const FOREVER: &str = "9999-12-31 23:59:59";

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400;

/// The last day that the zones are asked about, and the first.
const LAST: i64 = 253_402_000_000;
const FIRST: i64 = DAY;

/// From here on (somewhere on the last day of 9999, in any zone) a row is kept for ever.
const END: i64 = 253_402_300_799 - 2 * DAY;

/// A point in time, in microseconds since 1970: of UTC, or of the clock on the wall, as a [`Calendar`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point(i64);

impl Point {
    /// Microseconds since 1970 (PostgreSQL's [`super::dialect::Dialect::get`]).
    pub fn of_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whether a row with this expiry is over at `now`.
    pub fn is_over(self, now: Self) -> bool {
        self <= now
    }

    /// What is left of the time of a row with this expiry at `now`: rounded up to a millisecond.
    pub fn left(self, now: Self) -> Ttl {
        if self.0 >= END * MICROS {
            return Ttl::Forever;
        }
        Ttl::Millis(self.0.saturating_sub(now.0).div_euclid(1000) + 1)
    }
}

/// What the time is, once for each operation.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Microseconds since 1970, UTC.
    moment: i64,
    /// What [`Calendar::read`] is compared with.
    pub point: Point,
}

/// How one table tells the time.
#[derive(Clone, Debug)]
pub struct Calendar {
    engine: Engine,
    use_tz: bool,
    /// The zone of the texts; `None`: UTC.
    zone: Option<TimeZone>,
}

impl Calendar {
    /// Finds the zone; where there is no such zone that is an error of the configuration.
    pub fn open(times: &Times, engine: Engine) -> Result<Self> {
        let zone = match &times.zone {
            None => TimeZone::try_system().map_err(|error| {
                Error::new(Kind::Config, format!("TIME_ZONE is null, and the system's zone cannot be found: {error}"))
            })?,
            Some(named) if named.value == "UTC" => TimeZone::UTC,
            Some(named) => TimeZone::get(&named.value).map_err(|_| {
                let place = &named.place;
                Error::new(Kind::Config, format!("{place}: there is no such time zone; write one as Europe/Paris"))
            })?,
        };
        let zone = (zone != TimeZone::UTC && engine != Engine::Postgres).then_some(zone);
        Ok(Self { engine, use_tz: times.use_tz, zone })
    }

    /// The time by the system's clock.
    pub fn now(&self) -> Now {
        self.at(crate::sys::wall_clock())
    }

    /// The time `seconds` after 1970.
    #[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
    pub fn at(&self, seconds: f64) -> Now {
        let moment = (seconds * 1e6).round() as i64;
        let shift = if self.use_tz { 0 } else { self.offset_at(moment.div_euclid(MICROS)) };
        Now { moment, point: Point(moment.saturating_add(shift.saturating_mul(MICROS))) }
    }

    /// The text for the column of a row that lives for `ttl`, and whether that is over at once: whole seconds are kept,
    /// so that a second's life is what is left of this one.
    ///
    /// What would end after the year 9999 (Python: an error) never ends.
    pub fn expires(&self, ttl: Ttl, now: Now) -> (String, bool) {
        let ms = match ttl {
            Ttl::Forever => return (FOREVER.to_owned(), false),
            Ttl::Millis(0) => -1000, // T-1
            Ttl::Millis(ms) => ms,
        };
        let end = now.moment.saturating_add(ms.saturating_mul(1000)).div_euclid(MICROS);
        if end >= END {
            return (FOREVER.to_owned(), false);
        }
        (self.text(end), end.saturating_mul(MICROS) <= now.moment)
    }

    /// The text of `now` for a comparison with the column in SQL: whole seconds, rounded down, so that a row that ends
    /// in this second is over.
    pub fn now_text(&self, now: Now) -> String {
        self.text(now.moment.div_euclid(MICROS))
    }

    /// A text of the column. `None` where it is no time (Python fails then too).
    pub fn read(&self, text: &str) -> Option<Point> {
        let (civil, micros, offset) = parse(text)?;
        let seconds = match offset {
            Some(offset) => {
                let moment = civil - offset;
                if self.use_tz { moment } else { moment + self.offset_at(moment) }
            }
            None if self.use_tz => civil - self.offset_of(civil),
            None => civil,
        };
        Some(Point(seconds * MICROS + micros))
    }

    /// Seconds since 1970, as a text for the column.
    fn text(&self, seconds: i64) -> String {
        let seconds = seconds.clamp(FIRST, LAST);
        let civil = seconds + self.offset_at(seconds);
        let (year, month, day) = date_of(civil.div_euclid(DAY));
        let second = civil.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let zone = if self.engine == Engine::Postgres { "+00" } else { "" };
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{zone}")
    }

    /// How many seconds the zone's clock is ahead of UTC at a moment.
    fn offset_at(&self, moment: i64) -> i64 {
        let Some(zone) = &self.zone else { return 0 };
        let moment = Timestamp::from_second(moment.clamp(-LAST, LAST)).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(zone.to_offset(moment).seconds())
    }

    /// The same where the clock shows `civil`.
    fn offset_of(&self, civil: i64) -> i64 {
        let Some(zone) = &self.zone else { return 0 };
        let civil = civil.clamp(-LAST / 8, LAST); // years 966 to 9999: more than any column holds
        let Ok(shown) = Timestamp::from_second(civil) else { return 0 };
        let shown: DateTime = Offset::UTC.to_datetime(shown);
        let offset = match zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        };
        i64::from(offset.seconds())
    }
}

/// Django's `parse_datetime`, less the calendar's odder forms (weeks, no dashes): seconds that the clock shows since
/// 1970, microseconds, and the offset from UTC where it is named.
fn parse(text: &str) -> Option<(i64, i64, Option<i64>)> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4, 4)?;
    rest.byte(b"-")?;
    let month = rest.number(1, 2)?;
    rest.byte(b"-")?;
    let day = rest.number(1, 2)?;
    let days = days_of(year, month, day)?;
    if rest.0.is_empty() {
        return Some((days * DAY, 0, None)); // a date alone, which Python takes for midnight
    }
    rest.byte(b"T ")?;
    let before = rest.0.len();
    let hour = rest.number(1, 2)?;
    let is_whole = before - rest.0.len() == 2;
    let (mut minute, mut second, mut micros) = (0, 0, 0);
    if rest.byte(b":").is_some() {
        minute = rest.number(1, 2)?;
        if rest.byte(b":").is_some() {
            second = rest.number(1, 2)?;
        }
        if rest.byte(b".,").is_some() {
            micros = rest.fraction()?;
        }
    } else if !is_whole {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = rest.offset()?;
    Some((days * DAY + hour * 3600 + minute * 60 + second, micros, offset))
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// A number of so many digits.
    fn number(&mut self, fewest: usize, most: usize) -> Option<i64> {
        let digits = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if digits < fewest {
            return None;
        }
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        Some(number.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    /// One of these.
    fn byte(&mut self, wanted: &[u8]) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| self.0 = rest)
    }

    /// One to twelve digits, of which six count.
    fn fraction(&mut self) -> Option<i64> {
        let before = self.0.len();
        let micros = self.number(1, 6)?;
        let digits = u32::try_from(before - self.0.len()).ok()?;
        self.number(0, 6)?;
        Some(micros * 10_i64.pow(6_u32.saturating_sub(digits)))
    }

    /// What stands at the end: nothing, `Z`, or hours and perhaps minutes.
    #[allow(clippy::option_option, reason = "wrong; none; one")]
    fn offset(&mut self) -> Option<Option<i64>> {
        self.0 = self.0.trim_ascii_start();
        let sign = match self.0.first() {
            None => return Some(None),
            Some(b'Z') => 0,
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.0 = self.0.get(1..)?;
        let mut offset = 0;
        if sign != 0 {
            offset = self.number(2, 2)? * 3600;
            if self.byte(b":").is_some() || !self.0.is_empty() {
                offset += self.number(2, 2)? * 60;
            }
        }
        (self.0.is_empty() && offset < DAY).then_some(Some(sign * offset))
    }
}

/// Days from 1970-01-01 to a date of the years 1 to 9999, by the calendar of today.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || year == 0 {
        return None;
    }
    // years that begin in March, so that the odd day comes last
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year = year.rem_euclid(400);
    Some(era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// The date so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    if month < 10 { (era * 400 + year, month + 3, day) } else { (era * 400 + year + 1, month - 9, day) }
}
