//! Whose name it is: files of one name, renames, lineages.

use std::collections::BTreeMap;

use crate::model::Lineage;
use crate::spec::files::stem;
use crate::spec::{Findings, Peek, Pointer, codes, diagnostic::quote};

/// What is known of a campaign from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The file in which it was last seen.
    pub file: String,
    /// What it is over its renames.
    pub lineage: Lineage,
    /// Whether anything was sent under that lineage in this name.
    pub sent: bool,
}

/// The campaigns that have a history, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(pub BTreeMap<String, Known>);

/// What one file says of itself.
#[derive(Debug, Clone)]
pub(super) struct Claim<'a> {
    pub(super) file: &'a str,
    pub(super) peek: Peek,
}

impl Claim<'_> {
    /// By which name the campaign goes: the file's stem, whatever the file says, since a slip in `name` must hold the
    /// campaign that the file is, and no other.
    pub(super) fn name(&self) -> &str {
        stem(self.file)
    }

    /// Whether the file says the same name, or none that could be read.
    fn is_honest(&self) -> bool {
        self.peek
            .name
            .as_deref()
            .is_none_or(|name| name == self.name())
    }
}

/// Who may have a name of which several files say that it is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This file is the campaign.
    Owner,
    /// Another file is.
    Newcomer,
    /// Nobody knows which; all are held.
    Disputed,
}

/// Decides for each file, in the order given, and says what is wrong in `out` of the same order.
pub(super) fn decide(
    claims: &[Claim<'_>],
    history: &History,
    out: &mut [Findings],
) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Owner; claims.len()];
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        by_name.entry(claim.name()).or_default().push(index);
    }
    for (name, holders) in &by_name {
        if holders.len() < 2 {
            continue;
        }
        let known = history.0.get(*name).map(|known| known.file.as_str());
        let owner = holders
            .iter()
            .copied()
            .find(|index| Some(claims[*index].file) == known);
        for &index in holders {
            if Some(index) == owner {
                continue;
            }
            verdicts[index] = if owner.is_some() {
                Verdict::Newcomer
            } else {
                Verdict::Disputed
            };
            let others: Vec<&str> = holders
                .iter()
                .filter(|other| **other != index)
                .map(|other| claims[*other].file)
                .collect();
            out[index]
                .error(
                    &Pointer::root().key("name"),
                    codes::DUPLICATE_CAMPAIGN,
                    format!("the campaign {} is in {} and in {} too", quote(name), claims[index].file, others.join(", ")),
                )
                .detail(match owner {
                    Some(owner) => format!("{} has its history and goes on. Give this campaign another name.", claims[owner].file),
                    None => "A name is unique over all folders. Until one of them has another name both are held.".to_owned(),
                });
        }
    }
    // A file that says the name of another one: it is invalid by its own name, the other is not disturbed.
    for (index, claim) in claims.iter().enumerate() {
        if let Some(said) = claim.peek.name.as_deref()
            && !claim.is_honest()
            && let Some(holders) = by_name.get(said)
        {
            out[index]
                .error(
                    &Pointer::root().key("name"),
                    codes::DUPLICATE_CAMPAIGN,
                    format!(
                        "the campaign {} is in {} and in {} too",
                        quote(said),
                        claim.file,
                        claims[holders[0]].file
                    ),
                )
                .detail("A name is unique over all folders. Give this campaign its own.");
        }
    }
    renames(claims, out);
    lineages(claims, history, &mut verdicts, out);
    circles(claims, out);
    verdicts
}

