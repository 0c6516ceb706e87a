//! The settings file: what is understood, what is said about mistakes, and the texts made from the table of settings.
//!
//! Longer than other files because the exact words for each typical mistake are here, side by side.

use std::path::PathBuf;
use std::time::Duration;

use agent_presence::core::config::{
    self, ConfigContext, Effective, Issue, Origin, Severity, Variables, application_id_in, keys,
};
use agent_presence::core::settings::{Clients, MemberList, Settings, Show};
use agent_presence::core::source::Agent;
use agent_presence::core::usage::Count;
use proptest::prelude::*;

const ID: &str = "123456789012345678";

fn context() -> ConfigContext {
    ConfigContext { home: Some(PathBuf::from("/home/ada")), ..ConfigContext::default() }
}

fn read(text: &str, context: &ConfigContext) -> (Settings, Vec<Issue>) {
    let effective = Effective::read(text, context);
    (effective.settings, effective.issues)
}

/// Each issue on a line, with its hint.
fn issues(text: &str) -> String {
    let (_, issues) = read(text, &context());
    let lines = issues.iter().map(|issue| {
        let severity = if issue.severity == Severity::Error { "error" } else { "warning" };
        let hint = issue.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{severity}: {issue}{hint}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(issues(text), expected, "in {text:?}");
}

#[track_caller]
fn good(text: &str) -> Settings {
    assert_eq!(issues(text), "", "in {text:?}");
    read(text, &context()).0
}

#[test]
fn everything_can_be_set() {
    let settings = good(
        r#"
        [discord]
        application_id = "123456789012345678"
        clients = ["/run/user/1000/discord-ipc-0"]
        large_image = "https://example.com/logo.png"
        member_list = "details"
        [card]
        details = "{agent}"
        state = "{tokens}"
        idle_after = "1h30m"
        [tokens]
        count = "all"
        [sources]
        codex = false
        claude = false
        codex_home = ["~/work/.codex", '\\wsl.localhost\Ubuntu\home\ada\.codex']
        claude_home = "~"
        [privacy]
        project = true
        branch = true
        file = true
        [publish]
        min_interval = "1s"
        tokens_interval = "1 minute"
        settle = "0s"
        [record]
        enabled = true
        keep = "2 years"
        [log]
        level = "agent_presence=debug,warn"
        "#,
    );
    assert_eq!(settings.discord.application_id, ID);
    assert_eq!(settings.discord.clients, Clients::Only(vec!["/run/user/1000/discord-ipc-0".to_owned()]));
    assert_eq!(settings.discord.large_image, "https://example.com/logo.png");
    assert_eq!(settings.discord.member_list, MemberList::Details);
    assert_eq!(settings.card.idle_after, Duration::from_secs(5_400));
    assert_eq!(settings.tokens.count, Count::All);
    let [codex, claude] = [Agent::CODEX, Agent::CLAUDE].map(|agent| settings.sources.of(agent));
    assert!(!codex.is_read && !claude.is_read);
    let homes = ["/home/ada/work/.codex", r"\\wsl.localhost\Ubuntu\home\ada\.codex"];
    assert_eq!(codex.homes, homes.map(PathBuf::from));
    assert_eq!(claude.homes, ["/home/ada"].map(PathBuf::from));
    assert!(settings.privacy.project && settings.privacy.branch && settings.privacy.file);
    assert_eq!(settings.publish.min_interval, Duration::from_secs(1));
    assert_eq!(settings.publish.tokens_interval, Duration::from_secs(60));
    assert_eq!(settings.publish.settle, Duration::ZERO);
    assert!(settings.record.enabled);
    assert_eq!(settings.record.keep, Duration::from_secs(2 * 365 * 86_400));
    assert_eq!(settings.log.level, "agent_presence=debug,warn");
    assert_ne!(settings.card, Settings::default().card);
}

#[test]
fn an_empty_file_gives_the_defaults() {
    for text in ["", "\n", "# nothing\n", "\u{feff}[card]\n"] {
        assert_eq!(good(text), Settings::default(), "{text:?}");
    }
}

#[test]
fn typical_mistakes_are_named_with_line_and_key() {
    check(
        "[card]\nidle_aftr = \"15m\"\n",
        "warning: line 2: card.idle_aftr: unknown key, it has no effect (did you mean `idle_after`?)",
    );
    check(
        "[card]\nidle_after = 15\n",
        "error: line 2: card.idle_after: expected a duration from 1m to 24h, found the number 15 \
         (with a unit, in quotes: idle_after = \"15s\")",
    );
    check(
        "[card]\nidle_after = \"15\"\n",
        "error: line 2: card.idle_after: expected a duration from 1m to 24h, found \"15\": no unit after 15",
    );
    check(
        "[publish]\nmin_interval = \"500ms\"\nsettle = \"10s\"\n",
        "error: line 2: publish.min_interval: expected a duration from 1s to 1h, found \"500ms\"\n\
         error: line 3: publish.settle: expected a duration from 0s to 5s, found \"10s\"",
    );
    check(
        "[discord]\napplication_id = 123456789012345678\n",
        "error: line 2: discord.application_id: expected 17 to 20 digits in quotes, found the number \
         123456789012345678 (in quotes: application_id = \"123456789012345678\")",
    );
    check(
        "[discord]\napplication_id = \"my app\"\n",
        "error: line 2: discord.application_id: expected 17 to 20 digits in quotes, found \"my app\" (copy \
         \"Application ID\" from your application's page at https://discord.com/developers/applications)",
    );
    check(
        "[discord]\nmember_list = \"detail\"\n",
        "error: line 2: discord.member_list: expected \"name\", \"state\" or \"details\", found \"detail\" \
         (did you mean \"details\"?)",
    );
    check(
        "[privacy]\nproject = \"yes\"\n",
        "error: line 2: privacy.project: expected true or false, found \"yes\" (write project = true)",
    );
    check(
        "application_id = \"1\"\n[crad]\n[card]\nproject = true\n",
        "warning: line 1: application_id: unknown key, it has no effect (it belongs in [discord])\n\
         warning: line 2: crad: unknown key, it has no effect (did you mean [card]?)\n\
         warning: line 4: card.project: unknown key, it has no effect (it belongs in [privacy])",
    );
    check(
        "[log]\nlevel = \"inof\"\n",
        "error: line 2: log.level: expected \"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\", \
         found \"inof\" (did you mean \"info\"?)",
    );
    check(
        "[discord]\nlarge_image = \"http://example.com/x.png\"\n",
        "error: line 2: discord.large_image: expected an asset key or an https URL, found \
         \"http://example.com/x.png\" (use https)",
    );
    check(
        "[sources]\ncodex_home = [\"work/.codex\"]\n",
        "error: line 2: sources.codex_home: expected an absolute path, found \"work/.codex\" \
         (begin it with `/` or `~/`)",
    );
    check(
        "[discord]\nclients = \"some\"\n",
        "error: line 2: discord.clients: expected \"all\" or a list of endpoints, found \"some\"",
    );
    check(
        "card = 5\n",
        "error: line 1: card: expected a table, found the number 5 (write its keys below [card])",
    );
    check(
        "[log]\nfile = 1\n[log.level]\n",
        "warning: line 2: log.file: unknown key, it has no effect \
         (it belongs in [privacy])\nerror: line 3: log.level: expected \"error\", \"warn\", \"info\", \"debug\", \
         \"trace\" or \"off\", found a table",
    );
}

#[test]
fn a_syntax_error_is_one_error_with_its_line() {
    for text in ["[card\n", "\n\n[card]\nidle_after = \"15m\n", "[card]\n[card]\n", "a = 1\na = 2\n", "\0"] {
        let (settings, issues) = read(text, &context());
        assert_eq!(settings, Settings::default());
        assert_eq!(issues.len(), 1, "{issues:?}");
        assert!(issues[0].line.is_some() && issues[0].severity == Severity::Error, "{issues:?}");
        assert!(issues[0].message.starts_with("not valid TOML: ") && !issues[0].message.contains('\n'));
    }
    assert_eq!(read("\n\n[card\n", &context()).1[0].line, Some(3));
}

#[test]
fn columns_are_characters() {
    let (_, issues) = read("[card]\n\"ä\" = 1\ndetails = 1", &context());
    assert_eq!(issues.iter().map(|issue| issue.column).collect::<Vec<_>>(), [Some(1), Some(11)]);
    let (_, issues) = read("card = { 'ä' = 1, x = 2 }", &context());
    assert_eq!(issues.iter().map(|issue| issue.column).collect::<Vec<_>>(), [Some(10), Some(19)]);
}

#[test]
fn good_values_beside_bad_ones_are_used() {
    let text = "[card]\nidle_after = \"2h\"\n[publish]\nsettle = \"soon\"\n";
    let effective = Effective::read(text, &context());
    assert!(effective.is_broken());
    assert_eq!(effective.settings.card.idle_after, Duration::from_secs(7_200));
    assert_eq!(effective.settings.publish, Settings::default().publish);
    assert!(!Effective::read("[card]\nunknown = 1", &context()).is_broken());
}

#[test]
fn privacy_rules_are_read_in_order() {
    let settings = good(
        r#"
        [[privacy.rule]]
        path = "~/clients/**"
        show = "generic"
        [[privacy.rule]]
        path = "**/secret"
        show = "hide"
        [[privacy.rule]]
        path = 'C:\Users\ada\open'
        show = "full"
        "#,
    );
    let rules: Vec<(&str, Show)> =
        settings.privacy.rules.iter().map(|rule| (rule.path.as_str(), rule.show)).collect();
    assert_eq!(
        rules,
        [
            ("/home/ada/clients/**", Show::Generic),
            ("**/secret", Show::Hide),
            (r"C:\Users\ada\open", Show::Full)
        ]
    );
}

#[test]
fn a_rule_that_is_half_understood_hides() {
    let text = "[[privacy.rule]]\npath = \"~/a\"\nshow = \"hidden\"\n";
    check(
        text,
        "error: line 3: privacy.rule.show: expected \"hide\", \"generic\" or \"full\", found \"hidden\" \
         (did you mean \"hide\"?)",
    );
    assert_eq!(read(text, &context()).0.privacy.rules[0].show, Show::Hide);
    check(
        "[[privacy.rule]]\nshow = \"hide\"\npaht = \"/a\"\n",
        "error: line 1: privacy.rule.path: a rule needs `path` (a rule is path = \"~/clients\" and show = \"hide\": add its \
         `path`)\n\
         error: line 3: privacy.rule.paht: unknown key, and it may be meant to hide something: nothing is shown until it \
         is corrected (did you mean `path`?)",
    );
    check(
        "[privacy.rule]\npath = \"/a\"\nshow = \"hide\"\n",
        "error: line 1: privacy.rule: expected a list of rules, found a table (begin each rule with [[privacy.rule]])",
    );
}

#[test]
fn a_tilde_without_a_home_folder_is_reported() {
    let (settings, issues) = read(
        "[sources]
codex_home = [\"~/x\"]",
        &ConfigContext::default(),
    );
    assert!(settings.sources.of(Agent::CODEX).homes.is_empty());
    assert_eq!(
        issues[0].to_string(),
        "line 2: sources.codex_home: could not replace `~`: the home folder is not known"
    );
}

#[test]
fn an_id_is_found_in_a_copied_address() {
    let id = ID;
    for text in [
        id,
        &format!(" {id}\n"),
        &format!("https://discord.com/developers/applications/{id}/information"),
        &format!("discord.com/developers/applications/select/{id}/rich-presence/assets"),
        &format!("https://ptb.discord.com/developers/applications/{id}?team=876543210987654321"),
        &format!("https://discord.com/oauth2/authorize?scope=bot&client_id={id}&guild_id=876543210987654321"),
    ] {
        assert_eq!(application_id_in(text), Some(id), "{text}");
    }
    for text in [
        "",
        "my app",
        "https://discord.com/developers/applications",
        "https://discord.com/developers/applications/123",
        "https://discord.com/developers/teams/876543210987654321",
        "https://discord.com/channels/876543210987654321/123456789012345678",
        "applications/123456789012345678901234",
    ] {
        assert_eq!(application_id_in(text), None, "{text}");
    }
}

/// A packager's built-in application has images; a user's own need not have them.
#[test]
fn icons_are_on_with_an_id_that_is_built_in() {
    let built_in = ConfigContext { built_in_application_id: Some("1".repeat(17)), ..context() };
    let check = |text: &str, context: &ConfigContext, expected: Option<&str>| {
        let effective = Effective::read(text, context);
        assert_eq!(effective.settings.large_image(), expected, "{text}");
        assert_eq!(effective.issues, [], "{text}");
    };
    let own = format!("[discord]\napplication_id = \"{ID}\"\n");
    check("", &built_in, Some("logo"));
    check("[card]\nicons = false\n", &built_in, None);
    check("[discord]\nlarge_image = \"mine\"\n", &built_in, Some("mine"));
    check(&own, &built_in, None);
    check(&format!("{own}[card]\nicons = true\n"), &built_in, Some("logo"));
    check("", &context(), None);
    let effective = Effective::read("", &built_in);
    let icons = effective.values.iter().find(|value| value.key.path() == "card.icons").unwrap();
    assert_eq!((icons.value.as_str(), icons.origin.to_string().as_str()), ("true", "built in"));
}

#[test]
fn environment_beats_file_and_file_beats_the_built_in_id() {
    let file = format!("[discord]\napplication_id = \"{ID}\"\n[log]\nlevel = \"warn\"\n");
    let origin = |text: &str, context: &ConfigContext| {
        let effective = Effective::read(text, context);
        (effective.settings.discord.application_id, effective.values[0].origin.clone())
    };
    let built_in = ConfigContext { built_in_application_id: Some("1".repeat(17)), ..context() };
    let both = ConfigContext { environment_application_id: Some("2".repeat(20)), ..built_in.clone() };
    assert_eq!(origin("", &context()), (String::new(), Origin::Default));
    assert_eq!(origin("", &built_in), ("1".repeat(17), Origin::BuiltIn));
    assert_eq!(origin(&file, &built_in), (ID.to_owned(), Origin::File { line: 2 }));
    let variable = Origin::Environment("AGENT_PRESENCE_APPLICATION_ID");
    assert_eq!(origin(&file, &both), ("2".repeat(20), variable));

    let loud = ConfigContext { environment_log: Some("debug".to_owned()), ..context() };
    assert_eq!(read(&file, &loud).0.log.level, "debug");
    let unusable = ConfigContext {
        environment_log: Some("loud".to_owned()),
        environment_application_id: Some("mine".to_owned()),
        ..context()
    };
    let effective = Effective::read(&file, &unusable);
    assert!(!effective.is_broken(), "no change to the file could repair the environment");
    assert_eq!(effective.settings.log.level, "warn");
    assert_eq!(effective.settings.discord.application_id, ID);
    let said: Vec<String> = effective.issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "discord.application_id: AGENT_PRESENCE_APPLICATION_ID is ignored: expected 17 to 20 digits, found \"mine\"",
            "log.level: RUST_LOG is ignored: \"loud\" is not a level",
        ]
    );
}

#[test]
fn a_missing_application_id_says_what_to_do() {
    let issue = config::missing_application_id(&Settings::default()).unwrap();
    assert!(issue.hint.unwrap().contains("https://discord.com/developers/applications"));
    let settings = good(&format!("discord.application_id = \"{ID}\""));
    assert_eq!(config::missing_application_id(&settings), None);
}

#[test]
fn the_written_file_is_the_defaults_and_names_every_key() {
    let text = config::commented();
    assert_eq!(good(&text), Settings::default());

    // With every default uncommented as well: what the table states and what the settings are is the same.
    let live: String = text
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line)))
        .collect();
    let settings = good(&live);
    assert_eq!((settings.privacy.rules.len(), settings.remotes.len()), (1, 1));
    let effective = Effective::read(&live, &context());
    assert!(effective.values.iter().all(|value| matches!(value.origin, Origin::File { .. })));
    let tables = live.split_inclusive("\n\n").filter(|table| !table.trim_start().starts_with("[["));
    assert_eq!(good(&tables.collect::<String>()), Settings::default());
}

