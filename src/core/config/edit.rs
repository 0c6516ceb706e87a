//! Sets single keys in a settings file and keeps every other byte.
//!
//! Each kind of edit is tried and its result is parsed. An edit is used only if the file then has its earlier values
//! and the new one. So a comment, a multi-line text or an inline table can make an edit impossible, but never wrong.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::commented;
use super::keys::Key;

/// The key cannot be set without another change, or the file is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CannotEdit;

/// `text` with `key` set to `value`; `None` for a file that does not exist yet.
///
/// # Errors
/// [`CannotEdit`] if no edit gives exactly the new value.
pub fn set(text: Option<&str>, key: &Key, value: &Value) -> Result<String, CannotEdit> {
    let Some(text) = text else { return set(Some(&commented()), key, value) };
    let before: Table = toml::from_str(text).map_err(|_| CannotEdit)?;
    if before.get(key.table).and_then(|table| table.get(key.name)) == Some(value) {
        return Ok(text.to_owned());
    }
    let mut wanted = before;
    let table = wanted.entry(key.table).or_insert_with(|| Value::Table(Table::new()));
    table.as_table_mut().ok_or(CannotEdit)?.insert(key.name.to_owned(), value.clone());
    let ways = [instead_of_value, instead_of_comment, below_header, as_new_table, as_dotted_key];
    let edits = ways.iter().filter_map(|way| way(text, key, value));
    edits.into_iter().find(|edited| toml::from_str(edited).as_ref() == Ok(&wanted)).ok_or(CannotEdit)
}

fn instead_of_value(text: &str, key: &Key, value: &Value) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let table = document.get_ref().get(key.table)?;
    let DeValue::Table(table) = table.get_ref() else { return None };
    replaced(text, table.get(key.name)?.span(), &value.to_string())
}

/// `config init` writes every key as a comment. Only that exact line is replaced: any other comment is the user's.
fn instead_of_comment(text: &str, key: &Key, value: &Value) -> Option<String> {
    let comment = format!("#{} = {}", key.name, key.default);
    let below = lines(text).skip_while(|(_, line)| !is_header(line, key.table)).skip(1);
    let mut section = below.take_while(|(_, line)| !line.trim_start().starts_with('['));
    let (range, _) = section.find(|(_, line)| *line == comment)?;
    replaced(text, range, &format!("{} = {value}", key.name))
}

fn below_header(text: &str, key: &Key, value: &Value) -> Option<String> {
    let (range, _) = lines(text).find(|(_, line)| is_header(line, key.table))?;
    let end = range.end;
    replaced(text, end..end, &format!("{}{} = {value}", line_end(text), key.name))
}

fn as_new_table(text: &str, key: &Key, value: &Value) -> Option<String> {
    let end = line_end(text);
    let open = if text.is_empty() || text.ends_with('\n') { "" } else { end };
    let gap = if text.is_empty() { "" } else { end };
    Some(format!("{text}{open}{gap}[{}]{end}{} = {value}{end}", key.table, key.name))
}

/// For tables that are written as `table.key = …`: at the top, before any table begins.
fn as_dotted_key(text: &str, key: &Key, value: &Value) -> Option<String> {
    Some(format!("{}.{} = {value}{}{text}", key.table, key.name, line_end(text)))
}

fn is_header(line: &str, table: &str) -> bool {
    let inner = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inner.is_some_and(|(name, rest)| {
        let rest = rest.trim_start();
        name.trim() == table && (rest.is_empty() || rest.starts_with('#'))
    })
}

/// Each line without its line break, and its range.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |whole| {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let range = start..start + line.len();
        start += whole.len();
        (range, line)
    })
}

/// The line break of the file's first line.
fn line_end(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}

