//! Which checks a check builds on. If a check fails because a simpler one already fails, the coach
//! skips it and names the simpler one.
//!
//! For example, a server that takes one read for one frame also fails checks of fragments, pings and large messages. If
//! the coach showed all these failures, a learner would look in the wrong place.

/// Returns the ids of the checks that this check builds on, all of them from other areas.
pub fn needs(id: &str) -> Vec<&'static str> {
    let (area, name) = id.split_once('/').unwrap_or((id, ""));
    let named = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let mut needs = Vec::new();
    match area {
        "head" if name == "frame-cut-by-packet" => needs.extend(PIECES),
        "head" if name == "frames-in-same-packet" => needs.extend(IN_TURN),
        "frame" => needs.push("accept/nothing-behind"),
        "lengths" => {
            needs.extend(["frame/text", "stream/large-in-pieces", "stream/cut-in-payload"])
        }
        "stream" | "ping" | "close" | "fragments" | "utf8" | "rules" | "many" | "deflate" => {
            needs.extend(IN_TURN);
        }
        _ => {}
    }
    let glued = matches!(area, "fragments" | "deflate")
        || named(&[
            "in-same-packet",
            "in-one-write",
            "many",
            "not-echoed",
            "unasked",
            "beside",
            "inside-message",
        ])
        || named(&["once", "data-after"]);
    if glued && matches!(area, "head" | "ping" | "close" | "fragments" | "deflate") {
        needs.push("stream/two-in-one-write");
    }
    if name == "in-pieces" && area != "stream" {
        needs.extend(PIECES);
    }
    if area != "frame" && named(&["binary", "nul"]) {
        needs.extend(["frame/kind-binary", "frame/binary-all-bytes"]);
    }
    needs.extend(match id {
        "ping/pong-frame" | "close/answer-frame" => {
            &["frame/unmasked", "frame/masked", "frame/no-reserved-bits"][..]
        }
        "fragments/of-126" => &["lengths/text-126"],
        "fragments/pong-between" => &["ping/unasked-pong", "frame/kind-text"],
        "fragments/cut-in-character" => &["utf8/three-bytes", "frame/kind-text"],
        "utf8/cut-in-last-fragment" | "utf8/in-second-fragment" => &["fragments/two"],
        "rules/unmasked-later" | "rules/rsv-on-continuation" => &["fragments/two"],
        "rules/length-16-for-125" | "rules/length-16-for-0" => {
            &["lengths/binary-126", "lengths/binary-256"]
        }
        "rules/others-unharmed" => &["many/two-at-once"],
        "deflate/fragments" | "deflate/ping-between" => {
            &["fragments/two", "fragments/ping-between"]
        }
        "deflate/pong-uncompressed" => &["ping/payload", "ping/payload-125"],
        "deflate/empty" => &["lengths/text-0"],
        "deflate/not-utf8" => &["utf8/no-such-byte", "utf8/lone-continuation"],
        "deflate/rsv1-on-ping" | "deflate/rsv1-on-continuation" => &["rules/rsv1"],
        _ if id.starts_with("fragments/") => &["frame/kind-text"],
        _ if id.starts_with("rules/length-") => &["lengths/binary-65536"],
        _ => &[],
    });
    needs.retain(|need| !need.starts_with(&format!("{area}/")));
    needs
}

/// The checks that show that the peer joins a frame that comes in pieces.
const PIECES: [&str; 2] = ["stream/byte-by-byte", "stream/cut-in-payload"];
/// The checks that show that the peer echoes several messages on one connection, each with another
/// mask.
const IN_TURN: [&str; 3] = ["frame/text", "frame/ten-in-turn", "frame/another-mask"];
