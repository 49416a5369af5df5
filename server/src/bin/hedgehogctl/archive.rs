//! A backup's archive: a tar of a database folder's files, side by side, and nothing else.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};

/// The zeros at the end of every archive that is whole.
const END_BYTES: i64 = 1024;
/// The file that makes a folder a database.
pub(crate) const CATALOG: &str = "catalog";

/// What an archive holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Contents {
    /// Files.
    pub(crate) files: u64,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

/// Reads an archive from beginning to end and gives each file to `sink` with its name, which is safe to create in
/// a folder: no part of a path, and never the same twice.
///
/// # Errors
/// It is no backup: cut short, without a catalog, or with entries that are no plain files. The sink's own errors.
pub(crate) fn walk(path: &Path, sink: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<Contents> {
    let place = path.display();
    let refuse = |why: String| Error::usage(format!("{place} is no backup: {why}"));
    let unread = |cause: io::Error| refuse(format!("it cannot be read as a tar archive: {cause}"));
    let mut file = File::open(path).map_err(|cause| Error::usage(format!("cannot read {place}: {cause}")))?;
    if !ends_as_archives_do(&mut file).map_err(unread)? {
        return Err(refuse("its end is missing; it was cut short".to_string()));
    }
    let (mut contents, mut names) = (Contents::default(), HashSet::new());
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(256 << 10, file));
    for entry in archive.entries().map_err(unread)? {
        let mut entry = entry.map_err(unread)?;
        let name = plain_name(&entry.path_bytes()).ok_or_else(|| {
            refuse(format!("{:?} is no plain file name", String::from_utf8_lossy(&entry.path_bytes())))
        })?;
        if !entry.header().entry_type().is_file() {
            return Err(refuse(format!("{name} is no plain file")));
        }
        if !names.insert(name.clone()) {
            return Err(refuse(format!("{name} is in it twice")));
        }
        contents.files += 1;
        contents.bytes += entry.size();
        sink(&name, &mut entry)?;
    }
    if names.contains(CATALOG) { Ok(contents) } else { Err(refuse(format!("it holds no file `{CATALOG}`"))) }
}

fn ends_as_archives_do(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length < END_BYTES as u64 || !length.is_multiple_of(512) {
        return Ok(false);
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::End(-END_BYTES))?;
    file.read_to_end(&mut end)?;
    file.rewind()?;
    Ok(end.iter().all(|&byte| byte == 0))
}

/// The name, if it is one that stays in the folder it is created in.
fn plain_name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    let plain = !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    plain.then(|| name.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An archive with these entries: name, type, content.
    pub(crate) fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn walked(bytes: &[u8]) -> (Vec<String>, Result<Contents>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut names = Vec::new();
        let end = walk(file.path(), &mut |name, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|cause| Error::failed(name, cause))?;
            names.push(name.to_string());
            Ok(())
        });
        (names, end)
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn a_backup_is_read_file_by_file() {
        let (names, end) = walked(&archive(&[("users_p0.db", FILE, &[7; 5000]), ("catalog", FILE, b"{}")]));
        assert_eq!(names, ["users_p0.db", "catalog"]);
        assert_eq!(end.unwrap(), Contents { files: 2, bytes: 5002 });
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../evil", "a/b", "/etc/passwd", "..", ".", "a\\b", ".hidden"] {
            let (names, end) = walked(&archive(&[("catalog", FILE, b"{}"), (name, FILE, b"x")]));
            assert_eq!(names, ["catalog"], "{name}");
            assert_eq!(end.unwrap_err().exit_code(), 2, "{name}");
        }
    }

    #[test]
    fn links_folders_and_files_given_twice_are_refused() {
        for kind in
            [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory, tar::EntryType::Fifo]
        {
            assert!(walked(&archive(&[("catalog", kind, b"")])).1.is_err(), "{kind:?}");
        }
        assert!(walked(&archive(&[("catalog", FILE, b""), ("catalog", FILE, b"")])).1.is_err());
        assert!(walked(&archive(&[("users.db", FILE, b"")])).1.is_err());
    }

    #[test]
    fn an_archive_cut_short_is_refused_wherever_it_ends() {
        let whole = archive(&[("catalog", FILE, b"{}"), ("users.db", FILE, &[7; 2000])]);
        assert!(walked(&whole).1.is_ok());
        for length in (0..whole.len()).step_by(256) {
            assert!(walked(&whole[..length]).1.is_err(), "{length} of {}", whole.len());
        }
    }
}
