//! Makes names from outside fit for display: the display name of a model, and harmless text.
//!
//! Every name on a card passes [`neutralise`], every whole line [`visible`]. Both accept any text, and both are
//! idempotent.
//! Read next: [`crate::fit`], which makes lines short enough.

mod escape;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::source::Agent;

pub use escape::{escaped, one_line, shortened};

/// The longest grapheme cluster, in UTF-16 units. The longest emoji takes 15. A longer cluster is a pile of marks,
/// which would cover its neighbours and could not be cut.
const LONGEST_CLUSTER: usize = 32;

const ZERO_WIDTH_JOINER: char = '\u{200D}';
const EMOJI_STYLE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';
const SKIN_TONES: std::ops::RangeInclusive<char> = '\u{1F3FB}'..='\u{1F3FF}';

/// The display name of a model: `gpt-5.6-sol` is `GPT-5.6 Sol`, `claude-opus-4-5-20251101` is `Opus 4.5`.
///
/// Only the last part of a path is kept. Marks like `[1m]` and release dates are removed. A name of an unknown form
/// stays as it is. The result is neutralised, and empty if there is no name.
pub fn model_name(id: &str) -> String {
    let id = without_marks(last_part(id));
    let words: Vec<&str> = id.split(['-', '@']).filter(|word| !word.is_empty()).collect();
    let name = match undated(&words) {
        ["gpt", "oss", rest @ ..] => titled("GPT-OSS".to_owned(), rest),
        ["gpt", version, rest @ ..] => titled(format!("GPT-{}", title(version)), rest),
        ["codex", rest @ ..] => titled("Codex".to_owned(), rest),
        [series, rest @ ..] if series.strip_prefix('o').is_some_and(is_number) => {
            titled((*series).to_owned(), rest)
        }
        ["claude", rest @ ..] => claude_name(rest).unwrap_or_else(|| id.to_owned()),
        _ => id.to_owned(),
    };
    neutralise(&name)
}

/// The text after the last slash of either kind: names never contain a path.
pub fn last_part(path: &str) -> &str {
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The name of a project: its folder's name. A worktree that an agent made has a generated name, so its repository's
/// name is used.
pub fn project(folder: &str) -> Option<&str> {
    let mut names = folder.split(['/', '\\']).filter(|name| !name.is_empty()).rev();
    let name = names.next()?;
    let repository = |worktrees: &str| {
        let mut names = names.clone();
        let is_within =
            worktrees.rsplit('/').filter(|name| !name.is_empty()).all(|name| names.next() == Some(name));
        names.next().filter(|_| is_within)
    };
    Agent::ALL.into_iter().filter_map(|agent| agent.spec().worktrees).find_map(repository).or(Some(name))
}

fn without_marks(id: &str) -> &str {
    let mut id = id.trim();
    while let Some((name, _)) = id.strip_suffix(']').and_then(|open| open.rsplit_once('[')) {
        id = name.trim_end();
    }
    id
}

/// The words without the release date at their end: `20251101` or `2025-11-01`.
fn undated<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    let digits = |word: &str, count: usize| word.len() == count && is_number(word) && !word.contains('.');
    match words {
        [rest @ .., year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => rest,
        [rest @ .., date] if digits(date, 8) => rest,
        all => all,
    }
}

/// The name for family and version in either order: `opus-4-5` and `3-5-haiku`.
fn claude_name(words: &[&str]) -> Option<String> {
    let (version, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_number(word));
    match names.as_slice() {
        [family, rest @ ..] if !version.is_empty() => {
            Some(titled(format!("{} {}", title(family), version.join(".")), rest))
        }
        _ => None,
    }
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
        && word.chars().all(|character| character.is_ascii_digit() || character == '.')
}

fn titled(start: String, words: &[&str]) -> String {
    words.iter().fold(start, |name, word| name + " " + &title(word))
}

/// `sol` is `Sol`, `120b` is `120B`.
fn title(word: &str) -> String {
    if word.strip_suffix(['b', 'm']).is_some_and(is_number) {
        return word.to_uppercase();
    }
    capitalised(word)
}

/// `a, b and c`, with the word `last` before the last item.
pub fn listed(words: &[impl AsRef<str>], last: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((only, [])) => (*only).to_owned(),
        Some((word, others)) => format!("{} {last} {word}", others.join(", ")),
        None => String::new(),
    }
}

/// The text with a capital first letter.
pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// A name from outside, made harmless: [`visible`], and without mentions or links.
///
/// Text that Discord or a client could take for a mention or a link stays readable, but one of its characters is
/// replaced by a look-alike:
///
/// | in a name | becomes | prevents |
/// | --- | --- | --- |
/// | `@` | `＠` | `@everyone`, `@name`, mail address |
/// | `<`, `>` | `‹`, `›` | `<@1>`, `<#1>`, `<:emoji:1>`, `<t:1>`, `<https://…>` |
/// | `](` | `]（` | `[text](target)` |
/// | `://` | `：//` | `https://…` and every other scheme |
/// | dots of `host.name/…` and `www.…` | `․` | `discord.gg/…`, `www.example.com` |
///
/// Other dots stay (`main.rs`, `release/1.2`). Emphasis marks stay too, because file names contain them
/// (`__init__.py`) and cards do not render them.
pub fn neutralise(name: &str) -> String {
    settle(name, |text| defuse(&cleaned(text)))
}

