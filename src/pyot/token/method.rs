//! The method of a ready-made token, which its times to live go by.

/// Which of the known names is the method of a token; `None` if none stands where the method must.
///
/// Version 3 writes model, server and method without anything between them and the first brace: the method is the longest
/// known name that ends there. Version 6 separates them by slashes, and leaves the server out where there is none: the
/// method comes next after the model or, where that is no known name, one further.
pub fn method_of<'a>(text: &str, model: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rest = strip(text, model)?;
    match rest.strip_prefix('/') {
        Some(path) => in_path(path, known),
        None => before_brace(rest, known),
    }
}

/// What follows a model, which tokens have in lower case; spaces in it are underscores in version 3.
fn strip<'t>(text: &'t str, model: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(model.len())?;
    let same = |(a, b): (u8, u8)| a == b.to_ascii_lowercase() || (a == b'_' && b == b' ');
    head.bytes().zip(model.bytes()).all(same).then_some(rest)
}

fn before_brace<'a>(rest: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let head = rest.split_once('{')?.0;
    known
        .filter(|name| !name.is_empty())
        .filter(|name| head.ends_with(name) || (name.contains(' ') && head.ends_with(&name.replace(' ', "_"))))
        .max_by_key(|name| name.len())
}

fn in_path<'a>(path: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let behind = path.split_once('/').map(|(_, behind)| behind);
    let begins = |text: &str, name: &str| {
        text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    known
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            let first = begins(path, name);
            (first || behind.is_some_and(|behind| begins(behind, name))).then_some((first, name))
        })
        .max_by_key(|(first, name)| (*first, name.len()))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::method_of;

    const KNOWN: [&str; 6] = ["by_name", "summoner_v4_by_name", "match_v4_match", "match_v4_matchlist", "", "a b"];

    fn find(text: &str) -> Option<&'static str> {
        method_of(text, "lol", KNOWN.into_iter())
    }

    #[test]
    fn methods_are_found_in_tokens_of_version_3() {
        assert_eq!(find("lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}"), Some("summoner_v4_by_name"));
        assert_eq!(find("lolna1league_v4_by_name{}{}"), Some("by_name")); // the best that there is
        assert_eq!(find("loleuw1match_v4_matchlist{'id':_1}{}"), Some("match_v4_matchlist"));
        assert_eq!(find("loleuw1match_v4_match{'id':_'match_v4_matchlist{}'}{}"), Some("match_v4_match"));
        assert_eq!(find("lolmatch_v4_match{}{}"), Some("match_v4_match")); // no server
        assert_eq!(find("lolna1a_b{}{}"), Some("a b"));
        for none in
            ["lolna1spectator{}{}", "lolna1match_v4_match", "tftna1match_v4_match{}{}", "lol", "lo", "", "lol{}"]
        {
            assert_eq!(find(none), None, "{none}");
        }
        assert_eq!(method_of("lolna1match_v4_match{}{}", "LOL", KNOWN.into_iter()), Some("match_v4_match"));
        // no part of the model
        assert_eq!(method_of("match_v4_match{}{}", "match", KNOWN.into_iter()), None);
    }

    #[test]
    fn methods_are_found_in_tokens_of_version_6() {
        assert_eq!(find("lol/na1/summoner_v4_by_name/Hide on bush"), Some("summoner_v4_by_name"));
        assert_eq!(find("lol/na1/match_v4_matchlist?count=1"), Some("match_v4_matchlist"));
        assert_eq!(find("lol/match_v4_match"), Some("match_v4_match"));
        assert_eq!(find("lol/na1/match_v4_match"), Some("match_v4_match"));
        // the method, and a player of that name
        assert_eq!(find("lol/by_name/match_v4_matchlist"), Some("by_name"));
        for none in ["lol/na1/x/match_v4_match", "lol/na1", "lol/", "lol/na1/match_v4_matches", "tft/na1/by_name"] {
            assert_eq!(find(none), None, "{none}");
        }
    }
}
