//! Homes with names: what the settings take, and where the names are seen.

use std::path::PathBuf;

use agent_presence::core::config::{ConfigContext, Effective};
use agent_presence::core::source::Agent;
use serde_json::{Value, json};

use crate::support::codex_session::CodexSession;
use crate::support::home::Home;

fn read(text: &str) -> Effective {
    let context = ConfigContext { home: Some("/home/you".into()), ..ConfigContext::default() };
    Effective::read(text, &context)
}

#[test]
fn a_home_is_a_folder_or_a_folder_with_a_name() {
    let forms = [
        r#"codex_home = ["~/.codex", { path = "~/.codex-work", name = "work" }]"#,
        "codex_home = [{ path = '~/.codex' }, { name = 'work', path = '/home/you/.codex-work' }]",
    ];
    for form in forms {
        let read = read(&format!("[sources]\n{form}\n"));
        assert_eq!(read.issues, [], "{form}");
        let sources = &read.settings.sources;
        let homes = ["/home/you/.codex", "/home/you/.codex-work"].map(PathBuf::from);
        assert_eq!(sources.of(Agent::CODEX).homes, homes);
        assert_eq!(sources.name_of(Agent::CODEX, "/home/you/.codex-work"), Some("work"));
        assert_eq!(sources.name_of(Agent::CODEX, "/home/you/.codex"), None);
        assert_eq!(sources.name_of(Agent::CLAUDE, "/home/you/.codex-work"), None);
    }
    for agent in Agent::ALL {
        let key = agent.spec().homes.key;
        let read = read(&format!("[[sources.{key}]]\npath = \"/a\"\nname = \"private\"\n"));
        assert_eq!(
            (read.issues.len(), read.settings.sources.name_of(agent, "/a")),
            (0, Some("private")),
            "{key}"
        );
    }
}

#[test]
fn a_home_that_is_not_understood_is_named_and_shows_nothing_more() {
    let hint = "hint: write codex_home = [{ path = \"~/folder\", name = \"work\" }]";
    for (home, expected) in [
        ("{ name = \"work\" }", "a home needs a `path`"),
        ("{ path = \"/a\", nam = \"work\" }", "a home has no `nam`"),
        ("{ path = 5 }", "expected a folder, found the number 5"),
        ("{ path = \"/a\", name = \"\" }", "expected a name of 1 to 32 characters, found \"\""),
        ("{ path = \"/a\", name = 5 }", "expected a name of 1 to 32 characters, found the number 5"),
        ("{ path = \"/a\", name = \" a\\n\" }", "expected a name of 1 to 32 characters, found \" a \""),
    ] {
        let read = read(&format!("[sources]\ncodex_home = [\"/b\", {home}]\n"));
        let [issue] = read.issues.as_slice() else { panic!("{home}: {:?}", read.issues) };
        assert_eq!(issue.to_string(), format!("line 2: sources.codex_home: {expected}"));
        assert_eq!(issue.hint.as_ref().map(|it| format!("hint: {it}")).as_deref(), Some(hint), "{home}");
        assert!(read.may_show_too_much(), "{home}");
    }
    let relative = read("[sources]\ncodex_home = [{ path = \"work\", name = \"work\" }]\n");
    assert!(relative.issues[0].message.starts_with("expected an absolute path"), "{:?}", relative.issues);
    assert!(
        read("[sources]\ncodex_home = [5]\n").issues[0].message.starts_with("expected a list of folders")
    );
}

/// A home with two accounts of one agent, one of them named, and a card that names the account.
#[test]
fn a_name_stands_before_the_limits_of_its_home() {
    let home = Home::new();
    let work = home.path("home/.codex-work");
    let settings = |name: &str| {
        home.settings(&format!(
            "[sources]\ncodex_home = [{:?}, {{ path = {:?}, name = {name:?} }}]\n[card]\ndetails = \"{{home}}: {{activity}}\"\n\
             [discord]\nclients = [\"/nowhere\"]\n",
            home.codex(),
            work,
        ));
    };
    settings("work");
    home.session().limits(10.0, 20.0).turn().tokens(100).end();
    let mut session = CodexSession::begin(&work);
    session.limits(36.0, 53.0).turn().tokens(4_500);
    let check = |status: &Value, name: &str| {
        let limits = status["limits"].as_array().unwrap();
        let names: Vec<&Value> = limits.iter().map(|limits| &limits["home_name"]).collect();
        assert_eq!(names, [&Value::Null, &json!(name)]);
        let sessions = status["sessions"].as_array().unwrap();
        let shown = sessions.iter().find(|session| session["shown"] == true).unwrap();
        assert_eq!(shown["home_name"], *name);
        assert_eq!(status["card"]["details"], format!("{name}: Thinking"));
    };
    check(&home.status(), "work");
    let text = home.output("status");
    assert!(text.contains("\n  work · Codex · plus\n"), "{text}");
    assert!(text.contains(&format!("\n  Codex in {} · plus\n", home.codex().display())), "{text}");
    assert_eq!(home.output("bar"), "work 5h 64% · weekly 47% left · Thinking\n");

    let _daemon = home.start("run --dry-run");
    let named = |name: &'static str| {
        move |status: &Value| {
            let is_all_there = status["limits"].as_array().is_some_and(|limits| limits.len() == 2);
            is_all_there && status["card"]["details"] == format!("{name}: Thinking")
        }
    };
    check(&home.wait_for_status("the card", named("work")), "work");
    settings("customer");
    check(&home.wait_for_status("the new name", named("customer")), "customer");
    assert_eq!(home.output("bar"), "customer 5h 64% · weekly 47% left · Thinking\n");
}

/// No agent writes the account beside its limits.
#[test]
fn limits_of_two_homes_stay_apart() {
    let home = Home::new();
    let other = home.path("home/.codex-work");
    home.settings(&format!(
        "[sources]\ncodex_home = [{{ path = {:?}, name = \"a\" }}, {{ path = {other:?}, name = \"a\" }}]\n",
        home.codex()
    ));
    home.session().limits(10.0, 20.0).turn().tokens(100);
    CodexSession::begin(&other).limits(36.0, 53.0).turn().tokens(4_500);
    let status = home.status();
    let left: Vec<u64> =
        (0..2).map(|at| status["limits"][at]["windows"][0]["remaining_percent"].as_u64().unwrap()).collect();
    assert_eq!(left, [90, 64]);
}
