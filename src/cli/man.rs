//! `tidings man`

use std::path::PathBuf;

use clap::Args;

use super::{DONE, Ended, Failure, output};

/// `tidings man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder instead of printing the main one
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> Ended {
    match &args.output {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(super::definition(), folder))
                .map_err(|error| {
                    Failure::new(format!("{} cannot be written: {error}", folder.display()))
                })?;
        }
        None => {
            let mut bytes = Vec::new();
            clap_mangen::Man::new(super::definition())
                .render(&mut bytes)
                .map_err(|error| Failure::new(format!("the page cannot be made: {error}")))?;
            output::text(&String::from_utf8_lossy(&bytes))?;
        }
    }
    Ok(DONE)
}