#[test]
fn every_setting_is_shown_and_shown_settings_are_the_same_settings() {
    let text = "[card]\ndetails = '{model}'\n[discord]\nclients = [\n  \"/a\",\n  \"/b\",\n]\n\
         [[privacy.rule]]\npath = \"~/x\"\nshow = \"hide\"\n[sources]\ncodex_home = ['~/c']\n";
    let environment = ConfigContext { environment_application_id: Some(ID.to_owned()), ..context() };
    let effective = Effective::read(text, &environment);
    let shown = effective.shown();
    for key in keys::KEYS.iter() {
        assert!(shown.contains(&format!("\n{} = ", key.name)), "{}", key.path());
    }
    assert!(shown.contains("details = '{model}'                       # file, line 2\n"), "{shown}");
    assert!(shown.contains("# environment, AGENT_PRESENCE_APPLICATION_ID\n"), "{shown}");
    assert!(shown.contains("settle = \"60ms\"                           # default\n"), "{shown}");
    assert!(shown.contains("[[privacy.rule]]                          # file, line 8\n"), "{shown}");
    assert_eq!(good(&shown), effective.settings);
}

#[test]
fn markdown_has_a_row_for_every_setting() {
    let table = config::markdown();
    for key in keys::KEYS.iter() {
        let row = format!("| `{}` | `{}` |", key.path(), key.default);
        assert_eq!(table.matches(&row).count(), 1, "{}", key.path());
    }
}

