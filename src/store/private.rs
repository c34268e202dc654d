//! How the state's files are made: nobody else of the machine reads them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;

/// For a file that is written anew from its beginning.
pub(super) fn fresh() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

/// For a file that keeps what it holds, and is made where it is absent.
pub(super) fn kept() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}
