//! What files came to when they were looked at before: an edit of one spec among a thousand reads one.
//!
//! # Guarantees
//! - [`super::resolve`] answers the same with a memo and without it. What a file came to is taken over only where it was
//!   valid, and where all that it was made of is as it was: its bytes, every file that was looked at for it, the settings,
//!   the environment, the session files, and the kinds of all campaigns.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;

use super::Environment;
use super::types::DesiredCampaign;
use crate::people::file::Columns;
use crate::spec::files::{FileError, FileStamp, Files, FilesError, PeopleCheck};
use crate::spec::{EngineSpec, Kind, Peek};

/// What else than its own files a campaign is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Surroundings {
    pub(super) engine: EngineSpec,
    pub(super) env: Environment,
    pub(super) sessions: Option<Vec<String>>,
    pub(super) kinds: BTreeMap<String, Option<Kind>>,
}

/// A look at a file beside the spec, and what was there.
type Look = (String, Result<FileStamp, FileError>);

/// One file, as it was looked at last.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    bytes: Arc<[u8]>,
    peek: Peek,
    /// What a valid one came to, and the files that were looked at for it.
    came_to: Option<(DesiredCampaign, Vec<Look>)>,
}

/// What all files came to.
#[derive(Clone, Default)]
pub struct Memo {
    surroundings: Option<Surroundings>,
    files: HashMap<String, Arc<Remembered>>,
}

/// How much, and not what: the environment with its secrets is part of it.
impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

impl Memo {
    /// What a file says of itself, where its bytes are known.
    pub(super) fn peek(&self, path: &str, bytes: &Arc<[u8]>) -> Option<&Peek> {
        self.of(path, bytes).map(|known| &known.peek)
    }

    fn of(&self, path: &str, bytes: &Arc<[u8]>) -> Option<&Arc<Remembered>> {
        let known = self.files.get(path)?;
        (Arc::ptr_eq(&known.bytes, bytes) || known.bytes == *bytes).then_some(known)
    }

    /// Whether what campaigns came to among these settings can be taken over among those.
    pub(super) fn holds_among(&self, surroundings: &Surroundings) -> bool {
        self.surroundings.as_ref() == Some(surroundings)
    }

    /// What a file came to, where nothing that it was made of is another. The caller asks [`Memo::holds_among`] first.
    pub(super) fn came_to(
        &self,
        path: &str,
        bytes: &Arc<[u8]>,
        files: &dyn Files,
    ) -> Option<&Arc<Remembered>> {
        let known = self.of(path, bytes)?;
        let (_, looks) = known.came_to.as_ref()?;
        looks
            .iter()
            .all(|(path, stamp)| files.stamp(path) == *stamp)
            .then_some(known)
    }

    pub(super) fn among(surroundings: Surroundings) -> Memo {
        Memo {
            surroundings: Some(surroundings),
            files: HashMap::new(),
        }
    }

    pub(super) fn keep(&mut self, path: &str, known: Arc<Remembered>) {
        self.files.insert(path.to_owned(), known);
    }
}

impl Remembered {
    pub(super) fn new(
        bytes: Arc<[u8]>,
        peek: Peek,
        came_to: Option<(DesiredCampaign, Vec<Look>)>,
    ) -> Remembered {
        Remembered {
            bytes,
            peek,
            came_to,
        }
    }

    pub(super) fn campaign(&self) -> Option<&DesiredCampaign> {
        self.came_to.as_ref().map(|(campaign, _)| campaign)
    }
}

/// Files, and which of them were looked at.
pub(super) struct Traced<'a> {
    files: &'a dyn Files,
    /// What each was before it was looked at.
    looks: RefCell<BTreeMap<String, Result<FileStamp, FileError>>>,
    /// The folder was listed, which no stamp tells of.
    listed: Cell<bool>,
}

impl<'a> Traced<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Traced<'a> {
        Traced {
            files,
            looks: RefCell::default(),
            listed: Cell::new(false),
        }
    }

    /// Stamps a file before it is first looked at: one that changes meanwhile is looked at again the next time.
    fn look(&self, path: &str) -> Result<FileStamp, FileError> {
        let mut looks = self.looks.borrow_mut();
        if let Some(stamp) = looks.get(path) {
            return stamp.clone();
        }
        let stamp = self.files.stamp(path);
        looks.insert(path.to_owned(), stamp.clone());
        stamp
    }

    /// What was looked at; `None` where no stamps can tell.
    pub(super) fn looks(self) -> Option<Vec<Look>> {
        let looks = self.looks.into_inner();
        (!self.listed.get()).then(|| looks.into_iter().collect())
    }
}

impl Files for Traced<'_> {
    fn specs(&self) -> Result<Vec<String>, FilesError> {
        self.listed.set(true);
        self.files.specs()
    }

    fn read(&self, path: &str, max: u64) -> Result<Arc<[u8]>, FileError> {
        let _ = self.look(path);
        self.files.read(path, max)
    }

    fn stamp(&self, path: &str) -> Result<FileStamp, FileError> {
        self.look(path)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>, FileError> {
        let _ = self.look(path);
        self.files.open(path)
    }

    fn check_people(&self, path: &str, columns: &Columns) -> Result<Arc<PeopleCheck>, FileError> {
        let _ = self.look(path);
        self.files.check_people(path, columns)
    }
}
