//! Chance from a seed: keys, texts, bytes, and JSON texts of every shape that Python's `json.loads` takes.

use std::fmt::Write;

use super::world::{Alias, Engine, Kind};
use crate::common::random::Random;

/// Bytes of a version and of the two colons around it, at the most.
const VERSION_ROOM: usize = 8;

/// The same choices for the same seed.
pub struct Dice(Random);

/// Ranges of characters: ASCII, controls, Latin, Greek, Cyrillic, Hebrew, combining, punctuation, kana, Han, emoji.
const SCRIPTS: [(u32, u32); 12] = [
    (0x20, 0x7e),
    (0x20, 0x7e),
    (0x00, 0x1f),
    (0x7f, 0xff),
    (0x370, 0x3ff),
    (0x400, 0x4ff),
    (0x5d0, 0x5ea),
    (0x300, 0x36f),
    (0x2000, 0x206f),
    (0x3040, 0x30ff),
    (0x4e00, 0x9fff),
    (0x1f300, 0x1faff),
];

/// Keys that something could stumble over.
const ODD_KEYS: [&str; 14] = [
    "",
    " ",
    "a b",
    "new\nline",
    "\0",
    "\u{7f}",
    "*?[a-z]",
    "{tag}key",
    "a:b:c",
    ":1:k",
    "%s%d",
    "\\\"'",
    "cafe\u{301}",
    "../../etc",
];

