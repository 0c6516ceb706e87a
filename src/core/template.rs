//! Card templates: `{activity} · {model}`.
//!
//! A template has words and the text between them; it does not know the words' values.
//! Read next: [`crate::values`], which gives each word its value.

use serde::{Deserialize, Serialize};

use crate::names::visible;
use crate::nearest::nearest;

/// A word that a template may use, in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `{agent}`: the agent's name.
    Agent,
    /// `{activity}`: what the agent is doing.
    Activity,
    /// `{project}`: the folder's name.
    Project,
    /// `{branch}`: the git branch.
    Branch,
    /// `{file}`: the current file.
    File,
    /// `{model}`: the model's name.
    Model,
    /// `{effort}`: the reasoning effort.
    Effort,
    /// `{tokens}`: the triplet.
    Tokens,
    /// `{limits}`: what remains of the rate limits.
    Limits,
    /// `{context}`: what remains of the context window.
    Context,
    /// `{pace}`: whether the limits last until their resets.
    Pace,
    /// `{home}`: the name that the user gave to the agent's home.
    Home,
}

impl Word {
    /// Every word, in the order of the help text.
    pub const ALL: [Self; 12] = [
        Self::Agent,
        Self::Activity,
        Self::Project,
        Self::Branch,
        Self::File,
        Self::Model,
        Self::Effort,
        Self::Tokens,
        Self::Limits,
        Self::Context,
        Self::Pace,
        Self::Home,
    ];

    /// The word as written between the braces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Activity => "activity",
            Self::Project => "project",
            Self::Branch => "branch",
            Self::File => "file",
            Self::Model => "model",
            Self::Effort => "effort",
            Self::Tokens => "tokens",
            Self::Limits => "limits",
            Self::Context => "context",
            Self::Pace => "pace",
            Self::Home => "home",
        }
    }
}

/// A parsed card line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    slots: Vec<Slot>,
    /// The text after the last word; the whole text if there is no word.
    tail: String,
}

/// A word and the text that is shown or dropped with it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    /// Shown if there is text to the left; the template's very first text always.
    before: String,
    /// The opening and closing bracket directly around the word.
    brackets: Option<(char, char)>,
    word: Word,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

impl Template {
    /// `{activity} · {model}`
    pub fn default_details() -> Self {
        Self::pair(Word::Activity, Word::Model)
    }

    /// `{limits} · {tokens}`
    pub fn default_state() -> Self {
        Self::pair(Word::Limits, Word::Tokens)
    }

    /// `{limits} · {activity}`
    pub fn default_bar() -> Self {
        Self::pair(Word::Limits, Word::Activity)
    }

    fn pair(first: Word, second: Word) -> Self {
        let slot = |before: &str, word| Slot { before: before.to_owned(), brackets: None, word };
        Self {
            source: format!("{{{}}} · {{{}}}", first.word(), second.word()),
            slots: vec![slot("", first), slot(" · ", second)],
            tail: String::new(),
        }
    }

    /// The words that it uses.
    pub fn words(&self) -> impl Iterator<Item = Word> {
        self.slots.iter().map(|slot| slot.word)
    }

    /// Parses a template: text, words in braces, and `{{` and `}}` for braces themselves.
    ///
    /// # Errors
    /// An unknown word or a single brace, as one line for the user.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut slots = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, brace, after)) = next_brace(rest) {
            text.push_str(before);
            rest = if let Some(after) = after.strip_prefix(brace) {
                text.push(brace);
                after
            } else if brace == '}' {
                return Err("`}` without a `{` before it (write `}}` for the brace itself)".to_owned());
            } else {
                let Some((name, after)) = after.split_once('}') else {
                    return Err("`{` without a `}` after it (write `{{` for the brace itself)".to_owned());
                };
                slots.push(Slot { before: std::mem::take(&mut text), brackets: None, word: known(name)? });
                after
            };
        }
        text.push_str(rest);
        let mut template = Self { source: source.to_owned(), slots, tail: text };
        template.bind_brackets();
        Ok(template)
    }

    /// Makes the brackets of ` ({model}) ` part of the word, so that they are shown or dropped together.
    fn bind_brackets(&mut self) {
        let mut after = &mut self.tail;
        for slot in self.slots.iter_mut().rev() {
            let pair = slot.before.chars().next_back().zip(after.chars().next());
            if let Some(pair @ (_, close)) = pair.filter(|pair| BRACKETS.contains(pair)) {
                slot.before.pop();
                after.drain(..close.len_utf8());
                slot.brackets = Some(pair);
            }
            after = &mut slot.before;
        }
    }

    /// The template as the user wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template uses `word`.
    pub fn uses(&self, word: Word) -> bool {
        self.slots.iter().any(|slot| slot.word == word)
    }

    /// The line with each word replaced by its value.
    ///
    /// A word without a value drops the text between it and the word on its left; if there is none, the text on its
    /// right. So the text between two words is shown only between two values. Text before the first word belongs to
    /// that word, text after the last word to the last, and brackets directly around a word to that word. The text of
    /// a template without words is always shown.
    pub fn render(&self, value: impl Fn(Word) -> Option<String>) -> String {
        let mut line = String::new();
        let mut something = false;
        let mut complete = self.slots.is_empty();
        for (index, slot) in self.slots.iter().enumerate() {
            let value = value(slot.word);
            complete = value.is_some();
            let Some(value) = value else { continue };
            if something || index == 0 {
                line.push_str(&slot.before);
            }
            line.extend(slot.brackets.map(|(open, _)| open));
            line.push_str(&value);
            line.extend(slot.brackets.map(|(_, close)| close));
            something = true;
        }
        if complete {
            line.push_str(&self.tail);
        }
        line
    }
}

