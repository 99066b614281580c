//! Parses the head of an HTTP/1.1 request or response (RFC 6455 §4, RFC 9112).
//!
//! A head is a first line and fields, up to the empty line. This file also parses lists of values, where
//! most learners' handshakes go wrong: a field may have several lines, and each line several values.

use crate::switch::{Switch::*, has};

/// The head of a request or response.
pub struct Head {
    /// The request line or status line.
    pub first: String,
    /// Names and values in their order, values without the spaces around them.
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head, which ends with an empty line. `None` if it isn't one.
    pub fn parse(bytes: &[u8]) -> Option<Head> {
        let text: String = bytes.iter().map(|&byte| byte as char).collect();
        let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
        let first = lines.next()?.to_string();
        let mut fields = Vec::new();
        for line in lines {
            let separator = if has(SpaceAfterColonNeeded) { ": " } else { ":" };
            let Some((name, value)) = line.split_once(separator) else {
                if has(SpaceAfterColonNeeded) {
                    continue;
                }
                return None;
            };
            if name.is_empty() || name.contains([' ', '\t']) && !has(SpaceBeforeColonAccepted) {
                return None;
            }
            let value = if has(KeyUntrimmed) && name.eq_ignore_ascii_case("Sec-WebSocket-Key") {
                value.strip_prefix(' ').unwrap_or(value)
            } else if has(OneSpaceStripped) {
                value.strip_prefix(' ').unwrap_or(value).trim_end()
            } else if has(TrailingSpaceKept) {
                value.trim_start_matches([' ', '\t'])
            } else if has(TabNotTrimmed) {
                value.trim_matches(' ')
            } else {
                value.trim_matches([' ', '\t'])
            };
            fields.push((name.to_string(), value.to_string()));
        }
        if has(KeyCutWhenLast)
            && let Some((name, value)) = fields.last_mut()
            && name.eq_ignore_ascii_case("Sec-WebSocket-Key")
        {
            value.pop();
        }
        if has(UnknownFieldsRefused) && fields.iter().any(|(name, _)| !known(name)) {
            return None;
        }
        if has(SixteenFieldsAtMost) && fields.len() > 16 {
            return None;
        }
        Some(Head { first, fields })
    }

    /// The value of each line with this name.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        let same = |other: &str| {
            if has(FieldNameCase) { other == name } else { other.eq_ignore_ascii_case(name) }
        };
        let mut lines: Vec<&str> = self
            .fields
            .iter()
            .filter(|(other, _)| same(other))
            .map(|(_, value)| value.as_str())
            .collect();
        if has(FirstLineOnly) {
            lines.truncate(1);
        }
        if has(LastLineOnly) {
            lines.drain(..lines.len().saturating_sub(1));
        }
        lines
    }

    /// The value of a field that must stand on exactly one line.
    pub fn only(&self, name: &str) -> Option<&str> {
        match self.lines(name)[..] {
            [value] => Some(value),
            [value, ..] if has(TwoKeysAccepted) && name == "Sec-WebSocket-Key" => Some(value),
            [value, ..] if has(TwoHostsAccepted) && name == "Host" => Some(value),
            [value, ..] if has(TwoVersionsAccepted) && name == "Sec-WebSocket-Version" => {
                Some(value)
            }
            [value, ..] if has(TwoAcceptsAccepted) && name == "Sec-WebSocket-Accept" => Some(value),
            _ => None,
        }
    }

    /// The values of all lines with this name, each line taken as a list.
    pub fn list(&self, name: &str) -> Vec<String> {
        let comma = if has(ListNeedsSpace) { ", " } else { "," };
        let lines = self.lines(name);
        lines
            .iter()
            .flat_map(|line| line.split(comma))
            .map(|item| item.trim().to_string())
            .collect()
    }

    /// Whether the list in this field holds this token, in any letter case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        if has(ConnectionWhole) && name == "Connection" || has(UpgradeWhole) && name == "Upgrade" {
            return matches!(self.lines(name)[..], [only] if only.eq_ignore_ascii_case(token));
        }
        if has(ConnectionContains) && name == "Connection" {
            return self.lines(name).iter().any(|line| line.to_ascii_lowercase().contains(token));
        }
        if has(ConnectionValueCase) && name == "Connection" {
            return self.list(name).iter().any(|item| item == "Upgrade");
        }
        if has(UpgradeValueCase) && name == "Upgrade" {
            return self.list(name).iter().any(|item| item == "websocket");
        }
        self.list(name).iter().any(|item| item.eq_ignore_ascii_case(token))
    }
}

/// The fields that a server sees which knows only what the RFC's example has (§1.2).
fn known(name: &str) -> bool {
    let names = ["Host", "Upgrade", "Connection", "Origin"];
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
        || name.to_ascii_lowercase().starts_with("sec-websocket-")
}
