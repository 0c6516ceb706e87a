//! More session files than are ever read at once: of most only the place is kept, and what they tell is the same.

use crate::support::home::Home;

/// More than stay at hand.
const MANY: usize = 300;

#[test]
fn a_file_among_many_goes_on_with_its_figures() {
    let home = Home::new();
    let mut sessions: Vec<_> = (0..MANY).map(|_| home.session()).collect();
    for session in &mut sessions {
        session.turn().tokens(4_500);
    }
    let daemon = home.start("run --dry-run");
    let all = |status: &serde_json::Value| status["sessions"].as_array().unwrap().len() == MANY;
    home.wait_for_status("all sessions", |status| status["daemon"]["pid"] == daemon.pid() && all(status));
    // The first and the last to be read, and one that is written anew.
    for at in [0, MANY / 2, MANY - 1] {
        let session = &mut sessions[at];
        session.tokens(1_000);
        let id = session.id.clone();
        let status = home.wait_for_status("its figures", |status| {
            let of =
                status["sessions"].as_array().unwrap().iter().find(|session| session["id"] == id.as_str());
            of.is_some_and(|session| session["tokens"]["total"] == 5_500)
        });
        let sessions = status["sessions"].as_array().unwrap();
        let grown = sessions.iter().find(|session| session["id"] == id.as_str()).unwrap();
        assert_eq!(grown["tokens"]["delta"], 1_000, "{grown:#}");
        assert_eq!(grown["restored"], false, "{grown:#}");
        assert_eq!(sessions.len(), MANY);
    }
    let ended = daemon.terminate();
    let news: Vec<_> = ended.err.lines().filter(|line| line.contains("restored=false")).collect();
    assert_eq!(news.len(), 3, "{news:#?}");
    assert!(news.iter().all(|line| line.contains("total=5,500 (+1,000)")), "{news:#?}");
    let restored = ended.err.lines().filter(|line| line.contains("restored=true")).count();
    assert_eq!(restored, MANY, "each is told once");
}
