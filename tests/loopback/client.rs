//! The client against servers that speak in bytes.
