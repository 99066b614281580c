//! The areas, in the order of their stages.

use crate::check::Check;

pub mod accept;
mod close;
mod deflate;
mod fragments;
mod frame;
mod head;
mod lengths;
mod many;
mod ping;
mod policy;
pub mod refuse;
mod rules;
mod stream;
mod utf8;

/// A stage: its area, what it is about, its chapter of the course, and its checks.
pub struct Stage {
    pub area: &'static str,
    pub title: &'static str,
    pub checks: &'static [Check],
}

const fn stage(area: &'static str, title: &'static str, checks: &'static [Check]) -> Stage {
    Stage { area, title, checks }
}

/// All stages; the first is stage 1.
pub const STAGES: &[Stage] = &[
    stage("head", "the request, in every form", head::CHECKS),
    stage("accept", "the 101, and its proof", accept::CHECKS),
    stage("refuse", "what must not become a WebSocket", refuse::CHECKS),
    stage("frame", "the first frame, and its echo", frame::CHECKS),
    stage("lengths", "payloads of every length", lengths::CHECKS),
    stage("stream", "frames cut and glued", stream::CHECKS),
    stage("ping", "pings and pongs", ping::CHECKS),
    stage("close", "how it ends", close::CHECKS),
    stage("fragments", "messages in several frames", fragments::CHECKS),
    stage("utf8", "a text is UTF-8", utf8::CHECKS),
    stage("rules", "frames that break a rule", rules::CHECKS),
    stage("many", "more than one client", many::CHECKS),
    stage("policy", "who may come, and which subprotocol", policy::CHECKS),
    stage("deflate", "compression", deflate::CHECKS),
];

/// Returns all checks, each with the number of its stage.
pub fn all() -> impl Iterator<Item = (usize, &'static Check)> {
    STAGES.iter().enumerate().flat_map(|(i, stage)| stage.checks.iter().map(move |c| (i + 1, c)))
}

/// Returns the path of a stage's chapter. Stages count from 1.
pub fn chapter(stage: usize) -> String {
    format!("src/walkthrough/course/{stage:02}_{}.md", STAGES[stage - 1].area)
}
