//! Suggestions for an unknown word.

/// Longer words are not typing mistakes, and comparing them would waste time.
const LONGEST: usize = 64;

/// The candidate nearest to `word`; `None` if none is near. Of equally near ones the first.
///
/// The distance is the number of letters to insert, delete, replace or swap with their neighbour, ignoring case. It
/// may be at most a third of the word's letters, or two in a short word.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let letters = word.chars().count();
    if letters == 0 || letters > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (letters / 3).max(2);
    candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), *candidate))
        // A word without a common letter is still within two changes of a short candidate.
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found() {
        let words = ["agent", "activity", "project", "tokens", "file"];
        assert_eq!(nearest("projct", &words), Some("project"));
        assert_eq!(nearest("token", &words), Some("tokens"));
        assert_eq!(nearest("FIEL", &words), Some("file"));
        assert_eq!(nearest("agnet", &["agentic", "agent"]), Some("agent"));
        assert_eq!(nearest("weather", &words), None);
        assert_eq!(nearest("", &words), None);
        assert_eq!(nearest("ab", &["xy"]), None);
        assert_eq!(nearest(&"x".repeat(10_000), &words), None);
    }
}
