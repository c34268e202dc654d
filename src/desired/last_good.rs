//! The last valid version of a spec, kept so that `on_invalid: continue` goes on with it after a restart too.

use std::io::{Cursor, Read};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::NamedFile;
use crate::people::file::{Columns, Summary};
use crate::spec::CampaignSpec;
use crate::spec::check::{CheckContext, MAX_TEXT_FILE};
use crate::spec::files::{
    FileError, FileStamp, Files, FilesError, PeopleCheck, resolve as resolve_path,
};

/// The most that is kept of one version, in bytes: a spec of the largest size with a dozen long templates. What has
/// more goes on until the next restart only.
const MAX_KEPT: usize = 4 << 20;

/// Answers with the version that was kept of the campaign of that name.
pub type KeptVersions<'a> = dyn Fn(&str) -> Option<Version> + 'a;

/// A valid version of a campaign: its spec with the texts that it names, and what its other files were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The digest of the whole.
    pub digest: String,
    /// Its file, relative to the workspace: paths in it are relative to the folder of this one.
    pub(super) file: String,
    /// What stood in that.
    pub(super) text: String,
    files: Vec<Kept>,
}

/// A file that the version names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    path: String,
    stamp: FileStamp,
    /// Of a template or a role, what stood in it. Lists and media are taken as they stand on the disk.
    text: Option<String>,
}

impl Version {
    /// What is to be kept of a spec that is valid; nothing where it is too much.
    pub(super) fn of(
        digest: &str,
        bytes: &[u8],
        spec: &CampaignSpec,
        named: &[NamedFile],
        cx: &CheckContext<'_>,
    ) -> Option<Version> {
        let texts: Vec<String> = spec
            .templates
            .iter()
            .chain(spec.follow_ups.iter().flat_map(|step| &step.templates))
            .filter_map(|template| template.file.as_ref())
            .chain(spec.ai_role.iter().flat_map(|role| &role.file))
            .filter_map(|path| resolve_path(cx.file, path).ok())
            .collect();
        let mut left = MAX_KEPT.checked_sub(bytes.len())?;
        let mut files = Vec::new();
        for file in named {
            let stamp = file.stamp.clone().ok()?;
            let mut text = None;
            if texts.contains(&file.path) {
                let bytes = cx.files.read(&file.path, MAX_TEXT_FILE).ok()?;
                left = left.checked_sub(bytes.len())?;
                text = Some(String::from_utf8(bytes.to_vec()).ok()?);
            }
            files.push(Kept {
                path: file.path.clone(),
                stamp,
                text,
            });
        }
        Some(Version {
            digest: digest.to_owned(),
            file: cx.file.to_owned(),
            text: String::from_utf8(bytes.to_vec()).ok()?,
            files,
        })
    }

    /// Whether a name, or the digits of a phone, stand in any of its texts, in whatever case and grouping.
    pub fn mentions(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let kept = self.files.iter().filter_map(|file| file.text.as_deref());
        kept.chain([self.text.as_str()]).any(|text| {
            let text = text.to_lowercase();
            let close = text.replace([' ', '-', '.', '(', ')'], "");
            text.contains(&name) || close.contains(&name)
        })
    }

    /// The workspace with this version's own texts in it.
    pub(super) fn over<'a>(&'a self, files: &'a dyn Files) -> Overlay<'a> {
        Overlay {
            version: self,
            files,
        }
    }
}

/// See [`Version::over`].
pub(super) struct Overlay<'a> {
    version: &'a Version,
    files: &'a dyn Files,
}

impl Overlay<'_> {
    fn kept(&self, path: &str) -> Option<&Kept> {
        self.version.files.iter().find(|kept| kept.path == path)
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.kept(path)?.text.as_deref()
    }
}

impl Files for Overlay<'_> {
    fn specs(&self) -> Result<Vec<String>, FilesError> {
        self.files.specs()
    }

    fn read(&self, path: &str, max: u64) -> Result<Arc<[u8]>, FileError> {
        match self.text(path) {
            Some(text) if text.len() as u64 > max => Err(FileError::TooLarge {
                len: text.len() as u64,
                max,
            }),
            Some(text) => Ok(Arc::from(text.as_bytes())),
            None => self.files.read(path, max),
        }
    }

    fn stamp(&self, path: &str) -> Result<FileStamp, FileError> {
        match (self.kept(path), self.files.stamp(path)) {
            (Some(kept), _) if kept.text.is_some() => Ok(kept.stamp.clone()),
            // A list that is gone since: its last result is kept, as long as it is the same list.
            (Some(kept), Err(_)) => Ok(kept.stamp.clone()),
            (_, on_disk) => on_disk,
        }
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, FileError> {
        match self.text(path) {
            Some(text) => Ok(Box::new(Cursor::new(text.as_bytes().to_vec()))),
            None => self.files.open(path),
        }
    }

    fn check_people(&self, path: &str, columns: &Columns) -> Result<Arc<PeopleCheck>, FileError> {
        match self.files.check_people(path, columns) {
            Err(_) if self.kept(path).is_some() => Ok(Arc::new(Ok(Summary::default()))),
            checked => checked,
        }
    }
}