/// A campaign whose audience rests on its own collects nobody, ever.
fn circles(claims: &[Claim<'_>], out: &mut [Findings]) {
    let edges: BTreeMap<&str, Vec<&str>> = claims
        .iter()
        .map(|claim| {
            let named = claim.peek.audiences.iter();
            (claim.name(), named.map(|(_, name)| name.as_str()).collect())
        })
        .collect();
    for (index, claim) in claims.iter().enumerate() {
        for (at, named) in &claim.peek.audiences {
            // The campaign's own name is an error of its own.
            if named == claim.name() {
                continue;
            }
            if let Some(way) = way(&edges, named, claim.name()) {
                out[index]
                    .error(
                        at,
                        codes::AUDIENCE_CYCLE,
                        format!("the audience of {} rests on this campaign's own", quote(named)),
                    )
                    .detail(format!(
                        "{} → {}: none of them would ever collect anybody. Take one of these sources out.",
                        claim.name(),
                        way.join(" → ")
                    ));
            }
        }
    }
}

/// How one gets from a campaign to another by the audiences that they name.
fn way<'a>(
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
    from: &'a str,
    to: &str,
) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left = vec![from];
    while let Some(at) = left.pop() {
        if at == to {
            let mut way = vec![at];
            while let Some(last) = way.last()
                && *last != from
                && let Some(previous) = before.get(last)
            {
                way.push(previous);
            }
            way.reverse();
            return Some(way);
        }
        for next in edges.get(at).into_iter().flatten() {
            if *next != from && !before.contains_key(next) {
                before.insert(next, at);
                left.push(next);
            }
        }
    }
    None
}

/// One campaign can be renamed to one other only.
fn renames(claims: &[Claim<'_>], out: &mut [Findings]) {
    let mut heirs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        if let Some(before) = claim.peek.renamed_from.as_deref() {
            heirs.entry(before).or_default().push(index);
        }
    }
    for (before, heirs) in heirs.into_iter().filter(|(_, heirs)| heirs.len() > 1) {
        let files: Vec<&str> = heirs.iter().map(|index| claims[*index].file).collect();
        for index in heirs {
            out[index]
                .error(
                    &Pointer::root().key("renamed_from"),
                    codes::RENAMED_FROM,
                    format!("{} files are renamed from {}", files.len(), quote(before)),
                )
                .detail(format!("They are {}. One lineage cannot have two campaigns: keep the key in one of them.", files.join(", ")));
        }
    }
}

/// A renamed campaign whose old file still stands: one lineage cannot have two campaigns. The file that the state knows
/// goes on, else the one that is not renamed; the other one is kept apart, so that it disturbs nothing.
fn lineages(
    claims: &[Claim<'_>],
    history: &History,
    verdicts: &mut [Verdict],
    out: &mut [Findings],
) {
    let mut by_line: BTreeMap<Lineage, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        if verdicts[index] == Verdict::Owner {
            let before = claim.peek.renamed_from.as_deref();
            let line = lineage(claim.name(), before, history);
            by_line.entry(line).or_default().push(index);
        }
    }
    for (line, files) in by_line.into_iter().filter(|(_, files)| files.len() > 1) {
        let known = history.0.values().find(|known| known.lineage == line);
        let is_known = |index: &&usize| known.is_some_and(|k| k.file == claims[**index].file);
        let is_first = |index: &&usize| claims[**index].peek.renamed_from.is_none();
        let owner = files.iter().find(is_known);
        // Of several heirs of one that is gone none has the better claim: that is said already.
        let Some(&owner) = owner.or_else(|| files.iter().find(is_first)) else {
            continue;
        };
        let goes_on = claims[owner].file;
        for index in files.into_iter().filter(|index| *index != owner) {
            verdicts[index] = Verdict::Newcomer;
            let (at, what, way_out) = match claims[index].peek.renamed_from.as_deref() {
                Some(before) => (
                    Pointer::root().key("renamed_from"),
                    format!("the campaign {} still exists", quote(before)),
                    "Remove that file, or take `renamed_from` out",
                ),
                None => (
                    Pointer::root().key("name"),
                    format!("{goes_on} is this campaign under its new name"),
                    "Give this campaign another name",
                ),
            };
            out[index]
                .error(&at, codes::RENAMED_FROM, what)
                .detail(format!(
                    "One lineage cannot have two campaigns. {way_out}. Until then {goes_on} goes on, and this file is held."
                ));
        }
    }
}