/// Numbers as JSON can write them.
const ODD_NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "-0.0",
    "0.0",
    "1.0",
    "1e5",
    "1E+5",
    "1e-5",
    "0.1",
    "5e-324",
    "1e400",
    "-1e400",
    "1e-400",
    "1e16",
    "123456789012345680.0",
    "1e22",
    "255",
    "256",
    "65535",
    "65536",
    "-2147483648",
    "2147483648",
    "9223372036854775808",
    "NaN",
    "Infinity",
    "-Infinity",
];

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Random(seed))
    }

    pub fn number(&mut self) -> u64 {
        self.0.next()
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub fn text(&mut self) -> String {
        let size = match self.below(200) {
            0 => *self.pick(&[65_535, 65_536, 70_000]),
            _ => *self.pick(&[0, 1, 1, 2, 3, 5, 8, 20, 255, 256]),
        };
        let of_all = self.below(3) == 0;
        let mut script = *self.pick(&SCRIPTS);
        let mut text = String::new();
        for _ in 0..size {
            if of_all {
                script = *self.pick(&SCRIPTS);
            }
            let (first, last) = script;
            let code = first + u32::try_from(self.below(usize::try_from(last - first + 1).unwrap())).unwrap();
            text.push(char::from_u32(code).unwrap());
        }
        text
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        let size = *self.pick(&[0, 1, 2, 7, 100, 255, 256, 300, 70_000]);
        (0..size).map(|_| self.number().to_le_bytes()[0]).collect()
    }

    pub fn key(&mut self) -> String {
        match self.below(4) {
            0 => (*self.pick(&ODD_KEYS)).to_owned(),
            1 => self.pick(&["é", "x", "日"]).repeat(*self.pick(&[125, 249, 250, 251, 300])),
            _ => self.text().chars().take(60).collect(),
        }
    }

    /// A key that an alias can have: memcached has fewer, and so have the tables of servers (pitfalls 20, 24).
    pub fn key_for(&mut self, alias: Alias) -> String {
        let key = self.key();
        match alias.kind {
            Kind::Memcached(_) | Kind::MemcachedSocket => {
                let mut key: String = key.chars().filter(|one| *one > ' ' && *one != '\u{7f}').collect();
                while alias.prefix.len() + VERSION_ROOM + key.len() > 250 {
                    key.pop();
                }
                key
            }
            Kind::Database(Engine::PostgreSql | Engine::MariaDb) => {
                // MariaDB takes many texts for the same: each has a number at its end
                let key: String = key.chars().filter(|one| *one != '\0').take(200).collect();
                format!("{key}#{}", self.number())
            }
            _ => key,
        }
    }

    /// A version of a call: the alias's own, or another one.
    pub fn version_for(&mut self, alias: Alias) -> Option<&'static str> {
        let odd = if alias.kind.is_memcached() { "v/x:é" } else { "v x:é" };
        *self.pick(&[None, None, Some("1"), Some("2"), Some("0"), Some(odd)])
    }

    /// JSON text.
    pub fn json(&mut self) -> String {
        let mut json = String::new();
        self.space(&mut json);
        self.write(&mut json, 4);
        self.space(&mut json);
        json
    }

    fn write(&mut self, json: &mut String, depth: usize) {
        match self.below(if depth > 0 { 14 } else { 10 }) {
            0 => json.push_str("null"),
            1 => json.push_str("true"),
            2 => json.push_str("false"),
            3 => json.push_str(self.pick::<&str>(&ODD_NUMBERS)),
            4 => self.write_int(json),
            5 => self.write_float(json),
            6..=9 => self.write_text(json),
            10 | 11 => {
                let count = if self.below(60) == 0 { *self.pick(&[999, 1000, 1001, 2001]) } else { self.below(6) };
                self.write_all(json, "[]", count, |dice, json| dice.write(json, if count > 9 { 0 } else { depth - 1 }));
            }
            _ => {
                let count = if self.below(60) == 0 { *self.pick(&[1000, 1001, 2000]) } else { self.below(6) };
                self.write_all(json, "{}", count, |dice, json| {
                    match dice.below(5) {
                        0 => json.push_str(r#""id""#), // the same key again and again
                        _ => dice.write_text(json),
                    }
                    dice.space(json);
                    json.push(':');
                    dice.space(json);
                    dice.write(json, if count > 9 { 0 } else { depth - 1 });
                });
            }
        }
    }

    fn write_all(&mut self, json: &mut String, marks: &str, count: usize, one: impl Fn(&mut Self, &mut String)) {
        json.push_str(&marks[..1]);
        self.space(json);
        for number in 0..count {
            if number > 0 {
                json.push(',');
            }
            self.space(json);
            one(self, json);
            self.space(json);
        }
        json.push_str(&marks[1..]);
    }

    fn write_int(&mut self, json: &mut String) {
        if self.below(2) == 0 {
            json.push('-');
        }
        json.push(char::from(b'1' + u8::try_from(self.below(9)).unwrap()));
        for _ in 0..*self.pick(&[0, 1, 2, 4, 8, 9, 17, 18, 19, 20, 40, 700]) {
            json.push(char::from(b'0' + u8::try_from(self.below(10)).unwrap()));
        }
    }

    fn write_float(&mut self, json: &mut String) {
        let float = f64::from_bits(self.number());
        if !float.is_finite() {
            return json.push_str("NaN");
        }
        match self.below(3) {
            0 => write!(json, "{float:e}").unwrap(),
            1 => write!(json, "{float:?}").unwrap(),
            _ => write!(json, "{}.{:03}", self.below(100_000), self.below(1000)).unwrap(),
        }
    }

    fn write_text(&mut self, json: &mut String) {
        json.push('"');
        for character in self.text().chars() {
            match character {
                '"' | '\\' => write!(json, "\\{character}").unwrap(),
                '\u{0}'..='\u{1f}' => write!(json, "\\u{:04x}", u32::from(character)).unwrap(),
                '/' => json.push_str("\\/"),
                _ if self.below(8) == 0 => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        write!(json, "\\u{unit:04X}").unwrap();
                    }
                }
                _ => json.push(character),
            }
        }
        json.push_str(self.pick::<&str>(&[
            "",
            "",
            "",
            "\\n",
            "\\t\\b\\f\\r",
            "\\ud83d\\ude00",
            "\\ud800",
            "x\\udfffy",
        ]));
        json.push('"');
    }

    fn space(&mut self, json: &mut String) {
        json.push_str(self.pick::<&str>(&["", "", "", " ", "\n", "\t", "\r\n  "]));
    }
}
