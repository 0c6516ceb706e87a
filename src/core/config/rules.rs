//! `[[privacy.rule]]`: exceptions per folder.
//!
//! A rule that is not understood may be meant to hide, so nothing is shown until it is corrected. If only its `show`
//! is not understood, the rule hides.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::tables::Tables;
use super::value;
use super::{Complaint, ConfigContext, DocumentReader};
use crate::names::last_part;
use crate::nearest::nearest;
use crate::remote::far;
use crate::settings::{PrivacyRule, Show};

const RULES: Tables = Tables {
    key: "privacy.rule",
    word: "rule",
    example: "a rule is path = \"~/clients\" and show = \"hide\"",
    without: |name| format!("{}: add its `{name}`", RULES.example),
    withholds: true,
};

/// The values of `show`, most private first.
pub(super) const SHOW: [(&str, Show); 3] =
    [("hide", Show::Hide), ("generic", Show::Generic), ("full", Show::Full)];

impl DocumentReader<'_> {
    pub(super) fn rules(&mut self, given: &Spanned<DeValue<'_>>) {
        self.each_table(&RULES, given, Self::rule);
    }

    fn rule(&mut self, at: usize, rule: &DeTable<'_>) {
        for (name, _) in rule {
            if !matches!(name.get_ref().as_ref(), "path" | "show") {
                let hint = match nearest(name.get_ref(), &["path", "show"]) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "a rule has `path` and `show`".to_owned(),
                };
                let key = format!("{}.{}", RULES.key, value::shortened(name.get_ref()));
                self.unknown(name.span().start, &key, Some(hint), true);
            }
        }
        let show = self.part(&RULES, (at, rule), "show", |given| given.one_of(&SHOW));
        let context = self.context;
        let path = self.part(&RULES, (at, rule), "path", |given| {
            pattern(given.text("a path such as \"~/clients/**\"")?, context)
        });
        if let Some(path) = path {
            let line = self.place(at).0;
            self.effective.rule_lines.push(line);
            self.effective
                .settings
                .privacy
                .rules
                .push(PrivacyRule { path, show: show.unwrap_or(Show::Hide) });
        }
    }
}

/// The beginnings of groups of alternatives in other programs' globs.
const GROUPS: [&str; 5] = ["!(", "?(", "*(", "+(", "@("];

/// Invisible characters that get into a path by copying from a window or a web page. Other invisible characters are
/// part of names in some scripts.
fn is_pasted_unseen(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a second path follows a separator.
fn is_list(path: &str) -> bool {
    path.match_indices([',', ';', ':']).any(|(at, sign)| {
        let (before, after) = (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default());
        let is_drive = sign == ":" && last_part(before).len() == 1;
        !is_drive && after.trim_start().starts_with(['/', '~', '\\'])
    })
}

/// A pattern with the meaning that its author expects: globs that only other programs support are refused.
fn pattern(path: &str, context: &ConfigContext) -> Result<String, Complaint> {
    // The path is not repeated, because this message is also logged.
    let refuse = |what: &str| Complaint::new(what);
    // A `\\ ` that escapes a blank for a shell looks like a blank at the beginning of a name, because `\\` separates
    // names.
    if path.is_empty() || path.split(['/', '\\']).any(|name| name.trim() != name) {
        return Err(refuse("expected a path without blanks around its names").with_hint(
            "remove the blanks, and a `\\` before one; `?` stands for a blank at the end of a name",
        ));
    }
    if path.chars().any(|character| character.is_control() || is_pasted_unseen(character)) {
        return Err(refuse("an invisible character in the path")
            .with_hint("type the path again, or write `?` for the character"));
    }
    let (name, path) = far::parts(path);
    if let Some(name) = name {
        // The values of `~` and variables on the remote are not known here.
        if !(path.starts_with(['/', '\\']) || path.starts_with("**") || far::is_drive(path)) {
            return Err(refuse("expected an absolute path on the remote")
                .with_hint("after the remote's name, begin it with `/` or `**`"));
        }
        check(path, path, &refuse)?;
        return Ok(far::named(name, path).to_string());
    }
    let spelled = value::with_variables(path, context)?;
    check(path, &spelled, &refuse)?;
    let path = spelled;
    if path.starts_with("**") {
        return Ok(path);
    }
    value::expand(&path, context).map_err(|complaint| match path.starts_with('~') {
        true => complaint,
        false => refuse("expected an absolute path").with_hint("begin it with `/`, `~/` or `**/`"),
    })
}

/// Checks that `path`, with its variables replaced in `spelled`, has the meaning here that it shows.
fn check(path: &str, spelled: &str, refuse: &impl Fn(&str) -> Complaint) -> Result<(), Complaint> {
    if spelled.contains(['[', ']', '{', '}', '|']) || GROUPS.iter().any(|group| spelled.contains(group)) {
        return Err(refuse("`[…]`, `{…}`, `!(…)` and `|` are not supported")
            .with_hint("write one rule for each path, and `?` for such a character in a name"));
    }
    if is_list(spelled) {
        return Err(refuse("expected one path, found several").with_hint("write one rule for each path"));
    }
    if path.contains("***") {
        return Err(refuse("`***` is not supported")
            .with_hint("`*` stands for anything within a name, `**` for anything across folders"));
    }
    let mut names = path.split(['/', '\\']).skip_while(|name| !name.contains(['*', '?']));
    if names.any(|name| name == "..") {
        return Err(refuse("`..` after a wildcard").with_hint("write the path without `..`"));
    }
    Ok(())
}
