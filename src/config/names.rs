//! Which known name somebody may have meant.

use std::fmt;

/// Longer names are not compared.
const LONGEST: usize = 200;

/// The known name that is nearest to `name`, if one is near: a third of the shorter name's characters, and one at
/// fewest, may be missing, wrong, too many or swapped. Letter case counts for nothing.
///
/// ```
/// # use larder::config::nearest;
/// assert_eq!(nearest("defualt", ["default", "scratch"]), Some("default"));
/// assert_eq!(nearest("sessions", ["default", "scratch"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = letters(name)?;
    let mut best = None;
    for candidate in known {
        let Some(wanted) = letters(candidate) else { continue };
        let near = (given.len().min(wanted.len()) / 3).max(1);
        let far = distance(&given, &wanted);
        if far <= near && best.is_none_or(|(fewest, _)| far < fewest) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The path of a class that is spelt nearly so, or has the same class name.
pub(super) fn nearest_class<'a>(path: &str, known: &[&'a str]) -> Option<&'a str> {
    let class_of = |path: &str| path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let class = class_of(path);
    let mut same = known.iter().copied().filter(|known| class_of(known) == class);
    match (same.next(), same.next()) {
        (Some(only), None) => Some(only),
        (first, _) => nearest(path, known.iter().copied()).or(first),
    }
}

/// Shows `; did you mean …?`, or nothing. It is looked for only when it is shown.
pub(super) fn did_you_mean<'a>(name: &'a str, known: &'a [&'a str]) -> DidYouMean<'a> {
    DidYouMean { name, known }
}

/// See [`did_you_mean`].
pub(super) struct DidYouMean<'a> {
    name: &'a str,
    known: &'a [&'a str],
}

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nearest(self.name, self.known.iter().copied()) {
            Some(found) => write!(f, "; did you mean {found}?"),
            None => Ok(()),
        }
    }
}

fn letters(name: &str) -> Option<Vec<char>> {
    (!name.is_empty() && name.len() <= LONGEST).then(|| name.chars().flat_map(char::to_lowercase).collect())
}

/// How many insertions, deletions, replacements and swaps of neighbours make one text of the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, &left) in from.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        let mut previous_right = None;
        for (column, &right) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut fewest = (at(&last, column) + usize::from(left != right))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            if previous == Some(right) && previous_right == Some(left) && column > 0 {
                fewest = fewest.min(at(&before_last, column - 1) + 1);
            }
            current.push(fewest);
            previous_right = Some(right);
        }
        previous = Some(left);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_changes() {
        let between =
            |from: &str, to: &str| distance(&from.chars().collect::<Vec<_>>(), &to.chars().collect::<Vec<_>>());
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("abc", ""), 3);
        assert_eq!(between("kitten", "sitting"), 3);
        assert_eq!(between("ab", "ba"), 1);
        assert_eq!(between("scratch", "scrathc"), 1);
        assert_eq!(between("same", "same"), 0);
    }

    #[test]
    fn only_near_names_are_offered() {
        let known = ["TIMEOUT_MS", "MAX_VALUE_BYTES", "MAX_VALUE_NODES"];
        assert_eq!(nearest("timeout_ms", known), Some("TIMEOUT_MS"));
        assert_eq!(nearest("MAX_VALUE_NODE", known), Some("MAX_VALUE_NODES"));
        assert_eq!(nearest("BREAKER", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"T".repeat(1000), known), None);
    }
}
