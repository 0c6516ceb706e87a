//! What Discord's validator says to the arguments of a `SET_ACTIVITY`, in its words.
//!
//! Lengths are JavaScript's: UTF-16 code units.

use serde_json::Value;

/// Discord's code for a payload that breaks a rule.
pub(crate) const INVALID_PAYLOAD: i64 = 4000;

/// Discord's code for a command that breaks a rule.
pub(crate) const INVALID_COMMAND: i64 = 4002;

/// `Err((code, message))` as Discord would answer.
pub(crate) fn validate(args: &Value) -> Result<(), (i64, String)> {
    if !args["pid"].is_u64() {
        return Err((INVALID_COMMAND, "nonzero pid required".to_owned()));
    }
    let activity = &args["activity"];
    if activity.is_null() {
        return Ok(());
    }
    child(args, "activity", is_activity).map_err(|reason| (INVALID_PAYLOAD, reason))
}

type Verdict = Result<(), String>;

fn is_activity(key: &str, value: &Value) -> Verdict {
    is_object(key, value)?;
    child(value, "name", text(1, 128))?;
    child(value, "type", one_of(&[0, 2, 3, 5]))?;
    child(value, "details", text(2, 128))?;
    child(value, "state", text(2, 128))?;
    child(value, "details_url", uri(256))?;
    child(value, "state_url", uri(256))?;
    child(value, "status_display_type", one_of(&[0, 1, 2]))?;
    child(value, "timestamps", |key, value| {
        is_object(key, value)?;
        child(value, "start", number(1))?;
        child(value, "end", number(1))
    })?;
    child(value, "assets", |key, value| {
        is_object(key, value)?;
        for size in ["large", "small"] {
            child(value, &format!("{size}_image"), text(1, 300))?;
            child(value, &format!("{size}_text"), text(2, 128))?;
            child(value, &format!("{size}_url"), uri(256))?;
        }
        Ok(())
    })?;
    child(value, "party", |key, value| {
        is_object(key, value)?;
        child(value, "id", text(2, 128))?;
        child(value, "size", |key, value| match value.as_array() {
            Some(pair) if pair.len() == 2 => Ok(()),
            Some(_) => Err(format!("\"{key}\" must contain 2 items")),
            None => Err(format!("\"{key}\" must be an array")),
        })
    })?;
    child(value, "buttons", |key, value| match value.as_array().map(Vec::as_slice) {
        None => Err(format!("\"{key}\" must be an array")),
        Some([]) => Err(format!("\"{key}\" must contain at least 1 items")),
        Some([_, _, _, ..]) => Err(format!("\"{key}\" must contain less than or equal to 2 items")),
        Some(buttons) => buttons.iter().try_for_each(|button| {
            child(button, "label", text(1, 32))?;
            child(button, "url", uri(512))
        }),
    })
}

/// Checks `object[key]` where it is there, and says where a fault is the way Discord does.
fn child(object: &Value, key: &str, check: impl Fn(&str, &Value) -> Verdict) -> Verdict {
    let Some(value) = object.get(key) else { return Ok(()) };
    check(key, value).map_err(|reason| format!("child \"{key}\" fails because [{reason}]"))
}

fn is_object(key: &str, value: &Value) -> Verdict {
    if value.is_object() { Ok(()) } else { Err(format!("\"{key}\" must be an object")) }
}

fn text(min: usize, max: usize) -> impl Fn(&str, &Value) -> Verdict {
    move |key, value| {
        let Some(text) = value.as_str() else { return Err(format!("\"{key}\" must be a string")) };
        match text.encode_utf16().count() {
            0 => Err(format!("\"{key}\" is not allowed to be empty")),
            units if units < min => Err(format!("\"{key}\" length must be at least {min} characters long")),
            units if units > max => {
                Err(format!("\"{key}\" length must be less than or equal to {max} characters long"))
            }
            _ => Ok(()),
        }
    }
}

fn uri(max: usize) -> impl Fn(&str, &Value) -> Verdict {
    move |key, value| {
        text(1, max)(key, value)?;
        let uri = value.as_str().unwrap_or_default();
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if is_scheme && uri.chars().all(|c| c.is_ascii_graphic()) {
            Ok(())
        } else {
            Err(format!("\"{key}\" must be a valid uri"))
        }
    }
}

fn number(min: i64) -> impl Fn(&str, &Value) -> Verdict {
    move |key, value| {
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        match number {
            None => Err(format!("\"{key}\" must be a number")),
            Some(number) if number < min as f64 => {
                Err(format!("\"{key}\" must be larger than or equal to {min}"))
            }
            Some(_) => Ok(()),
        }
    }
}

fn one_of(allowed: &'static [i64]) -> impl Fn(&str, &Value) -> Verdict {
    move |key, value| {
        if value.as_i64().is_some_and(|number| allowed.contains(&number)) {
            return Ok(());
        }
        let allowed: Vec<String> = allowed.iter().map(i64::to_string).collect();
        Err(format!("\"{key}\" must be one of [{}]", allowed.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(activity: Value, expected: &str) {
        let verdict = validate(&json!({"pid": 1, "activity": activity}));
        let said = verdict.err().map(|(_, reason)| reason).unwrap_or_default();
        assert_eq!(said, expected, "{activity}");
    }

    #[test]
    fn the_fake_is_as_strict_as_discord() {
        let short = "child \"activity\" fails because [child \"details\" fails because [\"details\" length must be at least 2 characters long]]";
        check(json!({"details": "x"}), short);
        check(json!({"details": "中"}), short);
        for fine in [
            json!({}),
            json!({"assets": {}}),
            json!({"details": "🙂"}),
            json!({"details": "  "}),
            json!({"state": "é".repeat(128)}),
            json!({"timestamps": {"start": "1700000000"}}),
            json!({"details_url": "mailto:someone"}),
            json!({"unknown": []}),
        ] {
            check(fine, "");
        }
        for (field, bad) in [
            ("details", json!("")),
            ("details", Value::Null),
            ("state", json!("🙂".repeat(65))),
            ("type", json!(1)),
            ("type", json!(4)),
            ("timestamps", json!({"start": 0})),
            ("party", json!({"size": [1]})),
            ("buttons", json!([])),
            ("assets", json!({"large_text": "x"})),
            ("assets", json!({"large_url": "example.org"})),
            ("assets", json!({"large_url": "https://example.org/a b"})),
        ] {
            let verdict = validate(&json!({"pid": 1, "activity": {field: bad}}));
            assert_eq!(verdict.map_err(|(code, _)| code), Err(INVALID_PAYLOAD), "{field}: {bad}");
        }
        assert_eq!(
            validate(&json!({"activity": {}})),
            Err((INVALID_COMMAND, "nonzero pid required".to_owned()))
        );
    }
}
