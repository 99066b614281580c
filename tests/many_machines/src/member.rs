//! A member as a good client is one: it reconnects with chance, sends its position, checks each offset, and sends
//! again what was not confirmed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use ws101::{Client, Error, Limits, Message};

/// What a member has heard, and what it was told about it.
#[derive(Clone, Default)]
pub struct Heard {
    /// Epoch, offset, text, in the order in which they came.
    pub list: Vec<(String, u64, String)>,
    pub recovered: usize,
    /// Where in the list it was told to start anew.
    pub anew: Vec<usize>,
    /// An offset that was not the next one.
    pub out_of_order: usize,
}

pub struct Member {
    pub heard: Arc<Mutex<Heard>>,
    /// How many of its messages the store has confirmed, and how many it has sent.
    pub confirmed: Arc<AtomicU64>,
    pub wanted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// `recovers`: whether it sends its position. One that doesn't shows what is missed without.
    pub fn start(balancer: String, name: String, recovers: bool) -> Member {
        let heard = Arc::<Mutex<Heard>>::default();
        let (confirmed, wanted) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let stop = Arc::<AtomicBool>::default();
        let shared = (heard.clone(), confirmed.clone(), wanted.clone(), stop.clone());
        let live = move || {
            let (heard, confirmed, wanted, stop) = shared;
            let mut position: Option<(String, u64)> = None;
            let mut unsaid: VecDeque<u64> = VecDeque::new();
            let (mut number, mut attempts) = (0, 0);
            while !stop.load(SeqCst) {
                let mut url = format!("ws://{balancer}/chat/tea?name={name}&key=key{name}");
                if let (true, Some((epoch, offset))) = (recovers, &position) {
                    url += &format!("&epoch={epoch}&offset={offset}");
                }
                let limits = Limits { head: Duration::from_secs(3), ..Limits::default() };
                let Ok(mut ws) = Client::new(url).limits(limits).connect() else {
                    attempts += 1;
                    let chance = (name.len() as u64 * 37 + number + attempts) % 100;
                    thread::sleep(Duration::from_millis((50 << attempts.min(4)) + chance));
                    continue;
                };
                attempts = 0;
                for number in &unsaid {
                    let _ = ws.send(&*format!("{number} {name}says{number}"));
                }
                loop {
                    if stop.load(SeqCst) {
                        let _ = ws.close(1000, "");
                        break;
                    }
                    if number < wanted.load(SeqCst) {
                        number += 1;
                        unsaid.push_back(number);
                        let _ = ws.send(&*format!("{number} {name}says{number}"));
                    }
                    let text = match ws.recv_timeout(Duration::from_millis(20)) {
                        Ok(Some(Message::Text(text))) => text,
                        Err(Error::TimedOut) => continue,
                        _ => break,
                    };
                    let told: Value = serde_json::from_str(&text).unwrap();
                    let mut heard = heard.lock().unwrap();
                    match told["type"].as_str().unwrap() {
                        "position" => {
                            let epoch = told["epoch"].as_str().unwrap().to_owned();
                            let offset = told["offset"].as_u64().unwrap();
                            match told["recovered"].as_bool() {
                                // The promise: what comes next is what comes after what this member has.
                                Some(true) => {
                                    heard.recovered += 1;
                                    let same = position == Some((epoch.clone(), offset));
                                    heard.out_of_order += usize::from(!same);
                                }
                                Some(false) => {
                                    let length = heard.list.len();
                                    heard.anew.push(length);
                                }
                                None => {}
                            }
                            position = Some((epoch, offset));
                        }
                        "message" => {
                            let (epoch, last) = position.as_mut().unwrap();
                            let offset = told["offset"].as_u64().unwrap();
                            heard.out_of_order += usize::from(offset != *last + 1);
                            *last = offset;
                            let says = told["says"].as_str().unwrap().to_owned();
                            heard.list.push((epoch.clone(), offset, says));
                        }
                        "said" => {
                            let number = told["number"].as_u64().unwrap();
                            unsaid.retain(|unsaid| *unsaid != number);
                            confirmed.store(number, SeqCst);
                        }
                        _ => {}
                    }
                }
            }
        };
        let thread = Some(thread::spawn(live));
        Member { heard, confirmed, wanted, stop, thread }
    }

    pub fn await_confirmed(&self, deadline: Instant) -> bool {
        while self.confirmed.load(SeqCst) < self.wanted.load(SeqCst) {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        self.thread.take().map(JoinHandle::join);
    }
}
