//! All that the coach takes of the library, in one place: constants of the header, the accept, the explainer.

pub use ws101::explain::conversation::Conversation;
pub use ws101::explain::heads::Terms;
pub use ws101::explain::print::{Style, account};
pub use ws101::protocol::ask::Address;
pub use ws101::protocol::frame::{
    FIN, LENGTH, LENGTH_IN_16_BITS, LENGTH_IN_64_BITS, MASK, OPCODE, RSV1, RSV2_RSV3, Role,
    header_length, length_bytes,
};
pub use ws101::protocol::key;
pub use ws101::protocol::mask;
