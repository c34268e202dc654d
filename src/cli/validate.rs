//! `tidings validate`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CONFIG, DONE, Ended, Failure, Global, output};
use crate::control::{Workspace, WorkspaceOptions};
use crate::desired::{History, Resolution};
use crate::spec::{Diagnostic, diagnostic, render};

/// `tidings validate`
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// These specs, or all in these folders; the whole workspace without a path
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The form of what is found
    #[arg(long, value_name = "FORM", default_value = "full")]
    pub format: Form,
    /// Fail on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

/// The form of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// With the source, for people
    Full,
    /// For programs
    Json,
    /// GitHub's workflow commands
    Github,
    /// SARIF 2.1.0
    Sarif,
}

impl From<Form> for render::Format {
    fn from(form: Form) -> render::Format {
        match form {
            Form::Full => render::Format::Full,
            Form::Json => render::Format::Json,
            Form::Github => render::Format::Github,
            Form::Sarif => render::Format::Sarif,
        }
    }
}

/// What is to be checked of one workspace: everything, or these files and folders, relative to it.
type Scope = Option<Vec<String>>;

pub(super) fn run(global: &Global, args: &ValidateArgs) -> Ended {
    let options = global.options();
    let mut all: Vec<Diagnostic> = Vec::new();
    let mut campaigns = 0;
    for (workspace, scope) in scopes(&options, &args.paths)? {
        // No state is opened: who of two files of one name has a history is not known here.
        let resolution = workspace.resolve(&History::default(), None);
        let (mut found, count) = within(resolution, scope.as_deref());
        if scope.is_none() {
            found.extend(same_accounts(&workspace)?);
        }
        // Who annotates a change knows the repository's paths alone.
        if matches!(args.format, Form::Github | Form::Sarif) {
            for diagnostic in &mut found {
                diagnostic.file = in_repository(&workspace.root, &diagnostic.file);
            }
        }
        all.extend(found);
        campaigns += count;
    }
    let counts = render::Counts::of(&all);
    let text = render::render(&all, args.format.into(), output::colour());
    match args.format {
        Form::Full => output::prose(&text)?,
        _ => output::text(&text)?,
    }
    if all.is_empty() && args.format == Form::Full {
        let plural = if campaigns == 1 { "" } else { "s" };
        output::line(&format!("{campaigns} campaign{plural}, no errors"))?;
    }
    let bad = counts.errors > 0 || (args.deny_warnings && counts.warnings > 0);
    Ok(if bad { CONFIG } else { DONE })
}

/// A file of a workspace by its path in the git repository, which knows no way through a link; as the workspace knows it
/// where the workspace is the repository's root or lies in none.
fn in_repository(root: &Path, file: &str) -> String {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = real(root);
    let Some(repository) = root.ancestors().find(|dir| dir.join(".git").exists()) else {
        return file.to_owned();
    };
    let place = real(&root.join(file));
    // A file that is kept elsewhere is shown by the link.
    let inside = place
        .strip_prefix(repository)
        .map(Path::to_path_buf)
        .or_else(|_| root.strip_prefix(repository).map(|way| way.join(file)));
    inside.map_or_else(|_| file.to_owned(), |path| path.display().to_string())
}

/// Session files of one Telegram account, as far as the files tell.
fn same_accounts(workspace: &Workspace) -> Result<Vec<Diagnostic>, Failure> {
    let files: Vec<(String, PathBuf)> = workspace
        .session_names()
        .unwrap_or_default()
        .into_iter()
        .map(|name| (name.clone(), workspace.session_path(&name)))
        .collect();
    if files.len() < 2 {
        return Ok(Vec::new());
    }
    let found = super::account::block_on(crate::accounts::twins(
        &files,
        // Nobody is asked for a passphrase here.
        &workspace.vault.clone().asking(None),
    ))?;
    Ok(found
        .into_iter()
        .map(|twins| {
            let path = workspace.session_path(&twins.second);
            let shown = path.strip_prefix(&workspace.root).unwrap_or(&path);
            Diagnostic::of_file(
                crate::spec::Severity::Warning,
                "same-account",
                shown.to_string_lossy(),
                format!(
                    "`{}` and `{}` are one Telegram account",
                    twins.first, twins.second
                ),
                "One of the two names is held while both are there. Take one away with `tidings account remove`.",
            )
        })
        .collect())
}

