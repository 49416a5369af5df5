//! Where the databases of a run live: a temporary folder on a real disk, removed whatever happens.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};

/// The folder of one command; every run makes a fresh database in it. Dropping it removes everything.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: TempDir,
}

impl DataFolder {
    /// Makes the folder under `chosen`, or under the system's temporary folder. Where that one is in memory, and
    /// the runs are `durable`, `fallback` is used instead; a `chosen` one in memory is refused: a sync does
    /// nothing there, and durable figures would be wrong.
    pub(crate) fn create(chosen: Option<&Path>, fallback: &Path, durable: bool) -> Result<DataFolder> {
        let system = std::env::temp_dir();
        let parent = match chosen {
            Some(chosen) => chosen.to_path_buf(),
            None if durable && in_memory(&system) => {
                eprintln!(
                    "note: {} is in memory, where a sync does nothing; the databases go to {}",
                    system.display(),
                    fallback.display()
                );
                fallback.to_path_buf()
            }
            None => system,
        };
        fs::create_dir_all(&parent).map_err(|cause| {
            Error::Usage(format!("cannot make the data folder {}: {cause}", parent.display()))
        })?;
        if durable && in_memory(&parent) {
            return Err(Error::Usage(format!(
                "{} is in memory ({}), where a sync does nothing: choose a folder on a disk with --data-dir, \
                 or say --no-sync",
                parent.display(),
                file_system(&parent).unwrap_or_default()
            )));
        }
        let root = tempfile::Builder::new()
            .prefix("hedgehog-experiments-")
            .tempdir_in(&parent)
            .map_err(|cause| Error::failed(format!("cannot make a folder in {}", parent.display()), cause))?;
        Ok(DataFolder { root })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Waits until the file system has nothing left to do for what was written and removed before: a trial
    /// must not pay for the one before it.
    fn settle(&self) -> Result<()> {
        let failed = |cause: String| Error::failed(format!("cannot sync {}", self.path().display()), cause);
        let folder = fs::File::open(self.path()).map_err(|cause| failed(cause.to_string()))?;
        rustix::fs::syncfs(folder).map_err(|cause| failed(cause.to_string()))
    }

    /// A fresh folder for one database, on a disk that has come to rest; removed when dropped.
    pub(crate) fn database(&self) -> Result<TempDir> {
        self.settle()?;
        tempfile::Builder::new().prefix("database-").tempdir_in(self.path()).map_err(|cause| {
            Error::failed(format!("cannot make a folder in {}", self.path().display()), cause)
        })
    }
}

fn in_memory(path: &Path) -> bool {
    file_system(path).is_some_and(|kind| kind == "tmpfs" || kind == "ramfs")
}

/// The type of the file system that holds `path`, from the mount table; `None` where there is no such table.
pub(crate) fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    type_at(&path, &fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// The mount with the longest matching mount point; of equal ones the last, which lies on top.
fn type_at(path: &Path, mounts: &str) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), file_system.split(' ').next()) else {
            continue;
        };
        let point = PathBuf::from(unescape(point));
        let depth = point.components().count();
        if path.starts_with(&point) && best.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
            best = Some((depth, kind.to_string()));
        }
    }
    best.map(|(_, kind)| kind)
}

/// Undoes the mount table's octal escapes of blanks, tabs, line ends and backslashes.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const MOUNTS: &str = "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
        30 27 0:25 / /dev/shm rw - tmpfs tmpfs rw\n\
        31 27 0:26 / /my\\040disk rw - xfs /dev/vdb rw\n\
        32 27 0:27 / /my\\040disk rw - btrfs /dev/vdc rw\n";

    #[test]
    fn deepest_and_last_mount_wins() {
        assert_eq!(type_at(Path::new("/tmp/x"), MOUNTS).as_deref(), Some("ext4"));
        assert_eq!(type_at(Path::new("/dev/shm/x"), MOUNTS).as_deref(), Some("tmpfs"));
        assert_eq!(type_at(Path::new("/dev/shmem"), MOUNTS).as_deref(), Some("ext4"));
        assert_eq!(type_at(Path::new("/my disk/x"), MOUNTS).as_deref(), Some("btrfs"));
    }

    #[test]
    fn dropping_the_folder_removes_every_database() {
        let folder = DataFolder::create(None, Path::new("."), false).unwrap();
        let path = folder.path().to_path_buf();
        let database = folder.database().unwrap();
        fs::write(database.path().join("file"), b"x").unwrap();
        drop(database);
        drop(folder);
        assert!(!path.exists());
    }
}