/// The text without invisible characters: control characters, bidirectional controls, zero-width and others. White
/// space and line breaks become single spaces, with none at either end.
///
/// Emoji keep the joiners and style selectors inside them; these are removed everywhere else.
pub fn visible(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    settle(text, cleaned)
}

/// Repeats `change` until it changes nothing, because a removal may join parts that have to be removed, too.
///
/// It ends because each change leaves fewer characters, or as many with fewer that must change.
fn settle(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut text = change(text);
    loop {
        let next = change(&text);
        if next == text {
            return text;
        }
        text = next;
    }
}

fn cleaned(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if is_blank(character) {
            if !clean.is_empty() && !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else if !is_invisible(character) || is_inside_emoji(&clean, character, characters.peek()) {
            clean.push(character);
        }
    }
    clean
        .trim_end()
        .graphemes(true)
        .map(|cluster| match cluster.encode_utf16().count() {
            ..=LONGEST_CLUSTER => cluster,
            _ => cluster.get(..cluster.chars().next().map_or(0, char::len_utf8)).unwrap_or_default(),
        })
        .collect()
}

/// Whether nothing has to be cleaned. A quick check, because most texts are plain.
fn is_plain(text: &str) -> bool {
    let mut before = ' ';
    for character in text.chars() {
        let is_plain = matches!(character, ' '..='~' | '·' | '–' | '…');
        if !is_plain || character == ' ' && before == ' ' {
            return false;
        }
        before = character;
    }
    before != ' '
}

/// White space, line and paragraph breaks, and the letter that is blank by design.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{2800}'
}

