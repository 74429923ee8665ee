//! Expiries in many zones and at odd times, as Python's zoneinfo and Django's `parse_datetime` have them (DB-5, DB-6).
#![cfg(feature = "sqlite-system")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::python;
use common::random::Random;
use larder::backend::database::dialect::Engine;
use larder::backend::database::expiry::Calendar;
use larder::config::{Named, Times};
use larder::error::Kind;
use larder::timeout::Ttl;
use serde_json::{Value, json};

const ZONES: [&str; 9] = [
    "UTC",
    "America/Chicago",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe", // its clocks jump by half an hour
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Casablanca",
    "Etc/GMT+12",
];

/// Reads {"moments": seconds, "texts": texts, "zones": names}; for each zone what each moment's clock shows, and which
/// moment (null: none) and clock time each text stands for, both in microseconds since 1970.
const SCRIPT: &str = r"
import datetime as d, json, sys, zoneinfo
from django.utils.dateparse import parse_datetime
asked = json.load(sys.stdin)
utc, epoch = d.timezone.utc, d.datetime(1970, 1, 1)
micro = d.timedelta(microseconds=1)
def read(text, zone):
    try:
        value = parse_datetime(text)
    except ValueError:
        return None
    if value is None:
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=zone)
    moment = (aware.replace(tzinfo=None) - aware.utcoffset() - epoch) // micro
    return [moment, None if value.tzinfo else (value - epoch) // micro]
answers = []
for name in asked['zones']:
    zone = zoneinfo.ZoneInfo(name)
    shown = [str(d.datetime.fromtimestamp(m, utc).astimezone(zone).replace(tzinfo=None)) for m in asked['moments']]
    answers.append([shown, [read(text, zone) for text in asked['texts']]])
print(json.dumps(answers))
";

fn ask(moments: &[i64], texts: &[String]) -> Value {
    let folder = std::env::temp_dir().join(format!("larder-times-{}.json", std::process::id()));
    std::fs::write(&folder, json!({"moments": moments, "texts": texts, "zones": ZONES}).to_string()).unwrap();
    let input = std::fs::File::open(&folder).unwrap();
    std::fs::remove_file(&folder).unwrap();
    let output = Command::new(python::interpreter()).args(["-c", SCRIPT]).stdin(input).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn calendar(zone: &str, use_tz: bool) -> Calendar {
    let zone = Some(Named { place: Arc::from("TIME_ZONE"), value: zone.to_owned() });
    Calendar::open(&Times { use_tz, zone }, Engine::Sqlite).unwrap()
}

/// All through the years, and each quarter of an hour of days on which clocks jump.
fn moments() -> Vec<i64> {
    let mut random = Random(11);
    let days =
        [1_700_956_800, 1_710_028_800, 1_730_592_000, 1_711_843_200, 1_729_987_200, 1_696_086_000, 1_712_412_000];
    let mut moments: Vec<i64> =
        (0..400).map(|_| 86_400 * 2 + i64::try_from(random.below(7_000_000_000)).unwrap()).collect();
    for day in days {
        moments.extend((0..2 * 96).map(|quarter| day - 43_200 + quarter * 900));
    }
    moments
}

#[test]
fn clocks_show_what_python_s_show() {
    let moments = moments();
    let answers = ask(&moments, &[]);
    for (zone, answer) in ZONES.iter().zip(answers.as_array().unwrap()) {
        for use_tz in [true, false] {
            let calendar = calendar(zone, use_tz);
            for (moment, shown) in moments.iter().zip(answer[0].as_array().unwrap()) {
                #[allow(clippy::cast_precision_loss, reason = "seconds of some centuries")]
                let now = calendar.at(*moment as f64 - 60.0 + 0.25);
                let (text, _) = calendar.expires(Ttl::Millis(60_000), now);
                assert_eq!(text, shown.as_str().unwrap(), "{zone} {moment}");
            }
        }
    }
}

#[test]
fn texts_stand_for_what_they_stand_for_in_python() {
    let mut random = Random(12);
    let mut texts: Vec<String> = Vec::new();
    for day in ["2023-11-05", "2024-03-10", "2024-03-31", "2024-10-27", "2024-04-07", "2024-10-06", "2024-12-31"] {
        for hour in 0..5 {
            for minute in ["00", "29", "30", "59"] {
                texts.push(format!("{day} {hour:02}:{minute}:17"));
            }
        }
    }
    let ends = [
        "",
        ".5",
        ".000001",
        ",123456",
        ".123456789",
        ".",
        "Z",
        "+02",
        "+0230",
        "-02:30",
        " +01:00",
        "+25:00",
        "x",
        " ",
    ];
    let heads = [
        "2024-02-29 12:00:00",
        "2023-02-29 12:00:00",
        "2024-1-2 3:04:05",
        "2024-01-02T03:04:05",
        "2024-01-02 03:04",
        "2024-01-02 24:00:00",
        "2024-00-02 03:04:05",
        "1000-01-01 00:00:00",
        "9998-12-31 23:59:59",
        "24-01-02 03:04:05",
        "0001-01-03 00:00:00",
        "2024-01-02 03:60:05",
        "2024-01-02 03:04:60",
        "2024-01-32 03:04:05",
    ];
    texts.extend(heads.iter().flat_map(|head| ends.iter().map(move |end| format!("{head}{end}"))));
    // and one letter of a good text replaced
    for _ in 0..300 {
        let mut letters: Vec<char> = "2031-07-09 08:07:06.054321+02:00".chars().collect();
        let at = random.below(letters.len());
        letters[at] = *['0', '5', '9', '-', ':', ' ', '.', 'T', 'Z', 'é'].get(random.below(10)).unwrap();
        letters.truncate(random.below(40).max(10));
        texts.push(letters.into_iter().collect());
    }
    // Python reads some of these that larder takes for damaged: any letter between date and time, for example
    let plain = texts.len() - 300;
    let answers = ask(&[], &texts);
    let (mut read, mut odd) = (0, Vec::new());
    for (zone, answer) in ZONES.iter().zip(answers.as_array().unwrap()) {
        let (aware, naive) = (calendar(zone, true), calendar(zone, false));
        let epoch = |calendar: &Calendar, micros: i64| calendar.read("1970-01-01 00:00:00+00:00").map(|_| micros);
        for (number, (text, python)) in texts.iter().zip(answer[1].as_array().unwrap()).enumerate() {
            if number >= plain && aware.read(text).is_none() {
                continue;
            }
            let python = (!python.is_null()).then(|| (python[0].as_i64().unwrap(), python[1].as_i64()));
            let point = larder::backend::database::expiry::Point::of_micros;
            if aware.read(text) != python.and_then(|(moment, _)| epoch(&aware, moment)).map(point) {
                odd.push(format!("{zone} {text:?}: {:?}, but Python {python:?}", aware.read(text)));
            }
            if let Some((_, Some(clock))) = python
                && naive.read(text) != Some(point(clock))
            {
                odd.push(format!("{zone} {text:?} without USE_TZ: {:?}, but Python {clock}", naive.read(text)));
            }
            read += usize::from(python.is_some());
        }
    }
    assert!(odd.is_empty(), "{} of {}:\n{}", odd.len(), texts.len(), odd[..odd.len().min(30)].join("\n"));
    assert!(read > 1500, "{read}");
}

#[test]
fn what_is_far_away_is_kept_for_ever() {
    for (zone, use_tz) in [("America/Chicago", false), ("Etc/GMT+12", true), ("Pacific/Apia", true), ("UTC", true)] {
        let calendar = calendar(zone, use_tz);
        let now = calendar.now();
        for ttl in [Ttl::Forever, Ttl::Millis(i64::MAX), Ttl::Millis(i64::MAX / 2), Ttl::Millis(252_000_000_000_000)] {
            let (text, is_over) = calendar.expires(ttl, now);
            assert_eq!((text.as_str(), is_over), ("9999-12-31 23:59:59", false), "{ttl:?}");
        }
        let forever = calendar.read("9999-12-31 23:59:59").unwrap();
        assert!(!forever.is_over(now.point));
        assert_eq!(forever.left(now.point), Ttl::Forever);
        for ttl in [Ttl::Millis(i64::MIN), Ttl::Millis(-1), Ttl::Millis(0), Ttl::Millis(-10_000_000_000_000)] {
            let (text, is_over) = calendar.expires(ttl, now);
            assert!(is_over && calendar.read(&text).unwrap().is_over(now.point), "{ttl:?} {text}");
        }
        for moment in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 0.0] {
            let now = calendar.at(moment);
            let _ = (calendar.expires(Ttl::Millis(5), now), calendar.now_text(now), forever.left(now.point));
        }
    }
}

#[test]
fn a_zone_that_is_nowhere_is_told() {
    for zone in ["Europe/Atlantis", "", "../../etc/passwd", "a\u{0}b"] {
        let zone = Some(Named { place: Arc::from("DATABASES.default.TIME_ZONE"), value: zone.to_owned() });
        let error = Calendar::open(&Times { use_tz: true, zone }, Engine::MySql).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.reason().starts_with("DATABASES.default.TIME_ZONE: "), "{error}");
    }
    assert!(Calendar::open(&Times { use_tz: false, zone: None }, Engine::Sqlite).is_ok()); // the system's
}
