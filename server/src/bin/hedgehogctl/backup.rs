//! `backup`: the running node's tables, written to a file that is there only when it is whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::archive::{self, Contents};
use crate::client::broken;
use crate::command::Session;
use crate::error::{Code, Error, Result};
use crate::progress;
use crate::request::{Payload, Request};
use crate::units::bytes;

/// `backup`.
pub(crate) fn run(session: &Session, file: &Path) -> Result<()> {
    refuse_existing(file)?;
    let part = Part::create(file)?;
    let answer = session.client()?.send(Request::post("/api/v1/backup", Payload::None).patient())?;
    let (mut reader, call) = answer.into_reader();
    part.fill(&mut reader, &call)?;
    let contents = archive::walk(&part.path, &mut drain)?;
    part.publish(file)?;
    let Contents { files, bytes: size } = contents;
    let name = file.display().to_string();
    let answer = serde_json::json!({ "file": name, "files": files, "bytes": size }).to_string();
    session
        .output
        .answer(&answer, || format!("{name}: {files} files, {}, read back whole", bytes(size as f64)))
}

fn refuse_existing(file: &Path) -> Result<()> {
    match file.symlink_metadata() {
        Ok(_) => {
            let text =
                format!("{} exists, and a backup overwrites nothing: name another file", file.display());
            Err(Error::new(Code::Conflict, text))
        }
        Err(_) => Ok(()),
    }
}

/// Reads a file of the archive to its end, to see that it is all there.
fn drain(name: &str, content: &mut dyn Read) -> Result<()> {
    let copied = io::copy(content, &mut io::sink());
    copied.map(drop).map_err(|cause| Error::failed(format!("cannot read back {name} of the backup"), cause))
}

/// The backup while it is written: `FILE.tar.part`, removed unless it is published.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn create(target: &Path) -> Result<Part> {
        let mut name = OsString::from(target);
        name.push(".part");
        let path = PathBuf::from(name);
        match File::create_new(&path) {
            Ok(file) => Ok(Part { path, file }),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                let text = "exists: another backup is writing it, or one was killed; in that case remove it";
                Err(Error::new(Code::Conflict, format!("{} {text}", path.display())))
            }
            Err(cause) => Err(Error::usage(format!("cannot create {}: {cause}", path.display()))),
        }
    }

    fn fill(&self, reader: &mut dyn Read, call: &str) -> Result<()> {
        let bar = progress::bar(None, "receiving the backup");
        let mut piece = vec![0; 256 << 10];
        loop {
            let length = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(broken(call, cause)),
            };
            let written = io::Write::write_all(&mut &self.file, &piece[..length]);
            written.map_err(|cause| self.unwritten(cause))?;
            bar.inc(length as u64);
        }
        bar.finish_and_clear();
        self.file.sync_all().map_err(|cause| self.unwritten(cause))
    }

    /// Gives the file its name, durably.
    fn publish(mut self, target: &Path) -> Result<()> {
        refuse_existing(target)?;
        std::fs::rename(&self.path, target).map_err(|cause| self.unwritten(cause))?;
        // Nothing is left to be removed.
        self.path = PathBuf::new();
        let folder =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|cause| Error::failed(format!("cannot make {} durable", target.display()), cause))
    }

    fn unwritten(&self, cause: io::Error) -> Error {
        Error::failed(format!("cannot write {}", self.path.display()), cause)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What cannot be removed is named `.part`, and the next backup names it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
