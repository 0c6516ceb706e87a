//! What somebody may have meant by a word that is not known.

/// Longer words are not typing mistakes, and comparing them would take time for nothing.
const LONGEST: usize = 64;

/// The candidate that `word` most likely stands for; `None` when none is near. Of equally near ones the first.
///
/// Nearness is the number of letters to insert, delete, replace or swap with their neighbour, case aside:
/// at most one in three of the word's letters, and two in a short word.
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
        // A word that shares no letter with a short candidate is within two changes of it all the same.
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
