//! `tidings schema`

use std::path::Path;

use clap::{Args, ValueEnum};

use super::{DONE, Ended, Failure, Global, output};
use crate::spec::{campaign_schema, tidings_schema};

/// `tidings schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of which file
    #[arg(value_name = "WHICH", default_value = "campaign")]
    pub which: Which,
    /// Write schema/campaign.schema.json and schema/tidings.schema.json of the workspace instead
    #[arg(long)]
    pub write: bool,
}

/// Which schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Of campaigns/**/*.yaml
    Campaign,
    /// Of tidings.yaml
    Tidings,
}

/// The schemas' files, relative to a workspace, and their texts.
pub(super) fn files() -> [(&'static str, String); 2] {
    [
        ("schema/campaign.schema.json", campaign_schema()),
        ("schema/tidings.schema.json", tidings_schema()),
    ]
}

pub(super) fn run(global: &Global, args: &SchemaArgs) -> Ended {
    if args.write {
        let root = global.workspace()?.root;
        for (path, text) in files() {
            write(&root.join(path), &text)?;
            output::line(path)?;
        }
        return Ok(DONE);
    }
    output::text(&match args.which {
        Which::Campaign => campaign_schema(),
        Which::Tidings => tidings_schema(),
    })?;
    Ok(DONE)
}

/// Writes a file and the folders it needs.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let fail = |error: std::io::Error| {
        Failure::new(format!("{} cannot be written: {error}", path.display()))
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    std::fs::write(path, text).map_err(fail)
}
