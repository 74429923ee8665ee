//! Redis's glob patterns over bytes: `*`, `?`, `[abc]`, `[^abc]`, `[a-z]`, and `\` before a byte that stands for itself.

/// Whether `text` matches `pattern` as a whole. Takes at most `pattern × text` steps, whatever the pattern.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // The last star: what follows it, and the text from which that is tried next. Earlier stars never need another
    // try: whatever they could take more, the last one can.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, text));
            pattern = rest;
            continue;
        }
        if let [byte, rest_of_text @ ..] = text {
            if let Some(rest) = step(pattern, *byte) {
                (pattern, text) = (rest, rest_of_text);
                continue;
            }
        } else if pattern.is_empty() {
            return true;
        }
        let Some((after_star, [_, tried @ ..])) = star else { return false };
        star = Some((after_star, tried));
        (pattern, text) = (after_star, tried);
    }
}

/// The pattern of everything that begins with `prefix`.
pub fn beginning_with(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 8);
    for byte in prefix {
        if b"*?[\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

/// Matches one byte with the pattern's first element (not a star); the rest of the pattern.
fn step(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => {
            let (matched, rest) = in_class(class, byte);
            matched.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Whether a byte is in the class that begins here (behind its bracket), and what follows the class. A class without an
/// end goes on to the end of the pattern, as in Redis.
fn in_class(mut class: &[u8], byte: u8) -> (bool, &[u8]) {
    let negated = class.first() == Some(&b'^');
    if let ([b'^', rest @ ..], true) = (class, negated) {
        class = rest;
    }
    let mut found = false;
    loop {
        class = match class {
            [] => return (found != negated, class),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{beginning_with, matches};

    #[test]
    fn what_redis_matches() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything at all"),
            ("h?llo", "hello"),
            ("h*llo", "hllo"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hbllo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hallo"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("[*]", "*"),
            ("a[b", "ab"),
            ("tail\\", "tail\\"),
            ("*a*b*c", "xxaxxbxxabc"),
            ("**:1:*", ":1:key"),
            (":1:\u{e9}?", ":1:\u{e9}x"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn what_redis_does_not_match() {
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("h?llo", "hllo"),
            ("h[^e]llo", "hello"),
            ("h[a-b]llo", "hcllo"),
            ("[]a", "a"),
            ("a[", "a["),
            ("\\*", "x"),
            ("*a*b*c", "xxaxxbxxab"),
            ("a*", "ba"),
            ("\u{e9}", "?"),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn a_prefix_stands_for_itself() {
        for (prefix, text, is_behind) in [
            ("", "anything", true),
            ("p", "pq", true),
            ("p", "q", false),
            ("[a]*", "[a]*:1:k", true),
            ("[a]*", "a:1:k", false),
            ("a?\\\\", "a?\\\\b", true),
            ("a?\\\\", "ab\\\\b", false),
        ] {
            assert_eq!(matches(&beginning_with(prefix.as_bytes()), text.as_bytes()), is_behind, "{prefix} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = "*a".repeat(200) + "b";
        let text = "a".repeat(20_000);
        let begin = std::time::Instant::now();
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
        assert!(begin.elapsed().as_secs() < 5);
    }
}
