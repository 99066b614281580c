//! Requests: ws101 answers each as the oracle says, which was written from the text of the RFCs.
//! Every answer is a head that a client can parse.

use ws101::handshake::client::ClientRequest;
use ws101::handshake::server::{Decision, Rules, decide, refusal_of_plain_http};
use ws101::http::head::{Head, Scan};
use ws101::http::request::Request;

use crate::rfc;

pub fn check(data: &[u8]) {
    let (status, answer) = answered(data);
    assert_eq!(status, rfc::answer_to(data), "{}", data.escape_ascii());
    let Some(answer) = answer else { return };
    let end = Scan::new(16 * 1024, 100).advance(&answer);
    let end = end.expect("our own head is one").expect("and whole");
    let head = Head::parse(&answer[..end]).expect("with lines");
    assert!(head.first_line().starts_with(&format!("HTTP/1.1 {}", status.unwrap_or_default())));
    if status == Some(101) {
        let request = Request::parse(data_of_head(data)).expect("it was answered");
        let key = request.header("Sec-WebSocket-Key").expect("it was answered");
        ClientRequest::default().verify(&head, key).expect("our client takes what our server says");
    }
}

fn data_of_head(data: &[u8]) -> &[u8] {
    let end = Scan::new(usize::MAX, usize::MAX).advance(data);
    &data[..end.ok().flatten().unwrap_or(0)]
}

/// The status, and all that goes out with it.
fn answered(data: &[u8]) -> (Option<u16>, Option<Vec<u8>>) {
    let refusal = match Scan::new(usize::MAX, usize::MAX).advance(data) {
        Ok(None) => return (None, None),
        Ok(Some(end)) => {
            let rules = Rules::default();
            let decided = Request::parse(&data[..end]).and_then(|request| {
                let decision = decide(&request, &rules)?;
                Ok((request, decision))
            });
            match decided {
                Ok((_, Decision::Switch(agreement))) => {
                    return (Some(101), Some(agreement.response()));
                }
                Ok((request, Decision::PlainHttp)) => {
                    refusal_of_plain_http(&request, &rules, false)
                }
                Err(refusal) => refusal,
            }
        }
        Err(refusal) => refusal,
    };
    let answer = refusal.response().encode().expect("what we say of a request can be sent");
    (Some(refusal.status()), Some(answer))
}
