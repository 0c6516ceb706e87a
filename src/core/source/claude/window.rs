//! The size of a model's context window, by its name (Claude Code's documentation of models, August 2026).

const USUAL: u64 = 200_000;
const LARGE: u64 = 1_000_000;

/// The window of `model` in tokens; `None` if it depends on the account. `most` is the largest context so far: if it
/// exceeds the usual window, the window is large, which the model's name in a transcript never shows.
pub(super) fn of(model: &str, message_id: &str, most: u64) -> Option<u64> {
    if most > USUAL || model.ends_with("[1m]") {
        return Some(LARGE);
    }
    let (_, name) = model.rsplit_once("claude-")?;
    let words: Vec<&str> = name.split(['-', '@', ':']).collect();
    let family = words.iter().find(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))?;
    // The release date is a number as well, with eight digits.
    let mut numbers = words.iter().filter(|word| word.len() < 3).filter_map(|word| word.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next().unwrap_or(0));
    let elsewhere = ["msg_bdrk_", "msg_vrtx_"].iter().any(|prefix| message_id.starts_with(prefix));
    match *family {
        "opus" | "sonnet" | "haiku" if version <= (4, 5) => Some(USUAL),
        // Large for some accounts and usual for others.
        "opus" | "sonnet" if version == (4, 6) => None,
        "opus" if elsewhere => Some(USUAL),
        "opus" | "sonnet" | "fable" if !elsewhere => Some(LARGE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_windows_follow_from_model_names() {
        for (model, id, most, expected) in [
            ("claude-opus-5", "msg_1", 0, Some(LARGE)),
            ("claude-opus-5-5", "msg_1", 0, Some(LARGE)),
            ("claude-opus-4-7", "msg_1", 0, Some(LARGE)),
            ("claude-opus-4-6", "msg_1", 0, None),
            ("claude-opus-4-6", "msg_1", 200_001, Some(LARGE)),
            ("claude-opus-4-5-20251101", "msg_1", 0, Some(USUAL)),
            ("claude-opus-4-20250514", "msg_1", 0, Some(USUAL)),
            ("claude-sonnet-5", "msg_1", 0, Some(LARGE)),
            ("claude-sonnet-4-6", "msg_1", 0, None),
            ("claude-haiku-4-5-20251001", "msg_1", 0, Some(USUAL)),
            ("claude-3-5-sonnet-20241022", "msg_1", 0, Some(USUAL)),
            ("claude-fable-5-1", "msg_1", 0, Some(LARGE)),
            ("claude-opus-5", "msg_bdrk_1", 0, Some(USUAL)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "msg_bdrk_1", 0, Some(USUAL)),
            ("claude-opus-5[1m]", "msg_vrtx_1", 0, Some(LARGE)),
            ("claude-haiku-6", "msg_1", 0, None),
            ("gpt-5", "msg_1", 0, None),
            ("claude-", "", 0, None),
        ] {
            assert_eq!(of(model, id, most), expected, "{model} {id} {most}");
        }
    }
}
