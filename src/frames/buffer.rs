//! The receive buffer holds received bytes that aren't parsed yet, and space for the next ones.
//!
//! ```text
//! 0         start          end              room.len()
//! |  parsed |  not parsed   |  free space    |
//! ```
//!
//! An idle connection should need little memory, and a busy one should read many bytes at once.
//! Therefore the buffer starts small, and doubles when a read from the stream fills it. It shrinks
//! when recent reads didn't need its size, or when the connection becomes idle.

/// The minimum size, in bytes, of a receive buffer: its size on a new or idle connection.
const MIN_SIZE: usize = 512;
/// The size in bytes up to which a busy connection's receive buffer grows, so that one read can
/// receive several 64 KiB frames.
const MAX_SIZE: usize = 256 * 1024;

/// A connection's receive buffer: bytes that were read from the stream and aren't parsed yet, and
/// free space for the next read.
#[derive(Debug)]
pub struct Buffer {
    room: Vec<u8>,
    start: usize,
    end: usize,
    recent_peak: RecentPeak,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer { room: vec![0; MIN_SIZE], start: 0, end: 0, recent_peak: RecentPeak::default() }
    }
}

impl Buffer {
    /// Returns the received bytes that aren't parsed yet. They're mutable, because the decoder
    /// unmasks payloads in place.
    pub fn unread(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.end]
    }

    /// Returns whether the buffer holds no unread bytes: all received bytes are parsed.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Removes the first `count` unread bytes. The caller must have parsed them.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Discards all unread bytes. The decoder calls this function after a violation or the peer's
    /// Close, because all later bytes must be ignored.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Returns the buffer's free space, into which the caller must read the stream's next bytes.
    /// The space is never empty, because a read into an empty slice would look like the end of the
    /// stream.
    pub fn space(&mut self) -> &mut [u8] {
        // Moving the unread bytes to the front is cheap, because the parser leaves at most the
        // beginning of a header.
        if self.start > 0 {
            self.room.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.room.len() {
            self.resize(self.room.len() * 2);
        }
        &mut self.room[self.end..]
    }

    /// Records that the caller has read `count` bytes into the buffer's free space. If they filled
    /// the space, the buffer doubles, up to 256 KiB. After every 32 reads, the buffer shrinks if
    /// none of these reads needed more than a quarter of it. Its new size is then twice the largest
    /// need, but at least 1 KiB.
    pub fn filled(&mut self, count: usize) {
        let filled_up = count == self.room.len() - self.end;
        self.end += count;
        let peak = self.recent_peak.note(self.end);
        if filled_up && self.room.len() < MAX_SIZE {
            self.resize(self.room.len() * 2);
        } else if let Some(peak) = peak
            && 4 * peak.max(MIN_SIZE) <= self.room.len()
        {
            self.resize(2 * peak.max(MIN_SIZE));
        }
    }

    /// Shrinks the buffer to its minimum size, unless it holds unread bytes. Called by the
    /// connection's reading thread when no bytes have arrived for a while.
    pub fn free_idle_memory(&mut self) {
        if self.start == self.end && self.room.len() > MIN_SIZE {
            *self = Buffer::default();
        }
    }

    fn resize(&mut self, room: usize) {
        self.room.resize(room, 0);
        self.room.shrink_to_fit();
    }
}

/// The largest amount of memory that a receive buffer or a batch has recently needed. This peak
/// decides how far the memory shrinks.
#[derive(Debug, Default)]
pub struct RecentPeak {
    count: u32,
    peak: usize,
}

impl RecentPeak {
    /// Records `needed`, the number of bytes of memory that a read or a batch needed. Every 32nd
    /// call returns the largest of the last 32 such numbers, so that the caller can shrink its
    /// memory. All other calls return `None`.
    #[inline]
    pub fn note(&mut self, needed: usize) -> Option<usize> {
        const RECENT: u32 = 32;
        (self.count, self.peak) = (self.count + 1, self.peak.max(needed));
        (self.count == RECENT).then(|| std::mem::take(self).peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_while_the_buffer_grows_and_shrinks() {
        let mut buffer = Buffer::default();
        let (mut written, mut read) = (0u8, 0u8);
        for round in 0..2_000 {
            let space = buffer.space();
            let count = space.len().min(1 + round * 7 % 9_000);
            for byte in &mut space[..count] {
                *byte = written;
                written = written.wrapping_add(1);
            }
            buffer.filled(count);
            let take = buffer.unread().len().min(round * 11 % 9_500);
            for &byte in &buffer.unread()[..take] {
                assert_eq!(byte, read);
                read = read.wrapping_add(1);
            }
            buffer.consume(take);
            buffer.free_idle_memory();
        }
    }

    #[test]
    fn an_idle_buffer_holds_little_again_after_it_was_large() {
        let mut buffer = Buffer::default();
        for _ in 0..20 {
            let count = buffer.space().len();
            buffer.filled(count);
            buffer.consume(count);
        }
        assert_eq!(buffer.space().len(), MAX_SIZE);
        buffer.free_idle_memory();
        assert_eq!(buffer.space().len(), MIN_SIZE);
    }

    #[test]
    fn the_buffer_shrinks_when_the_last_reads_did_not_need_it_and_keeps_unread_bytes() {
        let mut buffer = Buffer::default();
        while buffer.room.len() < MAX_SIZE {
            let count = buffer.space().len();
            buffer.filled(count);
        }
        buffer.clear();
        let mut say = |needed: usize| {
            buffer.consume(buffer.end - buffer.start);
            buffer.space()[..needed].fill(b'!');
            buffer.filled(needed);
            assert!(buffer.unread() == vec![b'!'; needed]);
            buffer.room.len()
        };
        // One of the earlier reads needed the whole buffer.
        (0..100).for_each(|_| assert!(say(MAX_SIZE / 4 + 1) == MAX_SIZE));
        let rooms: Vec<usize> = (0..100).map(|_| say(2000)).collect();
        assert_eq!(rooms.last(), Some(&4000));
        let rooms: Vec<usize> = (0..100).map(|_| say(1)).collect();
        assert_eq!(rooms.last(), Some(&(2 * MIN_SIZE)));
    }

    /// Puts `count` bytes into the buffer, as one read would.
    fn fill(buffer: &mut Buffer, count: usize) {
        assert!(buffer.space().len() >= count);
        buffer.filled(count);
    }

    #[test]
    fn unread_bytes_move_to_the_front_so_that_the_buffer_need_not_grow() {
        let mut buffer = Buffer::default();
        fill(&mut buffer, 1);
        for _ in 0..100 {
            fill(&mut buffer, MIN_SIZE - 2);
            buffer.consume(MIN_SIZE - 2);
        }
        assert_eq!((buffer.unread().len(), buffer.room.len()), (1, MIN_SIZE));
    }

    #[test]
    fn the_buffer_doubles_when_one_read_or_several_fill_it_and_again_while_it_is_full() {
        let mut buffer = Buffer::default();
        fill(&mut buffer, MIN_SIZE / 2);
        assert_eq!(buffer.room.len(), MIN_SIZE);
        fill(&mut buffer, MIN_SIZE / 2);
        assert_eq!(buffer.room.len(), 2 * MIN_SIZE);
        while buffer.unread().len() < MAX_SIZE {
            let count = buffer.space().len();
            fill(&mut buffer, count);
        }
        assert_eq!(buffer.room.len(), MAX_SIZE, "a parser will take some of it first");
        assert_eq!(buffer.space().len(), MAX_SIZE, "but if not, there is room");
    }
}
