//! The threads of a connection, in every order that a model checker (shuttle) can think of.
//!
//! What is compiled here is the library's own source, as it stands in `src`: only the threads, locks and
//! clocks of `std` are exchanged for those of [`model`] on the way (see `build.rs`), so that the checker
//! decides at each step of each thread who is next. What must hold, whatever it decides:
//!
//! - Frames of several threads never mix, nor fragments of two messages.
//! - Nothing is written behind a Close, and there is one Close.
//! - What a call has taken is written; what it refused is not.
//! - A pong goes out that was asked for during a long write, and a Close that was.
//! - What was queued, or had begun, or is being answered while the server stops, goes out before the Close.
//! - However a connection ends (closed by anybody, dropped, cut, with its server), nobody is left who waits.
//!
//! Three scenarios are small enough for all orders that there are, and of a fourth a million are run; the
//! others are run in many, some of
//! them at random, some with few changes of thread, in which most faults show. Orders are those of a
//! machine on which each thread sees at once what another has written (`SeqCst`): what weaker orderings
//! allow is not seen here. `write_half.rs` uses no other; the counters, which do, steer nothing.
//!
//! `run` takes the guards away, too, one at a time. Without "settling after a write", for instance, a
//! pong that was left during that write stays in its slot: the peer waits for its answer, we for the
//! peer, and the checker says `deadlock`.

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
const WHOLE: [Scenario; 4] = [
    ("a pong beside a send", scenarios::a_pong_beside_a_send),
    ("a close beside a send", scenarios::a_close_beside_a_send),
    ("a failure beside a send", scenarios::a_failure_beside_a_send),
    ("a close beside a feed", scenarios::a_close_beside_a_feed),
];

const SAMPLED: [Scenario; 14] = [
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