/// What a campaign is over its renames.
///
/// A campaign that has sent in its own name keeps its lineage, whatever `renamed_from` says later: its send-once keys
/// belong to it. Otherwise `renamed_from` leads to the lineage of that campaign.
pub(super) fn lineage(name: &str, renamed_from: Option<&str>, history: &History) -> Lineage {
    let own = history.0.get(name);
    if let Some(own) = own.filter(|known| known.sent || renamed_from.is_none()) {
        return own.lineage.clone();
    }
    match renamed_from.filter(|before| *before != name) {
        Some(before) => history
            .0
            .get(before)
            .map_or_else(|| before.into(), |known| known.lineage.clone()),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(entries: &[(&str, &str, &str, bool)]) -> History {
        History(
            entries
                .iter()
                .map(|(name, file, line, sent)| {
                    (
                        (*name).to_owned(),
                        Known {
                            file: (*file).to_owned(),
                            lineage: (*line).into(),
                            sent: *sent,
                        },
                    )
                })
                .collect(),
        )
    }

    fn verdicts(files: &[(&str, Option<&str>)], known: &History) -> (Vec<Verdict>, Vec<usize>) {
        let claims: Vec<Claim<'_>> = files
            .iter()
            .map(|(file, name)| Claim {
                file,
                peek: Peek {
                    name: name.map(str::to_owned),
                    ..Peek::default()
                },
            })
            .collect();
        let mut out: Vec<Findings> = files.iter().map(|_| Findings::new()).collect();
        let verdicts = decide(&claims, known, &mut out);
        (verdicts, out.iter().map(Findings::len).collect())
    }

    #[test]
    fn of_two_files_of_one_name_the_one_with_history_goes_on() {
        let files = [
            ("campaigns/a.yaml", Some("a")),
            ("campaigns/x/a.yaml", Some("a")),
            ("campaigns/b.yaml", Some("b")),
        ];
        use Verdict::{Disputed, Newcomer, Owner};
        for (what, known, expected, findings) in [
            (
                "no history",
                history(&[]),
                [Disputed, Disputed, Owner],
                [1, 1, 0],
            ),
            (
                "the first",
                history(&[("a", "campaigns/a.yaml", "a", true)]),
                [Owner, Newcomer, Owner],
                [0, 1, 0],
            ),
            (
                "the second",
                history(&[("a", "campaigns/x/a.yaml", "a", false)]),
                [Newcomer, Owner, Owner],
                [1, 0, 0],
            ),
            (
                "a third place",
                history(&[("a", "campaigns/y/a.yaml", "a", true)]),
                [Disputed, Disputed, Owner],
                [1, 1, 0],
            ),
        ] {
            assert_eq!(
                verdicts(&files, &known),
                (expected.to_vec(), findings.to_vec()),
                "{what}"
            );
        }
    }

    #[test]
    fn a_file_that_says_the_name_of_another_does_not_disturb_it() {
        let files = [
            ("campaigns/a.yaml", Some("a")),
            ("campaigns/copy.yaml", Some("a")),
        ];
        assert_eq!(
            verdicts(&files, &History::default()),
            (vec![Verdict::Owner; 2], vec![0, 1])
        );
    }

    #[test]
    fn a_rename_keeps_the_lineage_for_ever() {
        let known = history(&[
            ("winter", "w", "winter", true),
            ("spring", "s", "winter", true),
            ("held", "h", "held", false),
            ("late", "l", "late", true),
        ]);
        for (what, name, before, expected) in [
            ("a new one", "new", None, "new"),
            ("a known one", "winter", None, "winter"),
            ("renamed", "summer", Some("winter"), "winter"),
            ("renamed twice", "summer", Some("spring"), "winter"),
            ("the rename is reverted", "winter", None, "winter"),
            (
                "renamed from one that nobody knows",
                "summer",
                Some("ghost"),
                "ghost",
            ),
            (
                "held as renamed, then said so",
                "held",
                Some("winter"),
                "winter",
            ),
            ("said so after it has sent", "late", Some("winter"), "late"),
            ("from itself", "new", Some("new"), "new"),
        ] {
            assert_eq!(&*lineage(name, before, &known), expected, "{what}");
        }
    }
}
