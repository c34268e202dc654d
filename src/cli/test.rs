//! `tidings test`: the specs' own `tests:`, with no network and no state.

pub(super) mod judge;
mod junit;
mod shown;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::render::called;
use super::{CONFIG, DONE, Ended, FAILED, Failure, Global, output};
use crate::control::Workspace;
use crate::desired::{DesiredCampaign, History, Resolution};
use crate::spec::diagnostic::{Position, no_such};
use crate::spec::files::Files as _;
use crate::spec::{Diagnostic, Findings, Pointer, yaml};

/// `tidings test`
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The tests of these campaigns; of all without a name
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The form
    #[arg(short = 'o', long, value_name = "FORM", default_value = "text")]
    pub format: Form,
    /// Write the results to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[value(alias = "table")]
    Text,
    /// For programs
    Json,
    /// JUnit XML, for CI
    Junit,
}

/// `test -o json`
#[derive(Debug, Serialize)]
struct Results {
    format_version: &'static str,
    tests: Vec<TestResult>,
    passed: usize,
    failed: usize,
    /// What keeps a campaign from being tested.
    diagnostics: Vec<Diagnostic>,
    #[serde(skip)]
    campaigns: usize,
}

/// One test.
#[derive(Debug, Clone, Serialize)]
struct TestResult {
    campaign: String,
    file: String,
    line: usize,
    column: usize,
    name: String,
    passed: bool,
    failures: Vec<Miss>,
}

/// One thing that came out another way than it was expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Miss {
    /// The key of `expect`.
    expectation: &'static str,
    /// Of which variant, where it is about a text.
    variant: Option<String>,
    /// In one sentence.
    message: String,
    /// What was expected, where that is a text.
    expected: Option<String>,
    /// What came.
    actual: Option<String>,
}

pub(super) fn run(global: &Global, args: &TestArgs) -> Ended {
    let (form, file) = where_to(args);
    let workspace = global.workspace()?;
    let resolution = workspace.resolve(&History::default(), None);
    let results = all(&workspace, &resolution, &args.names)?;
    let colour = file.is_none() && output::colour();
    let text = match form {
        Form::Text => shown::text(&results, colour),
        Form::Junit => junit::xml(&results),
        Form::Json => {
            let body = serde_json::to_string_pretty(&results)
                .map_err(|error| Failure::new(error.to_string()))?;
            format!("{body}\n")
        }
    };
    match file {
        None if form == Form::Text => output::prose(&text)?,
        None => output::text(&text)?,
        Some(path) => std::fs::write(path, text).map_err(|error| {
            Failure::new(format!("{} cannot be written: {error}", path.display()))
        })?,
    }
    if !results.diagnostics.is_empty() {
        let text = crate::spec::render::render(
            &results.diagnostics,
            crate::spec::render::Format::Full,
            output::colour_of_errors(),
        );
        output::complain(text.trim_end());
        return Ok(CONFIG);
    }
    Ok(if results.failed > 0 { FAILED } else { DONE })
}

/// The form and the file. Every other command calls the form `--output`: whoever writes that here means it.
fn where_to(args: &TestArgs) -> (Form, Option<&PathBuf>) {
    let named = args
        .output
        .as_ref()
        .and_then(|path| path.to_str())
        .and_then(|name| Form::from_str(name, true).ok());
    match named {
        Some(form) => (form, None),
        None => (args.format, args.output.as_ref()),
    }
}

/// Runs the tests of these campaigns, or of all.
fn all(
    workspace: &Workspace,
    resolution: &Resolution,
    names: &[String],
) -> Result<Results, Failure> {
    let desired = &resolution.desired;
    if let Some(unknown) = names.iter().find(|name| called(desired, name).is_none()) {
        return Err(Failure::usage(no_such(
            "campaign",
            unknown,
            desired.campaigns.keys().map(String::as_str),
        )));
    }
    let names: Vec<&String> = names
        .iter()
        .filter_map(|name| Some(&called(desired, name)?.name))
        .collect();
    let chosen: Vec<&DesiredCampaign> = desired
        .campaigns
        .values()
        .filter(|campaign| names.is_empty() || names.contains(&&campaign.name))
        .collect();
    let files: Vec<&str> = chosen.iter().map(|c| c.file.as_str()).collect();
    // With names what is wrong with other campaigns is no concern; what is wrong with the workspace is.
    let diagnostics: Vec<Diagnostic> = resolution
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .filter(|d| {
            names.is_empty()
                || files.contains(&d.file.as_str())
                || chosen.iter().any(|c| c.diagnostics.contains(d))
                || !d.file.starts_with("campaigns/")
        })
        .cloned()
        .collect();
    let mut tests = Vec::new();
    let mut campaigns = 0;
    for campaign in chosen {
        let Some(spec) = campaign.spec.as_deref() else {
            continue;
        };
        if spec.spec.tests.is_empty() {
            continue;
        }
        campaigns += 1;
        let places = places(workspace, &campaign.file, spec.spec.tests.len());
        for (test, at) in spec.spec.tests.iter().zip(places) {
            let failures = judge::judge(desired, spec, test);
            tests.push(TestResult {
                campaign: campaign.name.clone(),
                file: campaign.file.clone(),
                line: at.line,
                column: at.column,
                name: test.name.clone(),
                passed: failures.is_empty(),
                failures,
            });
        }
    }
    let failed = tests.iter().filter(|test| !test.passed).count();
    Ok(Results {
        format_version: crate::status::FORMAT_VERSION,
        passed: tests.len() - failed,
        failed,
        tests,
        diagnostics,
        campaigns,
    })
}

/// Where each test stands in its file.
fn places(workspace: &Workspace, file: &str, count: usize) -> Vec<Position> {
    use crate::spec::diagnostic::Places as _;
    let Ok(bytes) = workspace.files().read(file, yaml::MAX_BYTES) else {
        return vec![Position::START; count];
    };
    let tree = yaml::parse(&bytes, &mut Findings::new());
    let tests = Pointer::root().key("tests");
    (0..count)
        .map(|index| tree.value(&tests.index(index)).start)
        .collect()
}
