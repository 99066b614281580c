//! Unpredictable bytes, for a client's handshake key and masking keys.
//!
//! If a page could predict a masking key, it could choose the bytes on the wire, and trick a proxy
//! into taking them for a request (RFC 6455 §10.3).
//!
//! std has no random number generator. But each `RandomState`, which seeds the hashers of std's
//! hash maps, holds 128 secret bits from the operating system. [`Random`] computes a secret of 32
//! bytes with four such hashers. It then returns the SHA-1 of that secret and a counter, four bytes
//! at a time. A peer that sees some of these bytes can't compute the others without the secret.

use std::hash::{BuildHasher, RandomState};

use sha1::{Digest, Sha1};

/// A source of unpredictable bytes, for a client's handshake key or for its masking keys.
pub(crate) struct Random {
    secret: [u8; 32],
    blocks: u64,
    block: [u8; 20],
    used: usize,
}

impl Random {
    /// Creates a source with a secret of its own, so that two sources don't return the same bytes.
    pub(crate) fn new() -> Random {
        let mut secret = [0; 32];
        for part in secret.as_chunks_mut::<8>().0 {
            *part = RandomState::new().hash_one(0).to_ne_bytes();
        }
        Random { secret, blocks: 0, block: [0; 20], used: 20 }
    }

    // WALK: random
    /// Returns the next four unpredictable bytes, for a masking key.
    pub(crate) fn next_masking_key(&mut self) -> [u8; 4] {
        if self.used == self.block.len() {
            self.blocks += 1;
            let hash =
                Sha1::new().chain_update(self.secret).chain_update(self.blocks.to_ne_bytes());
            (self.block, self.used) = (hash.finalize().into(), 0);
        }
        let four = [0, 1, 2, 3].map(|i| self.block[self.used + i]);
        self.used += 4;
        four
    }

    /// Returns the next sixteen unpredictable bytes, for a handshake key.
    pub(crate) fn next_handshake_nonce(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for part in bytes.as_chunks_mut::<4>().0 {
            *part = self.next_masking_key();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_four_bytes_come_back_soon_within_a_source_or_between_two() {
        let (mut a, mut b) = (Random::new(), Random::new());
        let seen: HashSet<[u8; 4]> =
            (0..500).flat_map(|_| [a.next_masking_key(), b.next_masking_key()]).collect();
        assert!(seen.len() > 990, "{} of 1000 differ", seen.len());
    }

    #[test]
    fn each_bit_is_set_about_half_of_the_time() {
        let mut random = Random::new();
        let mut set = [0; 32];
        for _ in 0..4_000 {
            let bits = u32::from_ne_bytes(random.next_masking_key());
            (0..32).for_each(|i| set[i] += bits >> i & 1);
        }
        assert!(set.iter().all(|count| (1_700..2_300).contains(count)), "{set:?}");
    }
}
