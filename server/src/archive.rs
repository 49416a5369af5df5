//! Backups as tar archives: the files of a database folder, side by side.

use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;
use tree::{BackupSink, FolderSink};

/// The bytes that are handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// How the names of folders begin that hold a copy to be verified, inside of the data folder.
pub const CHECK_PREFIX: &str = ".check-";
/// How the names of folders begin that hold a backup to be restored, inside of the data folder.
pub const RESTORE_PREFIX: &str = ".restore-";

/// Removes what a check or a restore has left in a data folder when the node was killed. Nobody else may use the
/// folder.
///
/// # Errors
/// The folder's own.
pub fn remove_leftovers(data_dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours =
            [CHECK_PREFIX, RESTORE_PREFIX].iter().any(|prefix| name.to_string_lossy().starts_with(prefix));
        if is_ours && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Writes a backup's files into a tar archive.
pub struct TarSink<W: Write> {
    archive: tar::Builder<W>,
}

impl<W: Write> TarSink<W> {
    /// An archive that is written to `to`.
    pub fn new(to: W) -> Self {
        Self { archive: tar::Builder::new(to) }
    }

    /// Ends the archive. One without its end is refused by [`unpack`].
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<()> {
        self.archive.into_inner()?.flush()
    }
}

impl<W: Write> BackupSink for TarSink<W> {
    fn file(&mut self, name: &str, bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_cksum();
        self.archive.append_data(&mut header, name, content)
    }
}

/// Unpacks an archive into a folder, which must be new or empty. Only plain files with plain names are taken.
///
/// # Errors
/// What is no such archive, or has been cut short; the folder's own errors.
pub fn unpack(from: impl Read, folder: &Path) -> io::Result<()> {
    let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut sink = FolderSink::new(folder).map_err(io::Error::other)?;
    let mut tail = Tail { from, last: [1; 1024], at: 0, bytes: 0 };
    let mut archive = tar::Archive::new(&mut tail);
    let mut files = 0;
    // Raw: records for long names are read into memory, however long they are, and a backup has none.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        if !entry.header().entry_type().is_file() {
            return Err(refuse(format!("{path} is no plain file")));
        }
        let bytes = entry.size();
        sink.file(&path, bytes, &mut entry)?;
        files += 1;
    }
    io::copy(&mut tail, &mut io::sink())?;
    if files == 0 {
        return Err(refuse("the archive is empty".into()));
    }
    // Whole blocks: the zeros that fill up the last file's block are none of the end's.
    if !tail.bytes.is_multiple_of(512) || tail.last.iter().any(|&byte| byte != 0) {
        return Err(refuse("the archive has no end: it was cut short".into()));
    }
    Ok(())
}

/// Remembers the last 1,024 bytes of what it reads: an archive that is whole ends with so many zeros.
struct Tail<R> {
    from: R,
    last: [u8; 1024],
    at: usize,
    bytes: u64,
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.bytes += read as u64;
        for &byte in buffer[..read].iter().rev().take(1024).rev() {
            self.last[self.at] = byte;
            self.at = (self.at + 1) % self.last.len();
        }
        Ok(read)
    }
}

/// Hands what is written to it on to asynchronous code, in pieces.
pub struct ChannelWriter {
    to: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl ChannelWriter {
    /// A writer to that channel. For threads that may block only: a full channel is waited for.
    pub fn new(to: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self { to, piece: Vec::with_capacity(PIECE_BYTES) }
    }
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        self.to.blocking_send(Ok(Bytes::from(piece))).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sink = TarSink::new(&mut bytes);
        for (name, content) in files {
            sink.file(name, content.len() as u64, &mut &content[..]).unwrap();
        }
        sink.finish().unwrap();
        bytes
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![7; 100_000];
        unpack(&archive(&[("catalog", b"{}"), ("users_p0.db", &long)])[..], folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("users_p0.db")).unwrap(), long);
        assert_eq!(std::fs::read(folder.path().join("catalog")).unwrap(), b"{}");
    }

    #[test]
    fn an_archive_that_was_cut_short_is_refused_wherever_it_ends() {
        let whole = archive(&[("catalog", b"{}"), ("users.db", &[7; 2000])]);
        for length in (0..whole.len() - 1).step_by(509).chain([whole.len() - 1]) {
            let folder = tempfile::tempdir().unwrap();
            assert!(unpack(&whole[..length], folder.path()).is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn leftovers_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".check-a1", ".restore-b2", "checks"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("file"), "x").unwrap();
        }
        std::fs::write(folder.path().join("restore-p0.db"), "a table may be called that").unwrap();
        remove_leftovers(folder.path()).unwrap();
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["checks", "restore-p0.db"]);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for name in ["../evil", "a/b", "/etc/passwd", ".."] {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(1);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend_from_slice(&[0; 512 * 3]);
            let folder = tempfile::tempdir().unwrap();
            assert!(unpack(&bytes[..], folder.path()).is_err(), "{name}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
