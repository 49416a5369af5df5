//! Tables that are filled before anybody sees them, and then take a name at one instant.
//!
//! A staged table is a table like any other, in the catalog too, under a key that no table can have as its name. To
//! publish it is one change of the catalog: the table that had the name goes, this one takes it. A crash before that
//! leaves what was there before, and the next opening removes the rest.

use wal::planted;

use crate::catalog::is_staged;
use crate::database::{DatabaseOf, Shared, check_name};
use crate::error::{Error, Result};
use crate::sync::Arc;
use crate::table::{TableOf, TableState};

/// A table that only its maker can read and write, until it is published. Dropped before that, it is removed.
#[derive(Debug)]
pub struct StagedTableOf<const PAGE: usize> {
    shared: Arc<Shared<PAGE>>,
    state: Arc<TableState<PAGE>>,
    key: String,
    published: bool,
}

impl<const PAGE: usize> DatabaseOf<PAGE> {
    /// Makes an empty table that will have that name when it is [published](StagedTableOf::publish).
    ///
    /// # Errors
    /// A name that is refused; a backup under way; a failing disk.
    pub fn stage_table(&self, name: &str) -> Result<StagedTableOf<PAGE>> {
        let shared = self.shared.clone();
        let (key, state) = shared.create(|catalog| {
            check_name(name)?;
            Ok((catalog.staged_key(name), name))
        })?;
        Ok(StagedTableOf { shared, state, key, published: false })
    }
}

impl<const PAGE: usize> StagedTableOf<PAGE> {
    /// The table, to be filled. Once published, it is the table of that name.
    pub fn table(&self) -> TableOf<PAGE> {
        TableOf::new(self.shared.clone(), self.state.clone())
    }

    /// Makes everything in it durable and gives it its name, at one instant: whoever asks for the table, also after a
    /// crash, gets all of the old one or all of this one. With `replace`, the table that has the name now is dropped
    /// by that.
    ///
    /// # Errors
    /// [`Error::TableExists`] without `replace`; a backup under way; a failing disk. This table is removed then.
    pub fn publish(mut self, replace: bool) -> Result<TableOf<PAGE>> {
        self.shared.flush()?;
        self.shared.publish(&self.key, &self.state, replace)?;
        self.published = true;
        Ok(self.table())
    }
}

impl<const PAGE: usize> Drop for StagedTableOf<PAGE> {
    fn drop(&mut self) {
        if !self.published {
            // If this fails, nobody sees the table, and the next opening removes it.
            let _ = self.shared.drop_table(&self.key);
        }
    }
}

impl<const PAGE: usize> Shared<PAGE> {
    fn publish(&self, key: &str, state: &Arc<TableState<PAGE>>, replace: bool) -> Result<()> {
        self.check_open()?;
        let _alone = self.checkpointing.lock();
        self.backups.expect_none()?;
        let name = &state.info.name;
        let catalog = self.catalog.lock().clone();
        let old = catalog.tables.get(name);
        if old.is_some() && !replace {
            return Err(Error::TableExists { name: name.clone() });
        }
        if planted!("published-in-two-steps") {
            self.retire(name, old, |_| ())?;
        }
        self.retire(name, old, |changed| {
            if let Some(entry) = changed.tables.remove(key) {
                changed.tables.insert(name.clone(), entry);
            }
        })?;
        let retired = {
            let mut tables = self.tables.write();
            tables.remove(key);
            tables.insert(name.clone(), state.clone())
        };
        self.discard(&catalog, old, retired);
        // The old files are removed by the next opening if they cannot be now: the table is published either way.
        let _ = self.finish_drops();
        Ok(())
    }

    /// Removes what was staged before a crash.
    pub(crate) fn remove_staged(&self) -> Result<()> {
        let tables = self.tables.read();
        let staged: Vec<_> = tables.keys().filter(|key| is_staged(key)).cloned().collect();
        drop(tables);
        staged.iter().try_for_each(|key| self.drop_table(key))
    }
}
