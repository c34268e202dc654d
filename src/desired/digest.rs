//! Digests: when two versions of a spec are the same.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::spec::files::{FileError, FileStamp};

/// A file that a spec names, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedFile {
    /// From the workspace on.
    pub(super) path: String,
    /// What it holds, or why it cannot be had.
    pub(super) stamp: Result<FileStamp, FileError>,
}

/// The digest of a spec: SHA-256 (hex) over the spec's bytes, and then, for each file that it names, in the order of
/// their paths and each once: a zero byte, the path, a zero byte, and the SHA-256 of its bytes (32 bytes; 32 zero
/// bytes where it cannot be had). Of a spec that names no file it is the SHA-256 of its bytes.
pub(super) fn of_spec(bytes: &[u8], files: &[NamedFile]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    let mut files: Vec<&NamedFile> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    for file in files {
        hasher.update([0]);
        hasher.update(file.path.as_bytes());
        hasher.update([0]);
        hasher.update(file.stamp.as_ref().map_or([0; 32], |stamp| stamp.sha256));
    }
    hex(&hasher.finalize())
}

/// The digest of a spec whose bytes, and those of the files that it names, are these; no bytes where a file cannot be had.
pub fn spec_digest(bytes: &[u8], files: Vec<(String, Option<Vec<u8>>)>) -> String {
    let named = |(path, bytes): (String, Option<Vec<u8>>)| NamedFile {
        path,
        stamp: bytes
            .map(|bytes| FileStamp::of(&bytes))
            .ok_or(FileError::NotFound),
    };
    let files: Vec<NamedFile> = files.into_iter().map(named).collect();
    of_spec(bytes, &files)
}

/// SHA-256 over the JSON of parts of a spec: independent of comments, order of keys and layout.
pub(super) fn of_value(value: &impl Serialize) -> [u8; 32] {
    // What is handed in are texts, numbers and lists: serialising them cannot fail. Should it, all such values are one.
    let text = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(text).into()
}

/// Small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: Option<&[u8]>) -> NamedFile {
        NamedFile {
            path: path.to_owned(),
            stamp: bytes.map(FileStamp::of).ok_or(FileError::NotFound),
        }
    }

    #[test]
    fn a_digest_changes_with_every_byte_and_not_with_the_order_of_files() {
        let base = of_spec(b"spec", &[file("a", Some(b"1")), file("b", Some(b"2"))]);
        assert_eq!(
            base,
            of_spec(
                b"spec",
                &[
                    file("b", Some(b"2")),
                    file("a", Some(b"1")),
                    file("a", Some(b"1"))
                ]
            )
        );
        for (what, other) in [
            (
                "the spec",
                of_spec(b"spek", &[file("a", Some(b"1")), file("b", Some(b"2"))]),
            ),
            (
                "a file",
                of_spec(b"spec", &[file("a", Some(b"1")), file("b", Some(b"3"))]),
            ),
            (
                "a path",
                of_spec(b"spec", &[file("a", Some(b"1")), file("c", Some(b"2"))]),
            ),
            (
                "a missing file",
                of_spec(b"spec", &[file("a", Some(b"1")), file("b", None)]),
            ),
            (
                "swapped contents",
                of_spec(b"spec", &[file("a", Some(b"2")), file("b", Some(b"1"))]),
            ),
        ] {
            assert_ne!(base, other, "{what}");
        }
    }

    #[test]
    fn a_spec_that_names_no_file_has_the_plain_sha256() {
        // echo -n abc | sha256sum
        assert_eq!(
            of_spec(b"abc", &[]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