/// Characters that show nothing: Unicode's controls, noncharacters and default ignorables, and format characters
/// without a glyph. (`facts`: UCD DerivedCoreProperties, DerivedGeneralCategory.)
fn is_invisible(character: char) -> bool {
    let code = u32::from(character);
    character.is_control()
        || code & 0xFFFE == 0xFFFE
        || matches!(code,
            0x00AD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFDD0..=0xFDEF
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x13430..=0x1343F
            | 0x1BCA0..=0x1BCA3 | 0x1D159 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// Whether an invisible `character` after `before` is part of an emoji: a joiner between two pictographs, or
/// the style selector after one or in a keycap.
fn is_inside_emoji(before: &str, character: char, after: Option<&char>) -> bool {
    match character {
        ZERO_WIDTH_JOINER => {
            let mut back = before.chars().rev();
            let base = back.find(|before| *before != EMOJI_STYLE && !SKIN_TONES.contains(before));
            base.is_some_and(is_pictograph) && after.copied().is_some_and(is_pictograph)
        }
        EMOJI_STYLE => before.chars().next_back().is_some_and(|base| {
            is_pictograph(base) || (matches!(base, '0'..='9' | '#' | '*') && after == Some(&KEYCAP))
        }),
        _ => false,
    }
}

/// Unicode's `Extended_Pictographic`, tested by its effect: only such a character forms one cluster with a heart.
fn is_pictograph(character: char) -> bool {
    !character.is_ascii()
        && [character, ZERO_WIDTH_JOINER, '❤'].iter().collect::<String>().graphemes(true).count() == 1
}

/// Applies the table of [`neutralise`].
fn defuse(text: &str) -> String {
    let text = text
        .replace('@', "＠")
        .replace('<', "‹")
        .replace('>', "›")
        .replace("](", "]（")
        .replace("://", "：//");
    text.split_inclusive(|character| !is_host_character(character))
        .map(|piece| if starts_link(piece) { piece.replace('.', "․") } else { piece.to_owned() })
        .collect()
}

fn is_host_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// Whether `piece`, host characters and the character after them, would be taken for a link without a scheme.
fn starts_link(piece: &str) -> bool {
    let before_path = piece.strip_suffix('/').map(|host| host.trim_end_matches('.'));
    let named = before_path.and_then(|host| host.rsplit_once('.')).is_some_and(|(_, last)| {
        (last.chars().count() >= 2 && last.chars().all(char::is_alphabetic)) || last.starts_with("xn--")
    });
    named || piece.to_ascii_lowercase().contains("www.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_of_a_claude_code_worktree_is_its_repository() {
        for (folder, name) in [
            ("/home/u/app", Some("app")),
            ("/home/u/app/", Some("app")),
            ("/home/u/app/.claude/worktrees/brave-fox", Some("app")),
            ("/home/u/app/.claude/worktrees/brave-fox/", Some("app")),
            ("/home/u/app/.claude/worktrees/brave-fox/docs", Some("docs")),
            (r"C:\Users\u\app\.claude\worktrees\brave-fox", Some("app")),
            ("/home/u/app/worktrees/brave-fox", Some("brave-fox")),
            ("/home/u/app/.claude/worktrees", Some("worktrees")),
            ("/.claude/worktrees/brave-fox", Some("brave-fox")),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(project(folder), name, "{folder}");
        }
    }

    #[test]
    fn model_names_are_those_people_use() {
        for (id, expected) in [
            ("gpt-5.6-sol", "GPT-5.6 Sol"),
            ("gpt-5", "GPT-5"),
            ("gpt-5.3-codex", "GPT-5.3 Codex"),
            ("gpt-5-codex-mini", "GPT-5 Codex Mini"),
            ("gpt-4o", "GPT-4o"),
            ("gpt-4.1-mini-2025-04-14", "GPT-4.1 Mini"),
            ("gpt-oss-120b", "GPT-OSS 120B"),
            ("openai/gpt-oss-20b", "GPT-OSS 20B"),
            ("o3", "o3"),
            ("o4-mini", "o4 Mini"),
            ("opus", "opus"),
            ("codex-mini-latest", "Codex Mini Latest"),
            ("claude-opus-4-5-20251101", "Opus 4.5"),
            ("claude-opus-4-5@20251101", "Opus 4.5"),
            ("claude-opus-5[1m]", "Opus 5"),
            ("claude-opus-5", "Opus 5"),
            ("claude-sonnet-4-20250514", "Sonnet 4"),
            ("claude-3-5-haiku-20241022", "Haiku 3.5"),
            ("claude-3-7-sonnet-latest", "Sonnet 3.7 Latest"),
            ("claude-fable-5-1", "Fable 5.1"),
            ("claude", "claude"),
            ("claude-2", "claude-2"),
            ("qwen3-coder:30b", "qwen3-coder:30b"),
            ("/home/u/models/llama-4.gguf", "llama-4.gguf"),
            (r"C:\models\llama-4.gguf", "llama-4.gguf"),
            ("models/llama/", "llama"),
            ("My Model", "My Model"),
            ("", ""),
            ("///", ""),
            ("[1m]", ""),
            ("a\u{202E}b\n", "ab"),
        ] {
            assert_eq!(model_name(id), expected, "{id}");
        }
    }

    #[test]
    fn invisible_characters_are_removed() {
        for (text, expected) in [
            ("  a \t\r\n b\u{2028}c\u{2029}d\u{A0}e\u{3000} ", "a b c d e"),
            ("a\u{0}b\u{1B}[31mc\u{7F}\u{85}d", "ab[31mc d"),
            ("\u{202E}evil\u{202C}\u{2066}x\u{2069}\u{200F}", "evilx"),
            ("z\u{200B}w\u{200C}n\u{FEFF}j\u{AD}k\u{2060}", "zwnjk"),
            ("tag\u{E0041}\u{E0042}", "tag"),
            ("\u{3164}\u{2800}\u{115F}", ""),
            ("a\u{FFFE}\u{10FFFF}b", "ab"),
            ("a\u{200D}b", "ab"),
            ("क\u{94D}\u{200D}ष", "क\u{94D}ष"),
            ("plain name", "plain name"),
            ("", ""),
        ] {
            assert_eq!(visible(text), expected, "{text:?}");
        }
    }

    #[test]
    fn emoji_stay_whole() {
        for text in ["👨‍👩‍👧‍👦 family", "👩🏽‍❤️‍💋‍👨🏽", "❤️", "1️⃣", "🏳️‍🌈", "🇩🇪🇫🇷", "👍🏿"]
        {
            assert_eq!(visible(text), text);
        }
        assert_eq!(visible("👩\u{200D}\u{200D}👩"), "👩\u{200D}👩");
        assert_eq!(visible("👩\u{200D}"), "👩");
        assert_eq!(visible("\u{200D}👩"), "👩");
        assert_eq!(visible("a\u{FE0F}1\u{FE0F}"), "a1");
    }

    #[test]
    fn piles_of_marks_are_removed() {
        let pile = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(visible(&pile), "ab");
        assert_eq!(visible("e\u{301}"), "e\u{301}");
        assert_eq!(visible(&"👩\u{200D}".repeat(100)), "👩");
    }

    #[test]
    fn nothing_pings_or_links() {
        for (name, expected) in [
            ("@everyone", "＠everyone"),
            ("me@example.com", "me＠example.com"),
            ("<@123>", "‹＠123›"),
            ("<#1> <:emoji:1>", "‹#1› ‹:emoji:1›"),
            ("[x](y)", "[x]（y)"),
            ("https://example.com/a.b", "https：//example․com/a.b"),
            ("h\u{200B}ttps:/\u{200B}/evil", "https：//evil"),
            ("discord.gg/abc", "discord․gg/abc"),
            ("join discord.gg./abc", "join discord․gg․/abc"),
            ("WWW.example.com", "WWW․example․com"),
            ("пример.рф/x", "пример․рф/x"),
            ("main.rs", "main.rs"),
            ("__init__.py", "__init__.py"),
            ("release/1.2/x", "release/1.2/x"),
            ("feature/v1.2/x", "feature/v1.2/x"),
            ("[slug].tsx", "[slug].tsx"),
            ("a ](b", "a ]（b"),
        ] {
            assert_eq!(neutralise(name), expected, "{name:?}");
            assert_eq!(neutralise(expected), expected, "{name:?}");
        }
    }
}