/// The workspaces that the paths are in. With `-C` all are in that one.
fn scopes(
    options: &WorkspaceOptions,
    paths: &[PathBuf],
) -> Result<Vec<(Workspace, Scope)>, Failure> {
    if paths.is_empty() {
        return Ok(vec![(Workspace::find(options)?, None)]);
    }
    let mut by_root: BTreeMap<PathBuf, (Workspace, Scope)> = BTreeMap::new();
    for path in paths {
        let from_here = path.canonicalize();
        // As a shell completes it, or as the workspace knows it.
        let real = match (&options.directory, from_here) {
            (Some(directory), Err(error)) if path.is_relative() => {
                directory.join(path).canonicalize().map_err(|_| error)
            }
            (_, found) => found,
        }
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
        let workspace = match options.directory {
            Some(_) => Workspace::find(options)?,
            None => {
                let directory = workspace_above(&real);
                Workspace::find(&WorkspaceOptions {
                    directory,
                    ..options.clone()
                })?
            }
        };
        let root = workspace
            .root
            .canonicalize()
            .unwrap_or_else(|_| workspace.root.clone());
        let inside = inside(&root, &real, path).ok_or_else(|| {
            Failure::usage(format!(
                "{} is not in the workspace {}",
                path.display(),
                workspace.root.display()
            ))
        })?;
        let (_, scope) = by_root
            .entry(root)
            .or_insert_with(|| (workspace, Some(Vec::new())));
        match scope {
            _ if inside.is_empty() => *scope = None,
            Some(list) => list.push(inside),
            None => {}
        }
    }
    Ok(by_root.into_values().collect())
}

/// The nearest folder from the path upwards that is a workspace.
fn workspace_above(real: &Path) -> Option<PathBuf> {
    real.ancestors()
        .filter(|dir| dir.is_dir())
        .find(|dir| dir.join("tidings.yaml").is_file() || dir.join("campaigns").is_dir())
        .map(Path::to_owned)
}

/// The path relative to the workspace, with forward slashes; through a symlinked `campaigns/` too.
fn inside(root: &Path, real: &Path, given: &Path) -> Option<String> {
    let relative = real
        .strip_prefix(root)
        .map(Path::to_owned)
        .ok()
        .or_else(|| {
            let campaigns = root.join("campaigns").canonicalize().ok()?;
            real.strip_prefix(campaigns)
                .ok()
                .map(|rest| Path::new("campaigns").join(rest))
        });
    let relative = relative.or_else(|| {
        std::path::absolute(given)
            .ok()?
            .strip_prefix(root)
            .map(Path::to_owned)
            .ok()
    })?;
    let parts: Option<Vec<&str>> = relative
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    Some(parts?.join("/"))
}

/// What was found about these files, and how many campaigns they are. What is wrong with a template belongs to the
/// specs that name it.
fn within(resolution: Resolution, scope: Option<&[String]>) -> (Vec<Diagnostic>, usize) {
    let campaigns = &resolution.desired.campaigns;
    let Some(paths) = scope else {
        let count = campaigns.len();
        return (resolution.diagnostics, count);
    };
    let covers = |file: &str| {
        paths.iter().any(|path| {
            file.strip_prefix(path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let named: Vec<_> = campaigns
        .values()
        .filter(|campaign| covers(&campaign.file))
        .collect();
    let mut found: Vec<Diagnostic> = resolution
        .diagnostics
        .iter()
        .filter(|d| {
            covers(&d.file)
                || named
                    .iter()
                    .any(|campaign| campaign.diagnostics.contains(d))
        })
        .cloned()
        .collect();
    for path in paths {
        // A path that is no spec would otherwise pass in silence.
        let known = named
            .iter()
            .any(|c| c.file == *path || c.file.starts_with(&format!("{path}/")))
            || found
                .iter()
                .any(|d| d.file == *path || d.file.starts_with(&format!("{path}/")))
            || path == "tidings.yaml"
            || path == "campaigns";
        if !known {
            found.push(Diagnostic::of_file(
                crate::spec::Severity::Warning,
                "not-a-spec",
                path.clone(),
                "no campaign is here: specs are campaigns/**/*.yaml",
                "Names that begin with `.` or `_` are ignored. A file with other content is checked with the spec that names it.",
            ));
        }
    }
    diagnostic::sort(&mut found);
    (found, named.len())
}
