//! The batch: encoded frames on their way to the stream, in sending order.
//!
//! ```text
//! copied       header payload header         header payload header
//! not copied                         payload                       payload
//! ```
//!
//! Rules of this file:
//! - Headers and small payloads are copied into one piece of memory, so that a single write can
//!   send all of them.
//! - A large payload that the caller passes by value isn't copied, unless more than half of its
//!   memory is unused. The batch keeps the payload, and remembers its place between the copied
//!   bytes.
//! - A batch is full if it has reached 256 KiB, or keeps two payloads that weren't copied. The
//!   sending thread must write a full batch before it adds another frame.
//! - An empty batch keeps at most 512 KiB of memory for later frames. In the long run, it keeps no
//!   more than twice what recent batches needed.

use super::buffer::RecentPeak;

/// The size, in bytes, from which a batch is full. The sending thread must write a full batch
/// before it adds another frame.
const FULL: usize = 256 * 1024;
/// The maximum number of payloads that a batch keeps instead of copying them. If a batch kept more,
/// each write would consist of many slices. Also, the memory of many payloads would be allocated
/// and freed at once, which is slow.
const MAX_KEPT: usize = 2;
/// The maximum number of slices in one write: two for each kept payload (the bytes before it, and
/// the payload itself), one for the bytes after the last kept payload, and one for the bytes that
/// the caller writes after the batch.
pub const MAX_SLICES: usize = 2 * MAX_KEPT + 2;
/// The maximum size, in bytes, of the memory that an empty batch keeps.
const MAX_IDLE: usize = 512 * 1024;

/// Encoded frames that wait until a thread writes them to the stream.
#[derive(Default)]
pub struct Batch {
    /// The frames' headers, and the payloads that were copied.
    bytes: Vec<u8>,
    /// The payloads that weren't copied, each as `(offset, payload)`. The payload goes out after
    /// the first `offset` bytes of the field `bytes`.
    kept: Vec<(usize, Vec<u8>)>,
    /// The largest size of `bytes` in recent batches. After every 32 batches, `clear` shrinks the
    /// memory of `bytes` to at most twice that size.
    recent_peak: RecentPeak,
}

impl Batch {
    /// Returns the buffer for the headers and for the payloads that are copied, not kept. The
    /// encoder appends both to it.
    pub fn copied_bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Returns the headers and the copied payloads: the whole batch, unless it also keeps payloads
    /// that weren't copied.
    pub fn copied_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a payload at the end of the batch. The payload isn't copied, unless more than half of
    /// its vector's capacity is unused. The caller must already have appended the payload's header
    /// to the copied bytes.
    pub fn keep(&mut self, mut payload: Vec<u8>) {
        payload.shrink_to(2 * payload.len());
        self.kept.push((self.bytes.len(), payload));
    }

    /// Passes the batch's parts to `take`, in sending order: for each kept payload, the copied
    /// bytes before it and the payload itself, and finally the remaining copied bytes. A part may
    /// be empty.
    #[inline]
    pub fn for_each_slice<'a>(&'a self, mut take: impl FnMut(&'a [u8])) {
        let mut start = 0;
        for (end, payload) in &self.kept {
            take(&self.bytes[start..*end]);
            take(payload);
            start = *end;
        }
        take(&self.bytes[start..]);
    }

