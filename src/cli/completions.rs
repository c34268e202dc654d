//! `tidings completions`

use clap::Args;
use clap_complete::Shell;

use super::{DONE, Ended, output};

/// `tidings completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Ended {
    let mut bytes = Vec::new();
    clap_complete::generate(args.shell, &mut super::definition(), "tidings", &mut bytes);
    output::text(&String::from_utf8_lossy(&bytes))?;
    Ok(DONE)
}
