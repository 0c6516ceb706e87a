//! Any text as a settings file: no panic, every issue has a place, and what `config show` prints means the same.
#![no_main]

use agent_presence::core::config::{ConfigContext, Effective};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let context = ConfigContext { home: Some("/home/ada".into()), ..ConfigContext::default() };
    let read = Effective::read(text, &context);
    for issue in &read.issues {
        let line = issue.line.expect("everything here is about the text");
        assert!((1..=text.matches('\n').count() + 1).contains(&line), "{issue}");
        assert!(!issue.to_string().contains('\n'), "{issue}");
    }
    assert!(read.cautious().discord.application_id.is_empty() || !read.may_show_too_much());
    let shown = Effective::read(&read.shown(), &context);
    assert!(shown.issues.is_empty(), "{:?}", shown.issues);
    assert_eq!(shown.settings, read.settings);
    assert!(shown.changes_since(&read).is_empty());
});
