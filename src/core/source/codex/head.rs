//! Reads the first bytes of a Codex line: enough to recognise its kind without parsing it.

/// `{"timestamp":"…",("ordinal":N,)"type":"…","payload":{("type":"…")`, exactly in Codex's order and spacing. Other
/// lines are left to the JSON parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) timestamp: &'a str,
    pub(super) ordinal: Option<u64>,
    pub(super) kind: &'a str,
    pub(super) payload_kind: Option<&'a str>,
    /// From the payload's brace to the end of the line.
    pub(super) payload: &'a [u8],
    /// The bytes after the payload's kind.
    pub(super) rest: &'a [u8],
}

impl<'a> Head<'a> {
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let (timestamp, rest) = string(line.strip_prefix(b"{\"timestamp\":")?)?;
        let (ordinal, rest) = match rest.strip_prefix(b",\"ordinal\":") {
            Some(rest) => digits(rest).map(|(number, rest)| (Some(number), rest))?,
            None => (None, rest),
        };
        let (kind, rest) = string(rest.strip_prefix(b",\"type\":")?)?;
        let payload = rest.strip_prefix(b",\"payload\":")?;
        let rest = payload.strip_prefix(b"{")?;
        let (payload_kind, rest) = match rest.strip_prefix(b"\"type\":").and_then(string) {
            Some((kind, rest)) => (Some(kind), rest),
            None => (None, rest),
        };
        Some(Self { timestamp, ordinal, kind, payload_kind, payload, rest })
    }
}

/// A short JSON string without escapes, and the bytes after it.
pub(super) fn string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\"")?;
    let near = rest.get(..rest.len().min(128))?;
    let end = memchr::memchr2(b'"', b'\\', near)?;
    let (text, after) = rest.split_at_checked(end)?;
    let after = after.strip_prefix(b"\"")?;
    Some((std::str::from_utf8(text).ok()?, after))
}

fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    let (number, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_orders_that_codex_writes() {
        let plain = Head::read(
            br#"{"timestamp":"t","type":"event_msg","payload":{"type":"token_count","info":null}}"#,
        )
        .unwrap();
        assert_eq!((plain.kind, plain.payload_kind, plain.ordinal), ("event_msg", Some("token_count"), None));
        let numbered =
            Head::read(br#"{"timestamp":"t","ordinal":14,"type":"compacted","payload":{"message":""}}"#)
                .unwrap();
        assert_eq!((numbered.kind, numbered.payload_kind, numbered.ordinal), ("compacted", None, Some(14)));
    }

    #[test]
    fn other_lines_are_left_to_the_parser() {
        for line in [
            &br#"{ "timestamp":"t","type":"x","payload":{}}"#[..],
            br#"{"type":"x","payload":{}}"#,
            b"",
            b"{\"timestamp\":\"t",
            br#"{"timestamp":"\n","type":"x","payload":{}}"#,
        ] {
            assert_eq!(Head::read(line), None);
        }
    }
}
