//! What the contract names and this version does not do yet.

use std::ffi::OsString;

use clap::Args;

use super::{Ended, Failure};

/// Shown under the list of commands.
pub(super) const HELP: &str = "\
Not active in this version yet:
  send-test

Exit codes: 0 done, 1 failed, 2 plan --detailed-exitcode with changes, 4 something waits for a person, 64 usage, \
78 the configuration is invalid.";

/// Whatever follows.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Anything {
    /// Ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    rest: Vec<OsString>,
}

/// Says so and fails.
pub(super) fn say(verb: &str) -> Ended {
    Err(Failure::new(format!(
        "`{verb}` is not active in this version yet; `tidings --help` lists what is."
    )))
}