/// Texts that look like settings, so that more than the TOML parser is tried.
fn nearly_settings() -> impl Strategy<Value = String> {
    let key = prop::sample::select(keys::KEYS.iter().map(keys::Key::path).collect::<Vec<_>>());
    let key = prop_oneof![key, Just("privacy.rule".to_owned()), "[a-z]{1,6}(\\.[a-z]{1,6})?"];
    let value = prop_oneof![
        "\"[^\"\\\\\\p{Cc}]{0,30}\"",
        "'~?[/\\\\a-zä*]{0,20}'",
        "-?[0-9]{1,40}",
        "0x[0-9a-f]{1,20}",
        Just("nan".to_owned()),
        Just("-inf".to_owned()),
        Just("1e999".to_owned()),
        Just("true".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("[]".to_owned()),
        Just("[[1], {a = 1}]".to_owned()),
        Just("[{path = '~/a', show = 3}, 7, {show = 'full'}]".to_owned()),
        Just("{a = {b = {}}}".to_owned()),
        "\"[0-9]{1,40} ?(ms|s|months|years|y|w)\"",
    ];
    prop::collection::vec((key, value).prop_map(|(key, value)| format!("{key} = {value}\n")), 0..6)
        .prop_map(|lines| lines.concat())
}

#[test]
fn deep_nesting_is_read() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("[{}]", "a.".repeat(100_000) + "a"),
        format!("card = {}", "{a = ".repeat(100_000)),
        "a.".repeat(100_000),
        format!("{}a = 1", "a.".repeat(100_000)),
    ] {
        assert_ne!(issues(&text), "");
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,80}(\n\\PC{0,80}){0,4}") {
        let effective = Effective::read(&text, &context());
        prop_assert!(!issues(&text).contains(|c: char| c.is_control() && c != '\n'));
        prop_assert_eq!(Effective::read(&effective.shown(), &context()).settings, effective.settings);
    }

    #[test]
    fn any_settings_are_read_and_shown(text in nearly_settings()) {
        let effective = Effective::read(&text, &context());
        for issue in &effective.issues {
            prop_assert!(issue.line.is_some() && !issue.to_string().contains('\n'));
        }
        prop_assert_eq!(good(&effective.shown()), effective.settings);
    }
}

