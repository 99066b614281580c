//! The library's own examples, built as a user builds them: `04_echo` is the server that is
//! measured as ws101, and `coach` asks each server whether it keeps to the RFC.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// An example, and with which features it is built.
#[derive(PartialEq)]
pub struct Example {
    pub name: &'static str,
    pub features: &'static str,
}

pub const ECHO: Example = Example { name: "04_echo", features: "" };
pub const ECHO_SIMD: Example = Example { name: "04_echo", features: "simd" };
pub const COACH: Example = Example { name: "coach", features: "deflate" };

impl Example {
    /// Builds it in release, if it isn't there yet as its source is now.
    pub fn build(&self) -> Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let done = Command::new(cargo)
            .args(["build", "--quiet", "--release", "--example", self.name])
            .args(["--features", self.features])
            .arg("--manifest-path")
            .arg(root().join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.target())
            .status()?;
        if done.success() { Ok(()) } else { Err(format!("{} wasn't built", self.name).into()) }
    }

    pub fn program(&self) -> PathBuf {
        self.target().join("release/examples").join(self.name)
    }

    /// A folder for each set of features, so that none overwrites the other's program.
    fn target(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/examples");
        folder.join(if self.features.is_empty() { "default" } else { self.features })
    }
}

/// The folder of the library.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
