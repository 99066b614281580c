//! Makes a new certificate for each run, for the servers with TLS. The code is that of the
//! library's example.

#[path = "../../../examples/secure/certificate.rs"]
mod made;

use std::fs;
use std::path::PathBuf;

use crate::{Result, peers};

/// The certificate: for the servers to show, and for the load to trust.
pub fn file() -> PathBuf {
    peers::installed("certificate.pem")
}

/// Its key.
pub fn key_file() -> PathBuf {
    peers::installed("key.pem")
}

/// Makes both, and puts them where the servers look for them.
pub fn make() -> Result<()> {
    let made = made::self_signed(&["127.0.0.1"], made::VALID);
    if let Some(folder) = file().parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file(), made.certificate)?;
    fs::write(key_file(), made.key)?;
    Ok(())
}
