//! Explains a whole conversation: both directions, from the first request to the last Close.
//!
//! ```text
//! client ── request ──────────────────► frames    a WebSocket
//! server ── (interim) ─► response ────► frames
//!
//! client ── request ─► body ─► request ─► ..      plain HTTP, on a connection that is kept open
//! server ── response ─► body ─► response ─► ..
//! ```
//!
//! The two directions are read separately, except at a response: its explanation needs the request,
//! and the response decides how the later bytes of both directions are read.

use std::collections::VecDeque;

use super::annotation::{Annotation, AnnotationKind, Run};
use super::frames::FrameExplainer;
use super::heads::body_end::Body;
use super::heads::extensions::Agreed;
use super::heads::{
    AfterRequest, AfterResponse, ArrivingHead, ConnectionReuse, EndedHead, ParsedRequest, Settings,
    request, response,
};
use crate::frames::header::Role;

/// The maximum number of HTTP requests that may wait for a response. Once that many wait, the
/// explainer only counts the client's later bytes, so that a flood of requests can't fill the
/// memory.
const MAX_UNANSWERED_REQUESTS: usize = 16;

/// An explainer for both directions of a connection. It handles them together, because the server's
/// response decides how to read the later bytes of both directions.
#[derive(Debug)]
pub struct Conversation {
    settings: Settings,
    client: Direction,
    server: Direction,
    /// The requests that are waiting for a response, oldest first. `None` stands for a request that
    /// can't be parsed.
    unanswered: VecDeque<Option<ParsedRequest>>,
}

/// One direction of a conversation: the number of bytes sent so far, and how the explainer reads
/// the next bytes.
#[derive(Debug)]
struct Direction {
    passed: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Head(ArrivingHead),
    Frames(Box<FrameExplainer>),
    Body(Body, Run, ConnectionReuse),
    Ended(Run),
}

impl Conversation {
    /// Creates an explainer for a conversation in which no byte has been sent yet. Its verdicts
    /// follow the rules and limits in `settings`.
    pub fn new(settings: Settings) -> Conversation {
        let direction =
            || Direction { passed: 0, stage: Stage::Head(ArrivingHead::new(&settings, 0)) };
        Conversation {
            client: direction(),
            server: direction(),
            unanswered: VecDeque::new(),
            settings,
        }
    }

    /// Explains the next bytes that `from`, the client or the server, has sent. For each head,
    /// frame or body that these bytes complete, calls `report` with its annotation. A long body
    /// gets an annotation for every 64 KiB.
    pub fn push(&mut self, from: Role, mut bytes: &[u8], report: &mut dyn FnMut(Annotation)) {
        while !bytes.is_empty() {
            let direction = self.direction(from);
            let (mut ended_head, mut ended_body) = (None, false);
            let count = match &mut direction.stage {
                Stage::Head(arriving) => {
                    let (count, end) = arriving.push(bytes);
                    ended_head = end.map(|end| (arriving.start(), arriving.bytes().to_vec(), end));
                    count
                }
                Stage::Frames(frames) => {
                    frames.push(bytes, report);
                    bytes.len()
                }
                Stage::Body(body, run, _) => {
                    let count = body.take(bytes);
                    run.push(&bytes[..count], report);
                    ended_body = body.is_over();
                    count
                }
                Stage::Ended(run) => {
                    run.push(bytes, report);
                    bytes.len()
                }
            };
            direction.passed += count as u64;
            bytes = &bytes[count..];
            if let Some((start, head, end)) = ended_head {
                self.explain_head(from, start, &head, Some(end), report);
            }
            if ended_body {
                self.begin_after_body(from, report);
            }
        }
    }

    /// Ends one direction. Call this when `from` will send no more bytes. Reports any bytes that no
    /// annotation covers yet, such as an incomplete frame.
    pub fn end(&mut self, from: Role, report: &mut dyn FnMut(Annotation)) {
        let direction = self.direction(from);
        let ended = Stage::Ended(Run::new(from, AnnotationKind::Unread, direction.passed));
        match std::mem::replace(&mut direction.stage, ended) {
            Stage::Head(arriving) if !arriving.bytes().is_empty() => {
                self.explain_head(from, arriving.start(), arriving.bytes(), None, report);
                let direction = self.direction(from);
                direction.stage =
                    Stage::Ended(Run::new(from, AnnotationKind::Unread, direction.passed));
            }
            Stage::Head(_) => {}
            Stage::Frames(mut frames) => frames.end(report),
            Stage::Body(_, mut run, _) | Stage::Ended(mut run) => run.report_rest(report),
        }
    }