const BRACKETS: [(char, char); 5] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»')];

/// The text before the next brace, the brace, and the text after it.
fn next_brace(text: &str) -> Option<(&str, char, &str)> {
    let (before, found) = text.split_at_checked(text.find(['{', '}'])?)?;
    let mut characters = found.chars();
    Some((before, characters.next()?, characters.as_str()))
}

fn known(name: &str) -> Result<Word, String> {
    Word::ALL.into_iter().find(|word| word.word() == name).ok_or_else(|| {
        let words = Word::ALL.map(Word::word);
        let name = visible(name);
        match nearest(&name, &words) {
            Some(near) => format!("unknown word `{{{name}}}`, the nearest is `{{{near}}}`"),
            None => format!(
                "unknown word `{{{name}}}`, known are {}",
                words.map(|word| format!("`{{{word}}}`")).join(" ")
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word has its first letter in upper case as its value, except those in `absent`.
    fn check(source: &str, absent: &[Word], expected: &str) {
        let template = Template::parse(source).unwrap();
        assert_eq!(template.source(), source);
        let line = template.render(|word| {
            (!absent.contains(&word)).then(|| word.word().chars().take(1).collect::<String>().to_uppercase())
        });
        assert_eq!(line, expected, "{source} without {absent:?}");
    }

    #[test]
    fn defaults_are_what_their_source_says() {
        for template in [Template::default_details(), Template::default_state(), Template::default_bar()] {
            assert_eq!(Template::parse(template.source()).as_ref(), Ok(&template));
        }
    }

    #[test]
    fn an_absent_value_takes_the_separator_on_its_left() {
        use Word::{Activity, Model, Project};
        let source = "{activity} · {model} | {project}";
        check(source, &[], "A · M | P");
        check(source, &[Model], "A | P");
        check(source, &[Project], "A · M");
        check(source, &[Activity], "M | P");
        check(source, &[Activity, Model], "P");
        check(source, &[Model, Project], "A");
        check(source, &[Activity, Model, Project], "");
    }

    #[test]
    fn text_at_the_ends_belongs_to_the_outer_words() {
        use Word::{Activity, Model};
        check("Now {activity} with {model}!", &[], "Now A with M!");
        check("Now {activity} with {model}!", &[Activity], "M!");
        check("Now {activity} with {model}!", &[Model], "Now A");
        check("Now {activity} with {model}!", &[Activity, Model], "");
        check("just text", &[], "just text");
        check("", &[], "");
        check("{activity}{model}", &[], "AM");
    }

    #[test]
    fn brackets_go_with_their_word() {
        use Word::{Activity, Limits, Model};
        check("{activity} ({model}) · {limits}", &[], "A (M) · L");
        check("{activity} ({model}) · {limits}", &[Model], "A · L");
        check("{activity} ({model}) · {limits}", &[Activity], "(M) · L");
        check("{activity} ({model}) · {limits}", &[Limits], "A (M)");
        check("[{model}]", &[], "[M]");
        check("[{model}] ({limits})", &[Model], "(L)");
    }

    #[test]
    fn doubled_braces_are_braces() {
        check("{{{activity}}}", &[], "{A}");
        check("{{x}} {{", &[], "{x} {");
    }

    #[test]
    fn template_mistakes_are_named() {
        for (source, expected) in [
            ("{projct}", "unknown word `{projct}`, the nearest is `{project}`"),
            ("{Model}", "unknown word `{Model}`, the nearest is `{model}`"),
            (
                "{a\nb}",
                "unknown word `{a b}`, known are `{agent}` `{activity}` `{project}` `{branch}` `{file}` `{model}` `{effort}` `{tokens}` `{limits}` `{context}` `{pace}` `{home}`",
            ),
            ("{model", "`{` without a `}` after it (write `{{` for the brace itself)"),
            ("model}", "`}` without a `{` before it (write `}}` for the brace itself)"),
        ] {
            assert_eq!(Template::parse(source).unwrap_err(), expected);
        }
    }
}
