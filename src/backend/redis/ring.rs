//! Which server of django-redis' ShardClient has a key (DR-50, DR-51).

use sha2::{Digest, Sha256};

/// So many points has every server.
const POINTS: usize = 128;

/// A SHA-256. Python compares the hexadecimal texts, whose order is that of the bytes.
type Hash = [u8; 32];

/// The points of all servers, in order; the number of the server is beside each.
pub(super) struct Ring(Vec<(Hash, usize)>);

impl Ring {
    /// The ring of servers with these URLs, as they are written: another spelling is another place.
    pub(super) fn new<'u>(urls: impl IntoIterator<Item = &'u str>) -> Self {
        let mut points: Vec<_> = urls
            .into_iter()
            .enumerate()
            .flat_map(|(server, url)| (0..POINTS).map(move |point| (hash(format!("{url}:{point}").as_bytes()), server)))
            .collect();
        points.sort_unstable();
        Self(points)
    }

    /// The number of the server of a made key: the owner of the last point that is not behind the key's, or of the last
    /// one of all.
    pub(super) fn server_of(&self, key: &[u8]) -> usize {
        let place = hash(tag(key));
        let behind = self.0.partition_point(|(point, _)| *point <= place); // bisect_right
        let owner = behind.checked_sub(1).map_or_else(|| self.0.last(), |before| self.0.get(before));
        owner.map_or(0, |(_, server)| *server)
    }
}

fn hash(text: &[u8]) -> Hash {
    Sha256::digest(text).into()
}

/// The part of a key that counts: what Python's `re.match(r".*\{(.*)\}.*", key)` finds between braces, else all of it.
/// The dots match everything but line feeds and the end is not looked at, so only the first line counts; they take as
/// much as they can, so it is the last brace that has a closing one behind it, up to the last closing one.
fn tag(key: &[u8]) -> &[u8] {
    let line = memchr::memchr(b'\n', key).and_then(|end| key.get(..end)).unwrap_or(key);
    let inside = memchr::memrchr(b'}', line).and_then(|end| {
        let before = line.get(..end)?;
        before.get(memchr::memrchr(b'{', before)? + 1..)
    });
    inside.unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(urls: &[&str], keys: impl Iterator<Item = String>) -> String {
        let ring = Ring::new(urls.iter().copied());
        keys.map(|key| char::from(b'a' + u8::try_from(ring.server_of(key.as_bytes())).unwrap())).collect()
    }

    #[test]
    fn keys_are_where_django_redis_puts_them() {
        let keys = || (0..20).map(|number| format!(":1:k{number}"));
        let urls = ["redis://a:1/0", "redis://b:1/0"];
        assert_eq!(owners(&urls, keys()), "bbabbbaaabaaaabaabbb"); // DR-50
        let turned = owners(&["redis://b:1/0", "redis://a:1/0"], keys());
        assert_eq!(turned, "aabaaabbbabbbbabbaaa"); // the order of the servers does not matter
    }

    #[test]
    fn before_the_first_point_comes_the_last() {
        let ring = Ring::new(["redis://a:1/0", "redis://b:1/0", "redis://c:1/0"]);
        let (first, last) = (ring.0.first().unwrap(), ring.0.last().unwrap());
        let wraps = (0..100_000)
            .map(|number| format!("key {number}"))
            .find(|key| hash(key.as_bytes()) < first.0)
            .expect("one of so many is before the first of 384 points");
        assert_eq!(ring.server_of(wraps.as_bytes()), last.1);
        assert_ne!(first.1, last.1, "or this shows nothing");
    }

    #[test]
    fn braces_say_what_counts() {
        for (key, counts) in [
            (":1:plain", ":1:plain"),
            (":1:{user}:name", "user"),
            ("{a}{b}", "b"),
            ("{a{b}c}d", "b}c"),
            ("x{}y", ""),
            ("}a{", "}a{"),
            ("}{a}", "a"),
            ("{a}}", "a}"),
            ("{a}\n{b}", "a"),
            ("a\n{b}", "a\n{b}"),
            ("{a\n}", "{a\n}"),
            ("{a\rb\u{2028}}", "a\rb\u{2028}"),
            ("\n", "\n"),
            ("", ""),
        ] {
            assert_eq!(tag(key.as_bytes()), counts.as_bytes(), "{key:?}");
        }
    }
}