#[test]
fn broken_toml_names_the_key_of_its_line() {
    for (text, key) in [
        ("[privacy]\nproject = maybe\n", "(at privacy.project)"),
        ("[card]\nidle_after = \"15m\n", "(at card.idle_after)"),
    ] {
        let (_, issues) = read(text, &context());
        assert!(issues[0].message.ends_with(key) && issues[0].line == Some(2), "{issues:?}");
    }
}

#[test]
fn a_path_may_name_the_home_folder_and_variables_wherever_it_stands() {
    let mut context = context();
    let variables = [("XDG_RUNTIME_DIR", "/run/user/7"), ("EMPTY", ""), ("WORK", "/srv/work")];
    context.variables = Variables(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let text = "[discord]\nclients = [\"$XDG_RUNTIME_DIR/discord-ipc-0\", \"~/d\", \"${HOME}/e\", \"/a$/$1/b\"]\n\
        [sources]\ncodex_home = [\"$WORK/.codex\"]\n[[privacy.rule]]\npath = \"$HOME/clients/**\"\nshow = \"generic\"\n";
    let (settings, issues) = read(text, &context);
    assert_eq!(issues, []);
    let clients = ["/run/user/7/discord-ipc-0", "/home/ada/d", "/home/ada/e", "/a$/$1/b"];
    assert_eq!(settings.discord.clients, Clients::Only(clients.map(str::to_owned).into()));
    assert_eq!(settings.sources.of(Agent::CODEX).homes, [PathBuf::from("/srv/work/.codex")]);
    assert_eq!(settings.privacy.rules[0].path, "/home/ada/clients/**");

    for (client, expected) in [
        ("run/discord-ipc-0", "expected an absolute path, found \"run/discord-ipc-0\""),
        ("$NOWHERE/d", "could not replace `$NOWHERE` in \"$NOWHERE/d\": it is not set"),
        ("${EMPTY}/d", "could not replace `${EMPTY}` in \"${EMPTY}/d\": it is not set"),
    ] {
        let (_, issues) = read(&format!("[discord]\nclients = [\"{client}\"]\n"), &context);
        assert_eq!(issues[0].message, expected);
        assert!(issues[0].hint.is_some() && issues[0].key.as_deref() == Some("discord.clients"));
    }
}
