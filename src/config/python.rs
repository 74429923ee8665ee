//! What Python makes of a JSON value: `int(x)`, `float(x)`, `bool(x)`, `str(x)`.

use num_traits::ToPrimitive;
use serde_json::Value;

use crate::float;

/// Python refuses to read integers with more digits.
const MOST_DIGITS: usize = 4300;

/// `int(x)`, or `None` where Python raises ValueError or TypeError. What is beyond 64 bits becomes the nearest number
/// that is not.
pub(super) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(truncated)),
        Value::String(text) => int_of(text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn truncated(number: f64) -> i64 {
    number.to_i64().unwrap_or(if number > 0.0 { i64::MAX } else { i64::MIN })
}

/// `int(text)` by rule I: blanks around, a sign, digits with single underscores between them.
pub(super) fn int_of(text: &str) -> Option<i64> {
    let text = text.trim_matches(is_blank);
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let digits = without_underscores(digits)?;
    if digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0_i64, |sum, byte| sum.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    Some(if negative && size == i64::MAX {
        i64::MIN
    } else if negative {
        -size
    } else {
        size
    })
}

/// `float(text)`.
pub(super) fn float_of(text: &str) -> Option<f64> {
    without_underscores(text.trim_matches(is_blank))?.parse().ok()
}

/// The text without the underscores that Python allows between digits; `None` where one stands elsewhere, and for an
/// empty text.
fn without_underscores(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let mut after_digit = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '_' {
            kept.push(letter);
        } else if !after_digit || !letters.peek().is_some_and(char::is_ascii_digit) {
            return None;
        }
        after_digit = letter.is_ascii_digit();
    }
    (!kept.is_empty()).then_some(kept)
}

/// What `str.strip` takes off.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// `bool(x)`.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// `str(x)` of a text, number, bool or null. `None` for a list or an object, and for a number whose digits are lost
/// (beyond 64 bits; `-0`, which Python takes for the int 0 and `-0.0` for a float).
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("None".to_owned()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .filter(|float| float.abs() < 9.2e18 && float.to_bits() != (-0.0_f64).to_bits())
            .map(float::repr),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ints_are_python_s() {
        let made = [
            (json!("12"), Some(12)),
            (json!(" +1_000\n"), Some(1000)),
            (json!("-0"), Some(0)),
            (json!("007"), Some(7)),
            (json!("12.5"), None),
            (json!("1__0"), None),
            (json!("_1"), None),
            (json!("1_"), None),
            (json!("+-1"), None),
            (json!("- 1"), None),
            (json!(""), None),
            (json!("9".repeat(30)), Some(i64::MAX)),
            (json!("-".to_owned() + &"9".repeat(30)), Some(i64::MIN)),
            (json!("9".repeat(4301)), None),
            (json!(12.9), Some(12)),
            (json!(-12.9), Some(-12)),
            (json!(1e300), Some(i64::MAX)),
            (json!(-1e300), Some(i64::MIN)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!(true), Some(1)),
            (json!(null), None),
            (json!([1]), None),
            (json!({}), None),
        ];
        for (value, expected) in made {
            assert_eq!(int(&value), expected, "{value}");
        }
    }

    #[test]
    fn texts_are_python_s() {
        let made = [
            (json!(1), Some("1")),
            (json!(1.0), Some("1.0")),
            (json!(true), Some("True")),
            (json!(false), Some("False")),
            (json!(null), Some("None")),
            (json!("v2"), Some("v2")),
            (json!(1e-7), Some("1e-07")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(1e20), None),
            (json!(-0.0), None),
            (json!([]), None),
        ];
        for (value, expected) in made {
            assert_eq!(text(&value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn floats_are_python_s() {
        assert_eq!(float_of(" 1_0.5 "), Some(10.5));
        assert_eq!(float_of("1e3"), Some(1000.0));
        assert_eq!(float_of("1_.5"), None);
        assert_eq!(float_of(""), None);
        assert_eq!(float_of("x"), None);
    }
}
