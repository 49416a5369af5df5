//! Tables of a backup become tables of a running database.

use std::path::Path;

use tree::{Database, Options, Table};

use crate::error::ApiError;

/// The memory that the backup's own pages get, in bytes.
const POOL_BYTES: usize = 16 << 20;

/// Adds every table of the backup in `folder` to `database`, durably; their names. With `replace`, each takes the place
/// of the table of its name at the instant when it is whole.
///
/// # Errors
/// 409: a table is there already. 400: the folder is no database. Until all of them have been copied, nothing is
/// changed; after that, a failure may leave some of them restored, each as a whole.
pub(crate) fn tables(folder: &Path, database: &Database, replace: bool) -> Result<Vec<String>, ApiError> {
    let options = Options { pool_bytes: POOL_BYTES, ..Options::default() };
    let backup = Database::open(folder, options)
        .map_err(|error| ApiError::bad_request(format!("the backup cannot be opened: {error}")))?;
    let names: Vec<String> = backup.tables().into_iter().map(|info| info.name).collect();
    let taken = names.iter().find(|name| database.table(name).is_some());
    if let Some(name) = taken.filter(|_| !replace) {
        return Err(tree::Error::TableExists { name: name.clone() }.into());
    }
    let mut staged = Vec::new();
    for name in &names {
        let Some(from) = backup.table(name) else { continue };
        let to = database.stage_table(name)?;
        copy(&from, &to.table())?;
        staged.push(to);
    }
    backup.close()?;
    for table in staged {
        table.publish(replace)?;
    }
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
