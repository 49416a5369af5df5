//! Removing a file that may not be there.

use std::io::ErrorKind;

use wal::Storage;

use crate::error::{Error, Result};

/// Removes a file; one that is not there already counts as removed. Durable after [`Storage::sync_dir`].
///
/// # Errors
/// The disk refuses.
pub(crate) fn remove_if_there(storage: &dyn Storage, name: &str) -> Result<()> {
    match storage.remove(name) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io("remove", storage.path(name))(error))
        }
        _ => Ok(()),
    }
}
