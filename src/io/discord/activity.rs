//! A payload as Discord's `SET_ACTIVITY` command, in the activity model of `discord-rich-presence`.
//!
//! Pure. [`Card`] keeps texts within Discord's limits; here they get their places.

use discord_rich_presence::activity::{Activity, ActivityType, Assets, StatusDisplayType, Timestamps};
use jiff::Timestamp;
use serde::Serialize;

use crate::core::card::Card;
use crate::core::publish::Payload;
use crate::core::settings::MemberList;

/// The body of the frame that sends `payload`; `nonce` comes back with the answer.
///
/// # Errors
///
/// Never: there are only texts and numbers in it.
pub fn set_activity(nonce: u64, payload: &Payload, pid: u32) -> serde_json::Result<Vec<u8>> {
    let activity = match payload {
        Payload::Card(card) => Some(Parts::of(card).whole()),
        Payload::Reduced(card) => Some(Parts::of(card).reduced()),
        Payload::Clear => None,
    };
    serde_json::to_vec(&SetActivity {
        cmd: "SET_ACTIVITY",
        args: Args { pid, activity },
        nonce: nonce.to_string(),
    })
}

#[derive(Serialize)]
struct SetActivity<'a> {
    cmd: &'a str,
    args: Args<'a>,
    nonce: String,
}

#[derive(Serialize)]
struct Args<'a> {
    pid: u32,
    /// `null` clears the card, so it is never left out.
    activity: Option<Activity<'a>>,
}

/// A card's parts, for Discord's places.
struct Parts<'a> {
    name: &'a str,
    details: Option<&'a str>,
    state: Option<&'a str>,
    large_image: Option<&'a str>,
    large_text: Option<&'a str>,
    small_image: Option<&'a str>,
    small_text: Option<&'a str>,
    started_at: Timestamp,
    member_list: MemberList,
}

impl<'a> Parts<'a> {
    fn of(card: &'a Card) -> Self {
        Self {
            name: card.name(),
            details: card.details(),
            state: card.state(),
            large_image: card.large_image(),
            large_text: card.large_text(),
            small_image: card.small_image(),
            small_text: card.small_text(),
            started_at: card.started_at(),
            member_list: card.member_list(),
        }
    }

    /// The card without images and newer fields, to try after Discord refused the whole one.
    fn reduced(&self) -> Activity<'a> {
        let mut activity = Activity::new().name(self.name);
        if let Some(details) = self.details {
            activity = activity.details(details);
        }
        if let Some(state) = self.state {
            activity = activity.state(state);
        }
        // Milliseconds are unambiguous: Discord takes shorter numbers for seconds. It refuses anything below 1.
        let start = self.started_at.as_millisecond();
        if start >= 1 {
            activity = activity.timestamps(Timestamps::new().start(start));
        }
        activity
    }

    fn whole(&self) -> Activity<'a> {
        let shown = match self.member_list {
            MemberList::Name => StatusDisplayType::Name,
            MemberList::State => StatusDisplayType::State,
            MemberList::Details => StatusDisplayType::Details,
        };
        let activity = self.reduced().activity_type(ActivityType::Playing).status_display_type(shown);
        match self.assets() {
            Some(assets) => activity.assets(assets),
            None => activity,
        }
    }

    fn assets(&self) -> Option<Assets<'a>> {
        self.large_image.or(self.large_text).or(self.small_image)?;
        let mut assets = Assets::new();
        if let Some(image) = self.large_image {
            assets = assets.large_image(image);
        }
        if let Some(text) = self.large_text {
            assets = assets.large_text(text);
        }
        if let Some(image) = self.small_image {
            assets = assets.small_image(image);
        }
        if let Some(text) = self.small_text {
            assets = assets.small_text(text);
        }
        Some(assets)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parts() -> Parts<'static> {
        Parts {
            name: "Codex",
            details: Some("Thinking · GPT-5.6 Sol"),
            state: Some("5h 64%"),
            large_image: Some("codex"),
            large_text: Some("in 40.3K"),
            small_image: None,
            small_text: None,
            started_at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            member_list: MemberList::State,
        }
    }

    fn json_of(activity: &Activity<'_>) -> Value {
        serde_json::to_value(activity).unwrap()
    }

    #[test]
    fn the_whole_card_has_all_its_parts() {
        let expected = json!({
            "name": "Codex", "details": "Thinking · GPT-5.6 Sol", "state": "5h 64%", "type": 0, "status_display_type": 1,
            "timestamps": {"start": 1_700_000_000_123_i64}, "assets": {"large_image": "codex", "large_text": "in 40.3K"},
        });
        assert_eq!(json_of(&parts().whole()), expected);
    }

    #[test]
    fn the_small_image_has_its_hover_text() {
        let parts = Parts { small_image: Some("waiting"), small_text: Some("Waiting for input"), ..parts() };
        let expected = json!({
            "large_image": "codex", "large_text": "in 40.3K",
            "small_image": "waiting", "small_text": "Waiting for input",
        });
        assert_eq!(json_of(&parts.whole())["assets"], expected);
        assert_eq!(json_of(&parts.reduced())["assets"], Value::Null);
    }

    #[test]
    fn the_reduced_card_has_two_lines_and_a_timer() {
        let expected = json!({
            "name": "Codex", "details": "Thinking · GPT-5.6 Sol", "state": "5h 64%", "timestamps": {"start": 1_700_000_000_123_i64},
        });
        assert_eq!(json_of(&parts().reduced()), expected);
    }

    #[test]
    fn absent_parts_are_left_out() {
        let bare = Parts { details: None, state: None, large_image: None, large_text: None, ..parts() };
        let bare = Parts { started_at: Timestamp::UNIX_EPOCH, member_list: MemberList::Name, ..bare };
        assert_eq!(json_of(&bare.whole()), json!({"name": "Codex", "type": 0, "status_display_type": 0}));
    }

    #[test]
    fn clearing_sends_null() {
        let body: Value = serde_json::from_slice(&set_activity(7, &Payload::Clear, 42).unwrap()).unwrap();
        assert_eq!(body, json!({"cmd": "SET_ACTIVITY", "args": {"pid": 42, "activity": null}, "nonce": "7"}));
    }
}
