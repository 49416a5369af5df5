//! The file that says where a node's log is to be read from.
//!
//! 12 bytes: the position (8, little-endian) and its CRC-32 (4). It is replaced as a whole, by renaming.

use std::io;

use wal::{Lsn, Storage};

use super::Error;

const FILE: &str = "raft.redo";
const NEXT: &str = "raft.redo.new";

fn failed<'a>(
    what: &'static str,
    storage: &'a dyn Storage,
    file: &'a str,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io { what, file: storage.path(file), source }
}

/// The position; none where there is no file.
pub(super) fn load(storage: &dyn Storage) -> Result<Option<Lsn>, Error> {
    let file = match storage.open(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("open", storage, FILE))?,
    };
    let mut bytes = [0; 12];
    let read = file.read_at(&mut bytes, 0).map_err(failed("read", storage, FILE))?;
    let (position, crc) = bytes.split_at(8);
    if read < bytes.len() || crc != crc32fast::hash(position).to_le_bytes() {
        let reason = "its checksum does not match".to_string();
        return Err(Error::Damaged { file: storage.path(FILE), reason });
    }
    let mut number = [0; 8];
    number.copy_from_slice(position);
    Ok(Some(Lsn::new(u64::from_le_bytes(number))))
}

/// Replaces the position, durably.
pub(super) fn save(storage: &dyn Storage, position: Lsn) -> Result<(), Error> {
    remove_if_there(storage, NEXT)?;
    let number = position.get().to_le_bytes();
    let bytes = [&number[..], &crc32fast::hash(&number).to_le_bytes()].concat();
    let file = storage.create(NEXT).map_err(failed("create", storage, NEXT))?;
    file.write_at(&bytes, 0).map_err(failed("write", storage, NEXT))?;
    file.sync().map_err(failed("sync", storage, NEXT))?;
    storage.rename(NEXT, FILE).map_err(failed("rename", storage, NEXT))?;
    storage.sync_dir().map_err(failed("sync the folder of", storage, FILE))
}

/// Removes what the creation of a log has left when it was cut off.
pub(super) fn remove_segments(storage: &dyn Storage, log: &str) -> Result<(), Error> {
    let names = storage.list().map_err(failed("list", storage, ""))?;
    let of_log = |name: &&String| name.strip_prefix(log).is_some_and(|rest| rest.starts_with('-'));
    names.iter().filter(of_log).try_for_each(|name| remove_if_there(storage, name))
}

fn remove_if_there(storage: &dyn Storage, name: &str) -> Result<(), Error> {
    match storage.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", storage, name)),
    }
}
