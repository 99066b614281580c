//! A decoder at one end, and the events that it returns for the bytes that a test gives it.

use ws101::frames::assembler::Bounds;
use ws101::frames::buffer::Buffer;
use ws101::frames::decoder::{Decoder, Event};
use ws101::frames::deflate;
use ws101::frames::header::Role;
use ws101::handshake::deflate_params::{DeflateConfig, DeflateParams};

use crate::rfc::Reader;

pub const READERS: [Reader; 2] = [Reader::Server, Reader::Client];

/// A key of which no byte is zero, so that a mask that is forgotten shows.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub struct Ear {
    incoming: Decoder,
    pub events: Vec<Event>,
    /// The close code that the peer would be told.
    pub failed_with: Option<u16>,
}

impl Ear {
    pub fn new(reader: Reader) -> Ear {
        Ear::within(reader, u64::MAX)
    }

    pub fn within(reader: Reader, max_message: u64) -> Ear {
        let bounds = Bounds { max_message, max_fragments: u64::MAX };
        let incoming = Decoder::new(role(reader), bounds, Buffer::default());
        Ear { incoming, events: Vec::new(), failed_with: None }
    }

    /// As after a handshake that agreed on permessage-deflate. Needs the feature `deflate`.
    pub fn inflating(mut self, reader: Reader) -> Ear {
        let agreed = Some((DeflateParams::default(), DeflateConfig::default()));
        let (inflater, _) = deflate::inflater_and_deflater(role(reader), agreed, u64::MAX);
        self.incoming = self.incoming.inflating(inflater);
        self
    }

    pub fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.incoming.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.incoming.filled(count);
            bytes = &bytes[count..];
        }
        loop {
            match self.incoming.next_event() {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => return,
                Err(violation) => {
                    assert_eq!(self.failed_with, None, "it had failed already");
                    self.failed_with = Some(violation.close_code().0);
                }
            }
        }
    }
}

pub fn role(reader: Reader) -> Role {
    match reader {
        Reader::Server => Role::Server,
        Reader::Client => Role::Client,
    }
}

/// A whole frame of up to 125 bytes for this reader: masked, if that is the server.
pub fn frame_for(reader: Reader, first: u8, payload: &[u8]) -> Vec<u8> {
    match reader {
        Reader::Client => [&[first, payload.len() as u8], payload].concat(),
        Reader::Server => {
            let front = [first, 0x80 | payload.len() as u8];
            [&front, &key_and_payload(reader, payload)[..]].concat()
        }
    }
}

/// What follows the length: the key, if the reader is a server, and the payload under it.
pub fn key_and_payload(reader: Reader, payload: &[u8]) -> Vec<u8> {
    match reader {
        Reader::Client => payload.into(),
        Reader::Server => {
            let masked = payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key);
            KEY.into_iter().chain(masked).collect()
        }
    }
}
