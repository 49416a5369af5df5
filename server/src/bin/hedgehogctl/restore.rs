//! `restore`: a backup becomes a folder that a node can be started on, or tables of a running node.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::archive::{self, CATALOG};
use crate::check;
use crate::command::Session;
use crate::error::{Code, Error, Result};
use crate::escape::printable;
use crate::progress;
use crate::request::{Payload, Request};

/// The catalog's name until every other file is durable.
const CATALOG_PART: &str = "catalog.part";

/// `restore FILE`: adds the backup's tables to the running node.
pub(crate) fn online(session: &Session, path: &Path, replace: bool) -> Result<()> {
    #[derive(Deserialize)]
    struct Restored {
        tables: Vec<String>,
    }
    // A file that is no backup is told here, before any of it is sent.
    archive::walk(path, &mut |_, _| Ok(()))?;
    let file =
        File::open(path).map_err(|cause| Error::usage(format!("cannot read {}: {cause}", path.display())))?;
    let request = Request::post("/api/v1/restore", Payload::Tar(file)).patient();
    let sent = session.client()?.send(request.query_if("replace", replace.then_some("true")));
    let answer = sent.map_err(|error| match error.code() {
        Some(Code::Conflict) if !replace => {
            error.and("nothing was changed; --replace drops such tables first")
        }
        _ => error,
    })?;
    if session.output.json {
        return session.output.line(answer.text()?.trim_end());
    }
    let Restored { tables } = answer.parse()?;
    let names: Vec<String> = tables.iter().map(|name| printable(name)).collect();
    session.output.line(format!("restored {} tables: {}", names.len(), names.join(", ")))
}

/// `restore FILE --data-dir FOLDER`: unpacks the backup and verifies every tree of it.
pub(crate) fn offline(session: &Session, path: &Path, folder: &Path) -> Result<()> {
    let target = Target::create(folder)?;
    let size = path.metadata().ok().map(|metadata| metadata.len());
    let bar = progress::bar(size, "unpacking");
    let contents =
        archive::walk(path, &mut |name, content| target.unpack(name, &mut bar.wrap_read(content)))?;
    bar.finish_and_clear();
    let verdict = target.finish()?;
    let name = folder.display().to_string();
    let (files, bytes) = (contents.files, contents.bytes);
    let answer = serde_json::json!({ "folder": name, "files": files, "bytes": bytes, "check": verdict });
    let next = format!("start a node on it with `hedgehogdb --data-dir {name}`");
    session.output.answer(&answer.to_string(), || format!("{name}: {files} files; {verdict}\n{next}"))
}

/// The folder that is being filled. Unless it is finished, what was put into it is removed again.
struct Target {
    folder: PathBuf,
    created: bool,
    finished: bool,
}

impl Target {
    /// Takes an empty folder, or makes one.
    fn create(folder: &Path) -> Result<Target> {
        let unusable = |cause: io::Error| Error::usage(format!("cannot use {}: {cause}", folder.display()));
        let created = !folder.exists();
        if created {
            fs::create_dir_all(folder).map_err(unusable)?;
        } else if fs::read_dir(folder).map_err(unusable)?.next().is_some() {
            let text = format!(
                "{} is not empty, and a restore overwrites nothing: name another folder",
                folder.display()
            );
            return Err(Error::new(Code::Conflict, text));
        }
        Ok(Target { folder: folder.to_path_buf(), created, finished: false })
    }

    fn unpack(&self, name: &str, content: &mut dyn Read) -> Result<()> {
        // A folder without a catalog is no database: whatever happens before the end, none is half there.
        let path = self.folder.join(if name == CATALOG { CATALOG_PART } else { name });
        let written = File::create_new(&path).and_then(|mut file| {
            io::copy(content, &mut file)?;
            file.sync_all()
        });
        written.map_err(|cause| Error::failed(format!("cannot write {}", path.display()), cause))
    }

    /// Makes the folder a database and verifies it. A damaged one stays, to be looked at.
    fn finish(mut self) -> Result<String> {
        let folder = &self.folder;
        let sync = || File::open(folder).and_then(|folder| folder.sync_all());
        let named = sync()
            .and_then(|()| fs::rename(folder.join(CATALOG_PART), folder.join(CATALOG)))
            .and_then(|()| sync());
        named.map_err(|cause| Error::failed(format!("cannot make {} durable", folder.display()), cause))?;
        self.finished = true;
        check::unpacked(&self.folder)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The folder was empty: everything in it is this restore's. What cannot be removed stays visible.
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
        if self.created {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_that_fails_leaves_the_folder_as_it_was() {
        let outer = tempfile::tempdir().unwrap();
        for existed in [false, true] {
            let folder = outer.path().join(format!("data-{existed}"));
            if existed {
                fs::create_dir(&folder).unwrap();
            }
            let target = Target::create(&folder).unwrap();
            target.unpack(CATALOG, &mut &b"{}"[..]).unwrap();
            target.unpack("users.db", &mut &b"x"[..]).unwrap();
            assert!(!folder.join(CATALOG).exists());
            drop(target);
            assert_eq!(folder.exists(), existed);
            assert!(!existed || fs::read_dir(&folder).unwrap().next().is_none());
        }
    }

    #[test]
    fn a_folder_that_is_not_empty_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "x").unwrap();
        assert_eq!(Target::create(folder.path()).err().unwrap().code(), Some(Code::Conflict));
        assert!(folder.path().join("mine").exists());
    }
}
