//! Sources that no account is needed for: lists in the spec, files in the workspace.

use std::io::Read;
use std::ops::ControlFlow;

use tokio::sync::mpsc;

use super::people_store::Encoded;
use crate::desired::SourceKind;
use crate::model::{Lineage, LookupEnd, Person, PersonId, Reference, SourceId};
use crate::people::file;

/// A page, or the end, of a look-up in the workspace.
pub(super) enum Found {
    /// People.
    Page(Encoded),
    /// No more.
    End(LookupEnd),
}

/// Which look-up.
pub(super) type Which = (Lineage, SourceId);

/// Everybody that a list names.
pub(super) fn of_list(people: &[Reference], label: &str) -> Vec<(PersonId, Person)> {
    people
        .iter()
        .map(|reference| {
            let mut person = Person {
                references: vec![reference.clone()],
                origins: vec![label.to_owned()],
                ..Person::default()
            };
            if let Reference::Id(id) = reference {
                person.contact.id = Some(*id);
            }
            (reference.person(), person)
        })
        .collect()
}

/// Reads a file page by page on the calling thread. Ends where nobody listens any more.
pub(super) fn of_file(
    mut source: impl Read,
    what: &SourceKind,
    limit: Option<u32>,
    label: &str,
    which: &Which,
    tell: &mpsc::Sender<(Which, Found)>,
) {
    let SourceKind::File { path, columns, .. } = what else {
        return;
    };
    let mut left = limit.map_or(usize::MAX, |limit| limit as usize);
    let mut sink = |mut page: Vec<(PersonId, Person)>| {
        page.truncate(left);
        left -= page.len();
        if !page.is_empty()
            && tell
                .blocking_send((which.clone(), Found::Page(Encoded::of(&page))))
                .is_err()
        {
            return ControlFlow::Break(());
        }
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let read = file::read(
        &mut source,
        file::FileKind::of_path(path),
        columns,
        label,
        &mut sink,
    );
    let end = match read {
        Ok(summary) => LookupEnd {
            complete: true,
            admin: true,
            bad_rows: u32::try_from(summary.bad_count).unwrap_or(u32::MAX),
            ..LookupEnd::default()
        },
        Err(problem) => LookupEnd {
            error: Some(problem.to_string()),
            admin: true,
            ..LookupEnd::default()
        },
    };
    let _ = tell.blocking_send((which.clone(), Found::End(end)));
}
