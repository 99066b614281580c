//! Runs the threads of a connection in every order that a model checker (shuttle) tries.
//!
//! This crate compiles the library's own source from `src`. Only the threads, locks and clocks of `std` are
//! replaced by those of [`model`] (see `build.rs`), so that after each step the checker decides which thread
//! runs next. In every order, this must hold:
//!
//! - Frames of several threads never mix, nor do fragments of two messages.
//! - There is one Close, and nothing is written after it.
//! - A message that a call has accepted is written; one that it refused isn't.
//! - A pong or a Close that becomes due during a long write is sent after it.
//! - Messages that were queued or begun, and replies that a handler makes while the server stops, are sent
//!   before the Close.
//! - A server that is stopped keeps the grace period of `stop`, even if a drain begins at the same time.
//! - However a connection ends (either end closes it, it's dropped or cut, the server stops), no thread is
//!   left waiting.
//!
//! Four scenarios are small enough for all their orders, and a fifth runs in a million. The
//! others run in many: some at random, and some with few changes of thread, in which most faults
//! show. The checker assumes that each thread sees at once what another has written (`SeqCst`), so
//! it doesn't find faults of weaker orderings. `write_half.rs` uses only `SeqCst`; the counters use
//! weaker orderings, but decide nothing.
//!
//! `run` also removes the guards, one at a time. For instance, without sending pending control
//! frames after a write, a pong that became due during that write is never sent: the peer waits for
//! its pong, we wait for the peer, and the checker says `deadlock`.

mod model;
mod scenarios;
mod wire;

include!(concat!(env!("OUT_DIR"), "/library.rs"));

use std::time::Instant;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

type Scenario = (&'static str, fn());

/// More orders than the small scenarios have, but for the first of them, which has some four million.
const MOST: usize = 1_000_000;

/// Small enough for all orders there are, or nearly.
const WHOLE: [Scenario; 5] = [
    ("a pong beside a send", scenarios::a_pong_beside_a_send),
    ("a close beside a send", scenarios::a_close_beside_a_send),
    ("a failure beside a send", scenarios::a_failure_beside_a_send),
    ("a close beside a feed", scenarios::a_close_beside_a_feed),
    ("a look beside a flush", scenarios::a_look_beside_a_flush),
];

const SAMPLED: [Scenario; 15] = [
    ("sends and pings", scenarios::sends_and_pings),
    ("a pong within a long message", scenarios::a_pong_within_a_long_message),
    ("a close from elsewhere", scenarios::a_close_from_elsewhere),
    ("everybody closes", scenarios::everybody_closes),
    ("a drop with a full outbox", scenarios::a_drop_with_a_full_outbox),
    ("a cut while nothing is taken", scenarios::a_cut_while_nothing_is_taken),
    ("a drop while nothing is taken", scenarios::a_drop_while_nothing_is_taken),
    ("the server stops", scenarios::the_server_stops),
    ("a close with a full outbox", scenarios::a_close_with_a_full_outbox),
    ("a close beside an outbox", scenarios::a_close_beside_an_outbox),
    ("a close of the peer with a full outbox", scenarios::a_close_of_the_peer_with_a_full_outbox),
    ("a close within a long message", scenarios::a_close_within_a_long_message),
    (
        "the server stops while a handler answers",
        scenarios::the_server_stops_while_a_handler_answers,
    ),
    ("a drain beside a stop", scenarios::a_drain_beside_a_stop),
    // The last one, because it takes longest and only one guard needs it.
    ("large messages", scenarios::large_messages),
];

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("guards") {
        return print!("{}", include_str!(concat!(env!("OUT_DIR"), "/guards")));
    }
    let orders = argument.map_or(10_000, |orders| orders.parse().expect("a number of orders"));
    let wanted = std::env::args().nth(2);
    if let Some(wanted) = &wanted {
        let is_known = |scenarios: &[Scenario]| scenarios.iter().any(|(name, _)| name == wanted);
        if !is_known(&SAMPLED) && !is_known(&WHOLE) {
            // Not a fault that was found: `run` must not take it for one.
            println!("no scenario is called {wanted:?}");
            return;
        }
    }
    let is_wanted = |(name, _): &Scenario| wanted.as_ref().is_none_or(|wanted| wanted == name);
    for scenario in SAMPLED.into_iter().filter(is_wanted) {
        explore(scenario, "at random", RandomScheduler::new(orders));
        explore(scenario, "with few changes of thread", PctScheduler::new(3, orders));
    }
    for scenario in WHOLE.into_iter().filter(is_wanted) {
        explore(scenario, "one after the other", DfsScheduler::new(Some(MOST), false));
    }
}

fn explore((name, scenario): Scenario, how: &str, scheduler: impl Scheduler + 'static) {
    let start = Instant::now();
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    let orders = Runner::new(scheduler, config).run(move || {
        model::time::begin();
        scenario();
    });
    println!("{name}: {orders} orders ({how}) in {:.1} s", start.elapsed().as_secs_f64());
}
