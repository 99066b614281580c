//! Replaces parts of `std` in the library: threads and locks whose every step the model checker
//! orders, and a clock that moves only while a thread sleeps.

pub mod sync {
    pub use shuttle::sync::*;
    // What is initialised once needs no other order than that of the threads who come to it.
    pub use std::sync::OnceLock;
}

pub mod thread {
    pub use shuttle::thread::*;
    pub use std::thread::panicking;

    use super::time::{Duration, pass};

    /// Lets others go first. Meanwhile the time passes.
    pub fn sleep(time: Duration) {
        pass(time);
        yield_now();
    }
}

pub mod time {
    // The date of an answer, which the model never writes, is the system's.
    pub use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use std::cell::Cell;
    use std::ops::{Add, Sub};

    thread_local! {
        // The checker runs all threads of the model in one of the system.
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// The clock moves on.
    pub fn pass(time: Duration) {
        NOW.set(NOW.get().saturating_add(time));
    }

    /// The beginning of time.
    pub fn begin() {
        NOW.set(Duration::ZERO);
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Instant(Duration);

    impl Instant {
        pub fn now() -> Instant {
            Instant(NOW.get())
        }

        pub fn elapsed(self) -> Duration {
            NOW.get() - self.0
        }

        pub fn checked_add(self, time: Duration) -> Option<Instant> {
            self.0.checked_add(time).map(Instant)
        }

        #[cfg(test)]
        pub fn checked_sub(self, time: Duration) -> Option<Instant> {
            self.0.checked_sub(time).map(Instant)
        }

        pub fn checked_duration_since(self, earlier: Instant) -> Option<Duration> {
            self.0.checked_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Instant;

        fn add(self, time: Duration) -> Instant {
            Instant(self.0 + time)
        }
    }

    impl Sub for Instant {
        type Output = Duration;

        fn sub(self, earlier: Instant) -> Duration {
            self.0 - earlier.0
        }
    }
}