    /// Returns the batch's size in bytes, including the payloads that it keeps.
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.kept.iter().map(|(_, payload)| payload.len()).sum::<usize>()
    }

    /// Returns whether the batch contains nothing to write. A kept payload needs no check of its
    /// own, because its header is among the copied bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns whether the batch must be written before another frame is added: it has reached 256
    /// KiB, or holds two payloads that weren't copied, which is the maximum.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.kept.len() == MAX_KEPT || self.size() >= FULL
    }

    /// Empties the batch. The caller must have written all of it. Keeps the memory for later
    /// frames, unless it exceeds 512 KiB. After every 32 batches, the memory shrinks to at most
    /// twice what the largest of them needed.
    #[inline]
    pub fn clear(&mut self) {
        let peak = self.recent_peak.note(self.bytes.len());
        self.bytes.clear();
        self.kept.clear();
        if self.bytes.capacity() > MAX_IDLE {
            self.bytes = Vec::new();
        } else if let Some(peak) = peak {
            self.bytes.shrink_to(2 * peak);
        }
    }

    /// Removes the batch's first `count` bytes. The caller must have written them.
    pub fn drop_first(&mut self, count: usize) {
        if count == self.size() {
            return self.clear();
        }
        if !self.kept.is_empty() {
            let mut all = Vec::with_capacity(self.size());
            self.for_each_slice(|slice| all.extend_from_slice(slice));
            (self.bytes, self.kept) = (all, Vec::new());
        }
        self.bytes.drain(..count);
    }

    /// Frees the batch's memory, unless the batch still contains frames. Called when the connection
    /// has become idle.
    pub fn free_idle_memory(&mut self) {
        if self.is_empty() {
            *self = Batch::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_its_memory_for_the_next_one_unless_it_was_huge_or_the_connection_falls_idle() {
        let mut batch = Batch::default();
        let mut room_after = |size: usize| {
            batch.bytes.reserve_exact(size);
            batch.clear();
            batch.bytes.capacity()
        };
        assert_eq!(room_after(MAX_IDLE), MAX_IDLE);
        assert_eq!(room_after(MAX_IDLE + 1), 0);
        assert_eq!(room_after(100), 100);
        batch.free_idle_memory();
        assert_eq!(batch.bytes.capacity(), 0);
    }

    #[test]
    fn a_batch_frees_the_memory_that_the_last_batches_did_not_need() {
        let mut batch = Batch::default();
        batch.bytes.reserve_exact(100_000);
        let mut write = |size: usize| {
            batch.bytes.resize(size, 0);
            batch.clear();
            batch.bytes.capacity()
        };
        (0..100).for_each(|_| assert_eq!(write(50_000), 100_000));
        (0..100).for_each(|_| assert!(write(1_000) <= 100_000));
        assert_eq!(write(0), 2_000);
    }

    /// Returns a batch with `count` payloads that weren't copied, and all bytes that the batch must
    /// send.
    fn keeping(count: usize) -> (Batch, Vec<u8>) {
        let (mut batch, mut all) = (Batch::default(), Vec::new());
        for index in 0..count as u8 {
            let (header, payload) = ([b'h', index], [b'p', index, index]);
            batch.copied_bytes_mut().extend(header);
            batch.keep(payload.to_vec());
            all.extend([&header[..], &payload].concat());
        }
        (batch, all)
    }

    /// Returns the slices that `for_each_slice` passes on.
    fn parts(batch: &Batch) -> Vec<&[u8]> {
        let mut parts = Vec::new();
        batch.for_each_slice(|part| parts.push(part));
        parts
    }

    #[test]
    fn kept_payloads_go_out_after_their_headers_and_two_make_the_batch_full() {
        for count in 0..=MAX_KEPT {
            for end in ["", "end"] {
                let (mut batch, mut all) = keeping(count);
                batch.copied_bytes_mut().extend(end.bytes());
                all.extend(end.bytes());
                assert_eq!((parts(&batch).concat(), batch.size()), (all.clone(), all.len()));
                assert!(parts(&batch).len() < MAX_SLICES);
                assert_eq!(
                    (batch.is_empty(), batch.is_full()),
                    (all.is_empty(), count == MAX_KEPT)
                );
            }
        }
    }

    #[test]
    fn a_batch_of_256_kib_is_full_whether_it_has_copied_its_payloads_or_kept_one() {
        let mut batch = Batch::default();
        batch.copied_bytes_mut().resize(FULL - 1, 0);
        assert!(!batch.is_full());
        batch.keep(vec![0]);
        assert!(batch.is_full());
        batch.clear();
        batch.copied_bytes_mut().resize(FULL, 0);
        assert!(batch.is_full());
    }

    #[test]
    fn the_first_bytes_of_a_batch_can_be_dropped_wherever_they_end() {
        let (_, all) = keeping(2);
        for first in 0..=all.len() {
            for second in first..=all.len() {
                let (mut batch, _) = keeping(2);
                batch.drop_first(first);
                batch.drop_first(second - first);
                assert_eq!(parts(&batch).concat(), all[second..]);
                assert_eq!(batch.size(), all.len() - second);
            }
        }
    }

    #[test]
    fn a_kept_payload_holds_at_most_twice_its_size() {
        let mut batch = Batch::default();
        let mut payload = Vec::with_capacity(1000);
        payload.extend([0; 10]);
        batch.keep(payload);
        assert!(batch.kept[0].1.capacity() <= 20);
    }

    #[test]
    fn a_cleared_batch_keeps_no_payload() {
        let (mut batch, _) = keeping(2);
        batch.clear();
        assert_eq!((parts(&batch).concat(), batch.size(), batch.is_full()), (vec![], 0, false));
    }
}
