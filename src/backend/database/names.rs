//! The names of the table and of its index, in quotes (DB-1).

use crate::error::{Error, Kind, Result};

/// DB-1. Django puts a name into quotes unless it has them already, and doubles none inside. So `schema"."table` names a
/// table in a schema, as people do with PostgreSQL; what cannot be read as such names is refused.
pub(super) fn quoted(table: &str, quote: char) -> Result<String> {
    let has_quotes = table.len() > 1 && table.starts_with(quote) && table.ends_with(quote);
    let quoted = if has_quotes { table.to_owned() } else { format!("{quote}{table}{quote}") };
    if are_names(&quoted, quote) {
        return Ok(quoted);
    }
    let reason =
        format!("LOCATION: a {quote} inside the table's name must be doubled, or part two names ({quote}.{quote})");
    Err(Error::new(Kind::Config, reason))
}

/// Whether this is a quoted name, or several with a point between them.
fn are_names(text: &str, quote: char) -> bool {
    let mut letters = text.chars().peekable();
    loop {
        if letters.next() != Some(quote) {
            return false;
        }
        let mut length = 0;
        loop {
            match letters.next() {
                None => return false,
                Some(letter) if letter != quote => length += 1,
                Some(_) if letters.next_if_eq(&quote).is_some() => length += 1,
                Some(_) => break,
            }
        }
        if length == 0 {
            return false;
        }
        match letters.next() {
            None => return true,
            Some('.') => {}
            Some(_) => return false,
        }
    }
}

/// `<table>_expires`; an index has no schema of its own, so that the last of several names counts. (Django writes SQL
/// that fails where the name has quotes already.)
pub(super) fn index_name(quoted: &str, quote: char) -> String {
    let inner = quoted.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).unwrap_or(quoted);
    let between = format!("{quote}.{quote}");
    let name = inner.rsplit(between.as_str()).next().unwrap_or(inner);
    format!("{quote}{name}_expires{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_once() {
        for (table, quoted, index) in [
            ("cache", r#""cache""#, r#""cache_expires""#),
            ("my cache table", r#""my cache table""#, r#""my cache table_expires""#),
            (r#""cache""#, r#""cache""#, r#""cache_expires""#),
            (r#"public"."cache"#, r#""public"."cache""#, r#""cache_expires""#),
            (r#"a""b"#, r#""a""b""#, r#""a""b_expires""#),
            ("tablé`", r#""tablé`""#, r#""tablé`_expires""#),
        ] {
            let name = super::quoted(table, '"').unwrap();
            assert_eq!((name.as_str(), index_name(&name, '"').as_str()), (quoted, index));
        }
        assert_eq!(quoted("c", '`').unwrap(), "`c`");
        assert_eq!(quoted("`c`", '`').unwrap(), "`c`");
    }

    #[test]
    fn what_would_leave_the_quotes_is_refused() {
        for table in [r#"a"b"#, r#"a"; DROP TABLE x; --"#, r#"""#, r#"a"."#, r#"."a"#, r#"a".b."c"#, r#"""""#] {
            assert_eq!(quoted(table, '"').unwrap_err().kind(), Kind::Config, "{table}");
        }
        assert!(quoted("a`b", '`').is_err());
    }
}
