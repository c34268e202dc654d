//! `tidings init`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{DONE, Ended, Failure, Global, output, schema};

/// `tidings init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder; made where it is not there
    #[arg(value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// The new workspace's files, schemas apart.
const FILES: &[(&str, &str)] = &[
    ("tidings.yaml", include_str!("init/tidings.yaml")),
    ("campaigns/hello.yaml", include_str!("init/hello.yaml")),
    (
        "campaigns/audiences/customers.csv",
        include_str!("init/customers.csv"),
    ),
    (".env.example", include_str!("init/env.example")),
    (".gitignore", include_str!("init/gitignore")),
    ("sessions/README.md", include_str!("init/sessions.md")),
];

pub(super) fn run(global: &Global, args: &InitArgs) -> Ended {
    let here = global.directory.clone().unwrap_or_default();
    let root = match &args.into {
        Some(directory) => here.join(directory),
        None => here,
    };
    let root = if root.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        root
    };
    let schemas = schema::files();
    let files: Vec<(&str, &str)> = FILES
        .iter()
        .copied()
        .chain(schemas.iter().map(|(path, text)| (*path, text.as_str())))
        .collect();
    refuse_to_overwrite(&root, &files)?;
    for (path, text) in &files {
        schema::write(&root.join(path), text)?;
    }
    let shown = root.display();
    output::line(&format!("A new workspace is in {shown}:"))?;
    for (path, _) in &files {
        output::line(&format!("  {path}"))?;
    }
    output::text(
        "\nNext:\n\
         \x20 1. Copy .env.example to .env and fill in TG_API_ID and TG_API_HASH.\n\
         \x20 2. Log an account in: tidings account login main --phone +…\n\
         \x20 3. Edit campaigns/hello.yaml; it is paused, and nothing is sent.\n\
         \x20 4. `tidings validate`, then `tidings plan`, then `tidings run`.\n",
    )?;
    Ok(DONE)
}

fn refuse_to_overwrite(root: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    let there: Vec<&str> = files
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| root.join(path).symlink_metadata().is_ok())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} already holds {}: nothing was written, and nothing is overwritten. Choose another folder.",
        root.display(),
        there.join(", ")
    )))
}
