//! What somebody may have meant by a word that is not known.

/// Longer words are not typing mistakes, and comparing them would take time for nothing.
const LONGEST: usize = 64;

/// The candidate that `word` most likely stands for; `None` when none is near. Of equally near ones the first.
///
/// Nearness is the number of letters to insert, delete, replace or swap with their neighbour, case aside:
/// at most one in three of the word's letters, and two in a short word.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let letters = lowercase(word);
    if letters.is_empty() || letters.len() > LONGEST {
        return None;
    }
    let allowed = (letters.len() / 3).max(2);
    candidates
        .iter()
        .map(|candidate| (distance(&letters, &lowercase(candidate)), *candidate))
        // A word that shares no letter with a short candidate is within two changes of it all the same.
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn lowercase(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment: Levenshtein's distance with swaps of neighbours, row by row.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, letter) in from.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        let mut left = row + 1;
        current.push(left);
        for (column, wanted) in to.iter().enumerate() {
            let above = at(&last, column + 1);
            let diagonal = at(&last, column);
            let mut best = (above.min(left) + 1).min(diagonal + usize::from(letter != wanted));
            let wanted_before = column.checked_sub(1).and_then(|column| to.get(column));
            if previous == Some(wanted) && wanted_before == Some(letter) {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
            left = best;
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(from.len())
}

fn at(row: &[usize], column: usize) -> usize {
    row.get(column).copied().unwrap_or(usize::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: &str, to: &str) -> usize {
        distance(&lowercase(from), &lowercase(to))
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(between("", ""), 0);
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("abc", ""), 3);
        assert_eq!(between("model", "model"), 0);
        assert_eq!(between("model", "modle"), 1);
        assert_eq!(between("ca", "ac"), 1);
        assert_eq!(between("kitten", "sitting"), 3);
        assert_eq!(between("Tokens", "tokens"), 0);
    }

    #[test]
    fn the_nearest_word_is_found() {
        let words = ["agent", "activity", "project", "tokens", "file"];
        assert_eq!(nearest("projct", &words), Some("project"));
        assert_eq!(nearest("token", &words), Some("tokens"));
        assert_eq!(nearest("FIEL", &words), Some("file"));
        assert_eq!(nearest("weather", &words), None);
        assert_eq!(nearest("", &words), None);
        assert_eq!(nearest("ab", &["xy"]), None);
        assert_eq!(nearest(&"x".repeat(10_000), &words), None);
    }
}