fn replaced(text: &str, range: Range<usize>, by: &str) -> Option<String> {
    Some(format!("{}{by}{}", text.get(..range.start)?, text.get(range.end..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::keys;

    const ID: &str = "1234567890123456789";

    fn set_id(text: &str) -> Result<String, CannotEdit> {
        set(Some(text), keys::find("discord", "application_id").unwrap(), &Value::from(ID))
    }

    #[track_caller]
    fn check(before: &str, after: &str) {
        let after = after.replace("ID", &format!("\"{ID}\""));
        assert_eq!(set_id(before).as_deref(), Ok(after.as_str()));
        assert_eq!(set_id(&after).as_deref(), Ok(after.as_str()), "once is enough");
    }

    #[test]
    fn an_edit_changes_one_value_and_nothing_else() {
        check("", "[discord]\napplication_id = ID\n");
        check("# mine", "# mine\n\n[discord]\napplication_id = ID\n");
        check("[discord]", "[discord]\napplication_id = ID");
        check(
            "[card]\r\nstate = \"x\"\r\n",
            "[card]\r\nstate = \"x\"\r\n\r\n[discord]\r\napplication_id = ID\r\n",
        );
        check(
            "[discord] # two\r\n  clients = \"all\"\r\n[card]\r\n",
            "[discord] # two\r\napplication_id = ID\r\n  clients = \"all\"\r\n[card]\r\n",
        );
        check(
            "[ discord ]\n  application_id   =  'old'  # why\nclients=\"all\"",
            "[ discord ]\n  application_id   =  ID  # why\nclients=\"all\"",
        );
        check(
            "[discord]\n# says\n#application_id = \"\"\n[card]\n",
            "[discord]\n# says\napplication_id = ID\n[card]\n",
        );
        check(
            "discord.clients = \"all\"\n[card]\n",
            "discord.application_id = ID\ndiscord.clients = \"all\"\n[card]\n",
        );
        check("discord.application_id = ''\n", "discord.application_id = ID\n");
        check(
            "discord = { application_id = '' } # in line\n",
            "discord = { application_id = ID } # in line\n",
        );
        check(
            "[[privacy.rule]]\npath = '/x'\n",
            "[[privacy.rule]]\npath = '/x'\n\n[discord]\napplication_id = ID\n",
        );
        check("[discord]\napplication_id = 3\n", "[discord]\napplication_id = ID\n");
    }

    #[test]
    fn a_comment_of_the_user_stays() {
        let comment = "#application_id = \"\" # the old one";
        check(&format!("[discord]\n{comment}\n"), &format!("[discord]\napplication_id = ID\n{comment}\n"));
    }

    #[test]
    fn a_text_that_looks_like_a_table_is_not_edited() {
        let text = "[card]\nstate = \"\"\"\n[discord]\n#application_id = 1\n\"\"\"\n";
        check(text, &format!("{text}\n[discord]\napplication_id = ID\n"));
    }

    #[test]
    fn an_unsafe_edit_is_refused() {
        for text in ["discord = { clients = \"all\" }\n", "discord = 3\n", "[discord\n", "a = 1\na = 2\n"] {
            assert_eq!(set_id(text), Err(CannotEdit), "{text}");
        }
    }

    #[test]
    fn a_new_file_has_every_other_setting_as_a_comment() {
        let text = set(None, keys::find("privacy", "project").unwrap(), &Value::from(true)).unwrap();
        assert_eq!(text, commented().replace("#project = false", "project = true"));
    }

    proptest! {
        #[test]
        fn any_edited_file_has_its_earlier_values_and_the_new_one(
            lines in prop::collection::vec(prop::sample::select(vec![
                "", "# text", "[discord]", "[card]", "[privacy]", "[[privacy.rule]]", "application_id = \"1\"",
                "#application_id = \"\"", "clients = [", "]", "discord.clients = 'x'", "state = \"\"\"", "\"\"\"",
                "discord = { clients = 'x' }", "  path = '[discord]'", "\"discord\".large_image = 'é'",
            ]), 0..10),
            crlf in any::<bool>(),
        ) {
            let text = lines.join(if crlf { "\r\n" } else { "\n" });
            if let Ok(edited) = set_id(&text) {
                let mut after: Table = toml::from_str(&edited).unwrap();
                let mut before: Table = toml::from_str(&text).unwrap();
                let id = |table: &mut Table| {
                    let discord = table.get_mut("discord")?.as_table_mut()?;
                    let id = discord.remove("application_id");
                    if discord.is_empty() {
                        table.remove("discord");
                    }
                    id
                };
                prop_assert_eq!(id(&mut after), Some(Value::from(ID)));
                id(&mut before);
                prop_assert_eq!(after, before);
                prop_assert_eq!(set_id(&edited), Ok(edited));
            }
        }
    }
}
