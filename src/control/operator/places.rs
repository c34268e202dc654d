//! Where else a person stands: lines of the workspace's files, which only its owner may change.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Serialize;

use crate::control::Workspace;
use crate::model::Reference;

/// Lines that are named one by one.
const MAX_PLACES: usize = 200;
/// The largest file that is looked through.
const MAX_FILE: u64 = 512 << 20;
/// The longest line; what is longer is looked through in pieces.
const MAX_LINE: u64 = 1 << 20;
/// How deep folders are followed.
const MAX_DEPTH: usize = 16;
/// Folders that hold no text of the workspace.
const SKIPPED: [&str; 4] = [".git", "target", "node_modules", "sessions"];

/// A line that names him.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Relative to the workspace.
    pub file: String,
    /// From 1.
    pub line: u64,
}

/// The lines of the workspace's files that name a person by one of these. Files are read, never changed.
pub fn places_of(workspace: &Workspace, references: &[Reference]) -> Vec<Place> {
    let wanted = Wanted::of(references);
    let mut places = BTreeSet::new();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut folders = vec![(workspace.root.clone(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.is_dir() {
                let skipped = path == workspace.state_dir
                    || path == workspace.sessions_dir
                    || entry
                        .file_name()
                        .to_str()
                        .is_some_and(|name| SKIPPED.contains(&name));
                if !skipped && depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if meta.is_file() && meta.len() <= MAX_FILE {
                let shown = path
                    .strip_prefix(&workspace.root)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                for line in lines_of(&path, &wanted) {
                    places.insert(Place {
                        file: shown.clone(),
                        line,
                    });
                    if places.len() >= MAX_PLACES {
                        return places.into_iter().collect();
                    }
                }
            }
        }
    }
    places.into_iter().collect()
}

fn lines_of(path: &Path, wanted: &Wanted) -> Vec<u64> {
    let Some(mut reader) = text_of(path) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return found,
            Ok(_) => {}
        }
        number += 1;
        if wanted.is_in(&String::from_utf8_lossy(&line)) {
            found.push(number);
        }
    }
}

/// The file's text as UTF-8; `None` where it cannot be read, or is none.
fn text_of(path: &Path) -> Option<Box<dyn std::io::BufRead>> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut head = [0u8; 512];
    let got = file.read(&mut head).ok()?;
    let head = head.get(..got)?;
    match encoding_rs::Encoding::for_bom(head) {
        Some((encoding, _)) if encoding != encoding_rs::UTF_8 => {
            let mut bytes = head.to_vec();
            file.read_to_end(&mut bytes).ok()?;
            let (text, _) = encoding.decode_with_bom_removal(&bytes);
            Some(Box::new(std::io::Cursor::new(
                text.into_owned().into_bytes(),
            )))
        }
        // What names people is ASCII in every encoding that is left; a database or a picture is no text.
        _ if head.contains(&0) => None,
        _ => Some(Box::new(BufReader::new(
            std::io::Cursor::new(head.to_vec()).chain(file),
        ))),
    }
}

/// What is looked for.
struct Wanted {
    names: Vec<String>,
    phones: Vec<String>,
    ids: Vec<String>,
}

impl Wanted {
    fn of(references: &[Reference]) -> Wanted {
        let mut wanted = Wanted {
            names: Vec::new(),
            phones: Vec::new(),
            ids: Vec::new(),
        };
        for reference in references {
            match reference {
                Reference::Username(name) => wanted.names.push(name.to_lowercase()),
                Reference::Phone(digits) => wanted.phones.push(digits.clone()),
                Reference::Id(id) => wanted.ids.push(id.to_string()),
                Reference::Invite(_) => {}
            }
        }
        wanted
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.phones.is_empty() && self.ids.is_empty()
    }

    fn is_in(&self, line: &str) -> bool {
        let lower = line.to_lowercase();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if self
            .names
            .iter()
            .any(|name| stands_alone(&lower, name, word))
        {
            return true;
        }
        if self
            .ids
            .iter()
            .any(|id| stands_alone(&lower, id, |c| c.is_alphanumeric() || c == '.'))
        {
            return true;
        }
        if self.phones.is_empty() {
            return false;
        }
        // As people write phones: spaces, dashes, dots and brackets between the digits.
        let mut digits = String::new();
        for c in line.chars().chain(['\n']) {
            match c {
                '0'..='9' => digits.push(c),
                ' ' | '-' | '(' | ')' | '.' | '\u{a0}' | '\u{2011}' if !digits.is_empty() => {}
                _ => {
                    if self.phones.iter().any(|phone| digits.ends_with(phone)) {
                        return true;
                    }
                    digits.clear();
                }
            }
        }
        false
    }
}

/// Whether a word stands in a text with no letter of its kind before or after it.
fn stands_alone(text: &str, word: &str, of_a_word: impl Fn(char) -> bool) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(&of_a_word) && !after.is_some_and(&of_a_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_person_however_it_is_written() {
        let wanted = Wanted::of(&[
            Reference::Username("anna".to_owned()),
            Reference::Phone("15550200101".to_owned()),
            Reference::Id(777_001),
        ]);
        for (line, expected) in [
            ("x;@Anna;Kazan", true),
            ("https://t.me/anna?start=1", true),
            ("annabel;Kazan", false),
            ("@anna_b", false),
            ("+1 (555) 020-01-01;x", true),
            ("15550200101", true),
            ("25550200101", false),
            ("{id: 777001}", true),
            ("7770010", false),
            ("Anna", true),
            ("", false),
        ] {
            assert_eq!(wanted.is_in(line), expected, "{line}");
        }
    }
}
