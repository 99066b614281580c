//! Replaces the other files of this folder in builds without the `deflate` feature. This file
//! defines the same names, but doesn't compress.

use super::header::Role;
use super::violation::Violation;
use crate::diagnostic::misuse::Misuse;
use crate::handshake::deflate_params::{DeflateConfig, DeflateParams};

/// Fails for all compression settings, because this build lacks the `deflate` feature. The error
/// names the feature to turn on.
pub fn validate(_: &DeflateConfig) -> Result<(), Misuse> {
    Err(Misuse::NoDeflate)
}

/// Returns `None` for both the inflater and the deflater, because this build lacks the `deflate`
/// feature.
pub fn inflater_and_deflater(
    _: Role,
    _: Option<(DeflateParams, DeflateConfig)>,
    _: u64,
) -> (Option<Box<Inflater>>, Option<Box<Deflater>>) {
    (None, None)
}

/// Replaces the inflater in builds without the `deflate` feature, so that the decoder needn't
/// change. No value of this type can exist, so its functions never run.
#[derive(Debug)]
pub enum Inflater {}

/// Replaces the deflater in builds without the `deflate` feature, so that the encoder needn't
/// change. No value of this type can exist, so its functions never run.
#[derive(Debug)]
pub enum Deflater {}

#[allow(missing_docs)]
impl Inflater {
    pub fn inflate(
        &mut self,
        _: &[u8],
        _: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        match *self {}
    }

    pub fn finish(&mut self) -> Result<(), Violation> {
        match *self {}
    }

    pub fn limit_message(&mut self, _: u64) {
        match *self {}
    }

    pub fn free_idle_memory(&mut self) {
        match *self {}
    }
}

#[allow(missing_docs)]
impl Deflater {
    pub fn wants(&self, _: usize) -> bool {
        match *self {}
    }

    pub fn deflate(&mut self, _: &[u8], _: bool) -> Vec<u8> {
        match *self {}
    }

    pub fn peer_can_read_shared_frames(&self) -> bool {
        match *self {}
    }

    pub fn deflate_shared(&self, _: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub fn forget(&mut self) {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_without_its_feature_is_refused_with_the_name_of_the_feature() {
        let misuse = validate(&DeflateConfig::default()).unwrap_err();
        assert!(misuse.to_string().contains("features = [\"deflate\"]"), "{misuse}");
    }
}
