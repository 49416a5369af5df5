//! Tables of a backup become tables of a running database.

use std::path::Path;

use tree::{Database, Options, Table};

use crate::error::ApiError;

/// The memory that the backup's own pages get, in bytes.
const POOL_BYTES: usize = 16 << 20;

/// Adds every table of the backup in `folder` to `database`, durably; their names. A table that is there already is
/// dropped first if `replace` says so.
///
/// # Errors
/// 409: a table is there already; nothing was changed. 400: the folder is no database. A table that could not be
/// restored as a whole is dropped again.
pub(crate) fn tables(folder: &Path, database: &Database, replace: bool) -> Result<Vec<String>, ApiError> {
    let options = Options { pool_bytes: POOL_BYTES, ..Options::default() };
    let backup = Database::open(folder, options)
        .map_err(|error| ApiError::bad_request(format!("the backup cannot be opened: {error}")))?;
    let names: Vec<String> = backup.tables().into_iter().map(|info| info.name).collect();
    let taken = names.iter().find(|name| database.table(name).is_some());
    if let Some(name) = taken.filter(|_| !replace) {
        return Err(tree::Error::TableExists { name: name.clone() }.into());
    }
    for name in &names {
        let Some(from) = backup.table(name) else { continue };
        if database.table(name).is_some() {
            database.drop_table(name)?;
        }
        let to = database.create_table(name)?;
        if let Err(error) = copy(&from, &to).and_then(|()| database.flush()) {
            // The first error is what the client should see.
            let _ = database.drop_table(name);
            return Err(error.into());
        }
    }
    backup.close()?;
    Ok(names)
}

fn copy(from: &Table, to: &Table) -> tree::Result<()> {
    for item in from.scan(..) {
        let (key, value) = item?;
        // Not waited for: one flush makes all of them durable.
        drop(to.put(&key, &value)?);
    }
    Ok(())
}