    /// Returns whether the head of the server's final response has arrived, or the server's stream
    /// has ended. An interim response doesn't count. While the result is `false`, push the bytes of
    /// both directions in the order in which they were sent, because the response decides how to
    /// read the later ones. After a plain HTTP response that keeps the connection open, the result
    /// is `false` again, because another response may follow.
    pub fn is_answered(&self) -> bool {
        !matches!(self.server.stage, Stage::Head(_))
    }

    fn direction(&mut self, from: Role) -> &mut Direction {
        match from {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn explain_head(
        &mut self,
        from: Role,
        start: u64,
        bytes: &[u8],
        end: Option<EndedHead>,
        report: &mut dyn FnMut(Annotation),
    ) {
        match from {
            Role::Client => {
                let (annotation, asked, then) = request(bytes, start, end, &self.settings.rules);
                report(annotation);
                self.unanswered.push_back(asked);
                self.begin_after_request(then, report);
            }
            Role::Server => {
                let asked = self.unanswered.front().and_then(Option::as_ref);
                let (annotation, follows) = response(bytes, start, end, asked);
                report(annotation);
                self.continue_after_response(follows, report);
            }
        }
    }

    /// Decides how to read the client's bytes between its request and the server's response: as
    /// frames, as a body, or not at all.
    fn begin_after_request(&mut self, then: AfterRequest, report: &mut dyn FnMut(Annotation)) {
        let at = self.client.passed;
        let ended = matches!(self.server.stage, Stage::Ended(_));
        self.client.stage = match then {
            AfterRequest::Frames => {
                let bounds = self.settings.bounds;
                Stage::Frames(Box::new(FrameExplainer::new(Role::Client, at, bounds)))
            }
            AfterRequest::Body(body) if !ended => {
                return self.begin_body(Role::Client, body, ConnectionReuse::Open, report);
            }
            AfterRequest::Body(_) | AfterRequest::Nothing => {
                Stage::Ended(Run::new(Role::Client, AnnotationKind::Unread, at))
            }
        };
    }

    fn begin_body(
        &mut self,
        from: Role,
        body: Body,
        keeps: ConnectionReuse,
        report: &mut dyn FnMut(Annotation),
    ) {
        let is_over = body.is_over();
        let direction = self.direction(from);
        let run = Run::new(from, AnnotationKind::Body, direction.passed);
        direction.stage = Stage::Body(body, run, keeps);
        if is_over {
            self.begin_after_body(from, report);
        }
    }

    /// Ends an HTTP body. If the connection stays open, the next bytes are another head. Otherwise,
    /// or if `from` is a client with too many unanswered requests, the next bytes are only counted.
    fn begin_after_body(&mut self, from: Role, report: &mut dyn FnMut(Annotation)) {
        let too_many = from == Role::Client && self.unanswered.len() >= MAX_UNANSWERED_REQUESTS;
        let at = self.direction(from).passed;
        let arriving = ArrivingHead::new(&self.settings, at);
        let direction = self.direction(from);
        let Stage::Body(_, run, keeps) = &mut direction.stage else { return };
        run.report_rest(report);
        direction.stage = match *keeps {
            ConnectionReuse::Open if too_many => Stage::Body(
                Body::UntilEnd,
                Run::new(from, AnnotationKind::Body, at),
                ConnectionReuse::Closed,
            ),
            ConnectionReuse::Open => Stage::Head(arriving),
            ConnectionReuse::Closed => Stage::Ended(Run::new(from, AnnotationKind::Unread, at)),
        };
    }

    /// Decides how to read both directions after the server's response. If frames follow, but the
    /// explainer has collected client bytes as the start of another request, it explains these
    /// bytes as frames instead.
    fn continue_after_response(
        &mut self,
        follows: AfterResponse,
        report: &mut dyn FnMut(Annotation),
    ) {
        match follows {
            AfterResponse::Response => {
                let arriving = ArrivingHead::new(&self.settings, self.server.passed);
                self.server.stage = Stage::Head(arriving);
            }
            AfterResponse::Body(body, keeps) => {
                self.unanswered.pop_front();
                self.begin_body(Role::Server, body, keeps, report);
                self.continue_client_after_refusal(keeps, report);
            }
            AfterResponse::Frames(agreed) => {
                self.unanswered.clear();
                let frames = |from, start| frames_stage(from, start, &self.settings, agreed);
                self.server.stage = frames(Role::Server, self.server.passed);
                match &mut self.client.stage {
                    // The client's first request is incomplete, so the client's next bytes belong
                    // to it. But if the client has sent nothing yet, the conversation begins in the
                    // middle, and the client's next bytes are frames.
                    Stage::Head(arriving)
                        if arriving.start() == 0 && !arriving.bytes().is_empty() => {}
                    Stage::Frames(frames) => set_agreed(frames, agreed),
                    Stage::Head(arriving) => {
                        let (start, bytes) = (arriving.start(), arriving.bytes().to_vec());
                        self.client.stage = frames(Role::Client, start);
                        if let Stage::Frames(frames) = &mut self.client.stage {
                            frames.push(&bytes, report);
                        }
                    }
                    Stage::Body(_, run, _) | Stage::Ended(run) => {
                        run.report_rest(report);
                        self.client.stage = frames(Role::Client, self.client.passed);
                    }
                }
            }
        }
    }

    /// Stops reading the client's bytes as frames, because the response opens no WebSocket. The
    /// client's next bytes are read as another request if the connection stays open, and if the
    /// client's frames so far are complete, valid and without a Close. Otherwise, the next bytes
    /// are only counted.
    fn continue_client_after_refusal(
        &mut self,
        keeps: ConnectionReuse,
        report: &mut dyn FnMut(Annotation),
    ) {
        let at = self.client.passed;
        let Stage::Frames(frames) = &mut self.client.stage else { return };
        let is_between_frames = frames.is_between_frames();
        frames.end(report);
        self.client.stage = match (is_between_frames, keeps) {
            (true, ConnectionReuse::Open) => Stage::Head(ArrivingHead::new(&self.settings, at)),
            _ => Stage::Ended(Run::new(Role::Client, AnnotationKind::Unread, at)),
        };
    }
}

fn frames_stage(from: Role, start: u64, settings: &Settings, agreed: Agreed) -> Stage {
    let mut frames = FrameExplainer::new(from, start, settings.bounds);
    set_agreed(&mut frames, agreed);
    Stage::Frames(Box::new(frames))
}

fn set_agreed(frames: &mut FrameExplainer, agreed: Agreed) {
    agreed.deflate.into_iter().for_each(|params| frames.agree(params));
    if agreed.unknown {
        frames.note_unknown_extension();
    }
}

/// Explains a client's request, and the bytes that the client sends after it. The response isn't
/// known, so frames are explained as if no extension were agreed on.
pub fn explain_request(bytes: &[u8], settings: &Settings) -> Vec<Annotation> {
    let mut conversation = Conversation::new(settings.clone());
    collect_annotations(|report| {
        conversation.push(Role::Client, bytes, report);
        conversation.end(Role::Client, report);
    })
}

/// Explains a server's response, and the bytes that the server sends after it. `asked` holds the
/// request that the server answers. It's empty if that request isn't known.
pub fn explain_response(bytes: &[u8], asked: &[u8], settings: &Settings) -> Vec<Annotation> {
    let mut conversation = Conversation::new(settings.clone());
    conversation.push(Role::Client, asked, &mut |_| {});
    let mut annotations = collect_annotations(|report| {
        conversation.push(Role::Server, bytes, report);
        conversation.end(Role::Server, report);
    });
    // The response also decides about what the client sent after its request.
    annotations.retain(|annotation| annotation.from == Role::Server);
    annotations
}

/// Explains frames without a handshake before them, as if no extension were agreed on. `from` is
/// the end that sends the frames. The last frame may be incomplete.
pub fn explain_frames(bytes: &[u8], from: Role, settings: &Settings) -> Vec<Annotation> {
    let mut frames = FrameExplainer::new(from, 0, settings.bounds);
    collect_annotations(|report| {
        frames.push(bytes, report);
        frames.end(report);
    })
}

fn collect_annotations(mut explain: impl FnMut(&mut dyn FnMut(Annotation))) -> Vec<Annotation> {
    let mut annotations = Vec::new();
    explain(&mut |annotation| annotations.push(annotation));
    annotations
}
