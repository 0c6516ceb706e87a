//! `[[privacy.rule]]`: exceptions per folder.
//!
//! A rule that is only half understood still protects: when its `show` cannot be read, it hides.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::value::{self, Given};
use super::{Complaint, Reading, Severity};
use crate::core::nearest::nearest;
use crate::core::settings::{PrivacyRule, Show};

const KEY: &str = "privacy.rule";

/// The words of `show`, most private first.
pub(super) const SHOW: [(&str, Show); 3] =
    [("hide", Show::Hide), ("generic", Show::Generic), ("full", Show::Full)];

impl Reading<'_> {
    pub(super) fn rules(&mut self, given: &Spanned<DeValue<'_>>) {
        match given.get_ref() {
            DeValue::Array(list) => {
                for item in list {
                    match item.get_ref() {
                        DeValue::Table(rule) => self.rule(item.span().start, rule),
                        other => self.not_a_rule(item.span().start, other),
                    }
                }
            }
            other => self.not_a_rule(given.span().start, other),
        }
    }

    fn not_a_rule(&mut self, at: usize, found: &DeValue<'_>) {
        let complaint = Complaint::new(format!("expected a list of rules, found {}", value::found(found)))
            .with_hint("begin each rule with [[privacy.rule]]");
        self.complain(at, KEY, Severity::Error, complaint);
    }

    fn rule(&mut self, at: usize, rule: &DeTable<'_>) {
        for (name, _) in rule {
            if !matches!(name.get_ref().as_ref(), "path" | "show") {
                let complaint = Complaint::new("unknown key, it has no effect");
                let complaint = match nearest(name.get_ref(), &["path", "show"]) {
                    Some(known) => complaint.with_hint(format!("did you mean `{known}`?")),
                    None => complaint,
                };
                let key = format!("{KEY}.{}", value::shortened(name.get_ref()));
                self.complain(name.span().start, &key, Severity::Warning, complaint);
            }
        }
        let show = self.rule_part(at, rule, "show", |given| given.one_of(&SHOW));
        let home = self.context.home.clone();
        let path = self.rule_part(at, rule, "path", |given| {
            let path = given.text("a path such as \"~/clients/**\"")?;
            if path.starts_with('*') { Ok(path.to_owned()) } else { value::expand(path, home.as_deref()) }
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

    fn rule_part<T>(
        &mut self,
        at: usize,
        rule: &DeTable<'_>,
        name: &'static str,
        read: impl Fn(&Given<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let key = format!("{KEY}.{name}");
        let Some(value) = rule.get(name) else {
            let complaint = Complaint::new(format!("a rule needs `{name}`"));
            self.complain(at, &key, Severity::Error, complaint);
            return None;
        };
        let given = Given { value: value.get_ref(), name, home: self.context.home.as_deref() };
        match read(&given) {
            Ok(part) => Some(part),
            Err(complaint) => {
                self.complain(value.span().start, &key, Severity::Error, complaint);
                None
            }
        }
    }
}
