//! The workspace of the demo: `examples/quickstart`, carried in the binary, so that it runs from anywhere.

use std::path::{Path, PathBuf};

use super::super::Failure;

/// The files of `examples/quickstart` that make the workspace.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "tidings.yaml",
        include_str!("../../../examples/quickstart/tidings.yaml"),
    ),
    (
        "campaigns/spring-launch.yaml",
        include_str!("../../../examples/quickstart/campaigns/spring-launch.yaml"),
    ),
    (
        "campaigns/evening-thanks.yaml",
        include_str!("../../../examples/quickstart/campaigns/evening-thanks.yaml"),
    ),
    (
        "campaigns/summer-sale.yaml",
        include_str!("../../../examples/quickstart/campaigns/summer-sale.yaml"),
    ),
    (
        "campaigns/templates/long.j2",
        include_str!("../../../examples/quickstart/campaigns/templates/long.j2"),
    ),
    (
        "campaigns/audiences/customers.csv",
        include_str!("../../../examples/quickstart/campaigns/audiences/customers.csv"),
    ),
];

/// The world behind the loopback Telegram.
pub(super) const WORLD: &str = include_str!("../../../examples/quickstart/world.yaml");

/// The demo's folder; a temporary one goes away with this.
pub(super) struct Folder {
    pub path: PathBuf,
    kept: bool,
}

impl Folder {
    /// Makes it and fills it.
    pub(super) fn make(keep: Option<&Path>) -> Result<Folder, Failure> {
        let path = keep.map_or_else(temporary, Path::to_owned);
        let fail = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{} cannot be made: {error}", path.display()))
        };
        let filled = std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        if filled {
            return Err(Failure::usage(format!(
                "{} is not empty: nothing was written. Choose another folder for `--keep`.",
                path.display()
            )));
        }
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // In a folder that all may write to, a name that is already there may be a trap: only a new one will do.
        builder
            .recursive(keep.is_some())
            .create(&path)
            .map_err(|error| fail(&error))?;
        let folder = Folder {
            kept: keep.is_some(),
            path: path.clone(),
        };
        for (name, text) in FILES {
            let file = path.join(name);
            if let Some(above) = file.parent() {
                std::fs::create_dir_all(above).map_err(|error| fail(&error))?;
            }
            std::fs::write(&file, text).map_err(|error| fail(&error))?;
        }
        Ok(folder)
    }

    /// Says where the AI server is, as an operator's `.env` does.
    pub(super) fn ai_server(&self, url: &str) -> Result<(), Failure> {
        let file = self.path.join(".env");
        std::fs::write(&file, format!("AI_URL={url}\nOPENAI_API_KEY=loopback\n"))
            .map_err(|error| Failure::new(format!("{} cannot be made: {error}", file.display())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!(
        "tidings-demo-{}-{:08x}",
        std::process::id(),
        rand::random::<u32>()
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_quickstart_is_carried_along() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        if !root.is_dir() {
            return; // a packaged crate brings no examples
        }
        let mut there = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                match name.as_str() {
                    "README.md" | "world.yaml" | "sessions" | "state" => {}
                    _ if path.is_dir() => folders.push(path),
                    _ => {
                        there.insert(name);
                    }
                }
            }
        }
        let carried: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, carried);
    }

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let there = tempfile::tempdir().unwrap();
        std::fs::write(there.path().join("mine"), "x").unwrap();
        let refused = Folder::make(Some(there.path())).err().unwrap();
        assert_eq!(refused.code, super::super::super::USAGE);
        assert!(!there.path().join("tidings.yaml").exists());
    }

    #[test]
    fn a_temporary_folder_goes_away_and_a_kept_one_stays() {
        let folder = Folder::make(None).unwrap();
        let path = folder.path.clone();
        assert!(path.join("campaigns/spring-launch.yaml").is_file());
        drop(folder);
        assert!(!path.exists());
        let parent = tempfile::tempdir().unwrap();
        let kept = parent.path().join("kept");
        drop(Folder::make(Some(&kept)).unwrap());
        assert!(kept.join("tidings.yaml").is_file());
    }
}
