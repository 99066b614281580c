//! All that the coach uses of the library, in one place: constants of the header, the accept, the
//! explainer.

pub use ws101::explain::annotation::Annotation;
pub use ws101::explain::conversation::Conversation;
pub use ws101::explain::heads::Settings;
pub use ws101::explain::text::{Style, annotation};
pub use ws101::frames::header::{
    FIN, LENGTH, LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASK, OPCODE, RSV1, RSV2_RSV3, Role,
    header_length, length_bytes,
};
pub use ws101::frames::mask;
pub use ws101::handshake::accept_key;
pub use ws101::handshake::url::Address;
