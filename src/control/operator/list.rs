//! Lists of people in files that an operator hands over, read as a spec's own files are.

use std::ops::ControlFlow;
use std::path::Path;

use crate::model::Reference;
use crate::people::file::{self, Columns, FileKind};

use super::suppressed::references_of;

/// What a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Each person by all that names him.
    pub people: Vec<Vec<Reference>>,
    /// Lines that name nobody, the first hundred, each with what is wrong.
    pub bad: Vec<String>,
    /// How many lines name nobody.
    pub bad_count: u64,
}

/// Why a list cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ListedProblem {
    path: String,
    reason: String,
}

/// Reads a CSV or TXT file of people; CSV by its header, TXT a peer a line.
///
/// # Errors
/// Where the file as a whole cannot be used.
pub fn read_list(path: &Path) -> Result<Listed, ListedProblem> {
    let shown = path.display().to_string();
    let problem = |reason: String| ListedProblem {
        path: shown.clone(),
        reason,
    };
    let source = std::fs::File::open(path).map_err(|error| problem(error.to_string()))?;
    let meta = source
        .metadata()
        .map_err(|error| problem(error.to_string()))?;
    if meta.len() > file::MAX_FILE {
        return Err(problem(format!(
            "it has {} bytes, at most {} are read",
            meta.len(),
            file::MAX_FILE
        )));
    }
    let mut listed = Listed::default();
    let read = file::read(
        source,
        FileKind::of_path(&shown),
        &Columns::default(),
        "",
        &mut |page| {
            listed
                .people
                .extend(page.iter().map(|(id, person)| references_of(*id, person)));
            ControlFlow::Continue(())
        },
    );
    let summary = read.map_err(|error| problem(error.to_string()))?;
    listed.bad_count = summary.bad_count;
    listed.bad = summary.bad.iter().map(ToString::to_string).collect();
    Ok(listed)
}
