//! The protocol by itself, through its public face: vectors, every split, both roles.
