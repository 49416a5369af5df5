//! Where a command's results go: a folder of its own.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Makes a folder in `out` that was not there: `name`, or `name-2` and so on, because two commands may begin in the same
/// second.
pub fn fresh(out: &Path, name: &str) -> Result<PathBuf> {
    let failed = |cause| Error::failed(format!("cannot make a folder in {}", out.display()), cause);
    std::fs::create_dir_all(out).map_err(failed)?;
    let mut folder = out.join(name);
    for number in 2.. {
        match std::fs::create_dir(&folder) {
            Ok(()) => break,
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
                folder = out.join(format!("{name}-{number}"));
            }
            Err(cause) => return Err(failed(cause)),
        }
    }
    Ok(folder)
}
