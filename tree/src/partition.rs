//! A partition: one tree in one file.

use wal::{Lsn, Storage, planted};

use crate::btree::overflow::{MAX_VALUE, NewChain};
use crate::btree::scan::Cursor;
use crate::btree::{self, Action, Condition, Edit, Edited, Protocol, Seek};
use crate::count::Count;
use crate::epoch;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::page::{Kind, Location, Meta, NodeBuilder, Page, PageId, Value, limits};
use crate::pages::{Pages, Patience};
use crate::pool::{Pool, Store};
use crate::remove::remove_if_there;
use crate::space::{FIRST_PAGES, FreeSpace, ROOT};
use crate::stats::{Counter, PartitionStats, TreeStats, Waits};
use crate::sync::Arc;

/// One tree in one file, over a pool and a log that it may share with others.
#[derive(Debug)]
pub(crate) struct Partition<const PAGE: usize> {
    pub(crate) pages: Arc<Pages<PAGE>>,
    tree: Box<dyn Protocol<PAGE>>,
}

/// Makes the file of an empty partition, durable but for its name: that is [`Storage::sync_dir`]'s.
pub(crate) fn create_file<const PAGE: usize>(
    storage: &dyn Storage,
    name: &str,
    partition: u32,
) -> Result<()> {
    let path = storage.path(name);
    // What a crash in the middle of a creation has left is nobody's: the catalog does not name it.
    remove_if_there(storage, name)?;
    let file = storage.create(name).map_err(Error::io("create", &*path))?;
    let root = NodeBuilder::<PAGE>::new(Kind::Leaf, 0, &[], None).finish();
    let root = root.map_err(|error| Error::Format { file: path.clone(), reason: error.to_string() })?;
    let first = [Meta { partition }.page::<PAGE>(), root, Page::new_space()];
    for (id, mut page) in (0..FIRST_PAGES).map(PageId).zip(first) {
        page.set_id(id);
        page.seal();
        file.write_at(page.bytes(), u64::from(id.0) * PAGE as u64).map_err(Error::io("write", &*path))?;
    }
    file.sync().map_err(Error::io("sync", path))
}

/// Opens the file of a partition, whose meta page must say that it is.
pub(crate) fn open_file<const PAGE: usize>(
    storage: &dyn Storage,
    name: &str,
    partition: u32,
    log_id: u32,
) -> Result<Arc<Store>> {
    let path = storage.path(name);
    let file = storage.open(name).map_err(Error::io("open", &*path))?;
    let format = |reason: String| Error::Format { file: path.clone(), reason };
    let mut page = Page::<PAGE>::zeroed();
    let read = file.read_at(page.bytes_mut(), 0).map_err(Error::io("read", &*path))?;
    if read != PAGE {
        return Err(format(format!(
            "it has {read} bytes, less than a page: it was cut short; restore it from a backup"
        )));
    }
    let meta = Meta::parse(&page).map_err(|error| format(error.to_string()))?;
    if meta.partition != partition {
        return Err(format(format!(
            "it is the file of partition {}, not of {partition}: was it renamed?",
            meta.partition
        )));
    }
    Ok(Arc::new(Store::new(partition, path, log_id, file)))
}

impl<const PAGE: usize> Partition<PAGE> {
    /// The partition of a file that is up to date, redo included.
    pub(crate) fn open(
        pool: Arc<Pool<PAGE>>,
        store: Arc<Store>,
        log: Arc<wal::Log>,
        items: u64,
        options: &Options,
    ) -> Result<Self> {
        let pages = Arc::new(Pages {
            space: Arc::new(find_free(&pool, &store)?),
            pool,
            store,
            log,
            count: Count::new(items),
            page_images: options.page_images,
            splits: Counter::new(),
            merges: Counter::new(),
            restarts: Counter::new(),
            lock_waits: Waits::default(),
        });
        let tree = btree::open(options.engine, options.wait, pages.clone())?;
        Ok(Self { pages, tree })
    }

    /// The value of a key, and the LSN that it rests on.
    pub(crate) fn get(&self, key: &[u8], patience: Patience) -> Result<(Option<Vec<u8>>, Lsn)> {
        check_key::<PAGE>(key)?;
        let mut found = None;
        let mut chain = None;
        let mut lsn = Lsn::ZERO;
        self.tree.visit(Seek::Key(key), patience, &mut |leaf| {
            lsn = leaf.lsn();
            let value = leaf.search(key).ok().map(|slot| leaf.value(slot));
            (found, chain) = match value {
                None => (None, None),
                Some(Value::Inline(value)) => (Some(value.to_vec()), None),
                // Pinned under the latch: the chain stays what it is until it has been read.
                Some(Value::Overflow { len, first }) => (None, Some((first, len, epoch::pin()))),
            };
        })?;
        if let Some((first, len, pin)) = chain {
            if patience == Patience::InMemory {
                return Err(Error::WouldWait);
            }
            let _pin = (!planted!("chain-unpinned")).then_some(pin);
            found = Some(self.pages.read_chain(first, len)?.1);
        }
        Ok((found, lsn))
    }

    /// Sets the value of a key, if the condition holds.
    pub(crate) fn put(
        &self,
        key: &[u8],
        value: &[u8],
        condition: Condition<'_>,
        patience: Patience,
    ) -> Result<Edited> {
        check_key::<PAGE>(key)?;
        if patience == Patience::InMemory && !limits::is_inline(PAGE, key.len(), value.len()) {
            check_value(value)?;
            return Err(Error::WouldWait);
        }
        let (value, chain) = self.store_value(key, value)?;
        let links = chain.as_ref().map_or(&[][..], NewChain::ids);
        let edit = Edit { key, action: Action::Put(value), condition, chain: links, patience };
        let edited = self.tree.edit(&edit)?;
        if let Some(chain) = chain.filter(|_| edited.applied) {
            chain.linked();
        }
        Ok(edited)
    }

    /// Removes a key, if the condition holds.
    pub(crate) fn delete(&self, key: &[u8], condition: Condition<'_>, patience: Patience) -> Result<Edited> {
        check_key::<PAGE>(key)?;
        self.tree.edit(&Edit { key, action: Action::Delete, condition, chain: &[], patience })
    }

    /// Applies writes that [`check_writes`] has put in order by one log record; `None` removes the key.
    pub(crate) fn apply(&self, writes: &[(&[u8], Option<&[u8]>)]) -> Result<Lsn> {
        let mut values = Vec::with_capacity(writes.len());
        for (key, value) in writes {
            values.push(value.map(|value| self.store_value(key, value)).transpose()?);
        }
        let edits: Vec<_> = writes
            .iter()
            .zip(&values)
            .map(|((key, _), value)| {
                let (action, chain) = match value {
                    Some((value, chain)) => (Action::Put(*value), chain.as_ref()),
                    None => (Action::Delete, None),
                };
                let chain = chain.map_or(&[][..], NewChain::ids);
                Edit { key, action, condition: Condition::Always, chain, patience: Patience::Wait }
            })
            .collect();
        if planted!("batch-in-pieces") {
            edits[1..].iter().try_for_each(|edit| self.tree.apply(std::slice::from_ref(edit)).map(drop))?;
        }
        let whole = if planted!("batch-in-pieces") { &edits[..1] } else { &edits };
        let lsn = self.tree.apply(whole)?;
        values.into_iter().flatten().filter_map(|(_, chain)| chain).for_each(NewChain::linked);
        Ok(lsn)
    }

    /// The next item of a scan.
    pub(crate) fn next(&self, cursor: &mut Cursor) -> Result<Option<btree::scan::Item>> {
        cursor.next(&*self.tree, &self.pages)
    }

    /// The number of items, and the LSN that it rests on.
    pub(crate) fn count(&self) -> (u64, Lsn) {
        self.pages.log.snapshot(|end| (self.pages.count.get(), end))
    }

    pub(crate) fn stats(&self) -> TreeStats {
        TreeStats {
            splits: self.pages.splits.get(),
            merges: self.pages.merges.get(),
            restarts: self.pages.restarts.get(),
        }
    }

    /// What was counted, for the table's partition of that number.
    pub(crate) fn partition_stats(&self, table: &str, partition: u32) -> PartitionStats {
        let pages = &*self.pages;
        let TreeStats { splits, merges, .. } = self.stats();
        let (lock_waits, lock_wait_ns) = pages.lock_waits.get();
        let root = pages.pool.peek(&pages.store, ROOT).map_or(0, |root| root.level());
        PartitionStats {
            table: table.to_string(),
            partition,
            items: pages.count.get(),
            pages: pages.space.used(),
            splits,
            merges,
            lock_waits,
            lock_wait_ns,
            levels: pages.store.levels.up_to(root),
        }
    }

    /// The value as the leaf will hold it; what does not fit there goes to a chain first.
    fn store_value<'v>(
        &self,
        key: &[u8],
        value: &'v [u8],
    ) -> Result<(Value<'v>, Option<NewChain<'_, PAGE>>)> {
        if limits::is_inline(PAGE, key.len(), value.len()) {
            return Ok((Value::Inline(value), None));
        }
        check_value(value)?;
        let chain = self.pages.write_chain(value)?;
        let first = chain.ids()[0];
        Ok((Value::Overflow { len: value.len() as u32, first }, Some(chain)))
    }
}

/// Puts the writes of a batch in order, and refuses what [`Partition::apply`] cannot apply.
pub(crate) fn check_writes<const PAGE: usize>(writes: &mut [(&[u8], Option<&[u8]>)]) -> Result<()> {
    writes.sort_unstable_by_key(|(key, _)| *key);
    if let Some(pair) = writes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::BatchKeyTwice { key: pair[0].0.escape_ascii().to_string() });
    }
    writes.iter().try_for_each(|(key, value)| {
        check_key::<PAGE>(key)?;
        check_value(value.unwrap_or_default())
    })
}

fn check_value(value: &[u8]) -> Result<()> {
    let (len, max) = (value.len(), MAX_VALUE);
    if len <= max { Ok(()) } else { Err(Error::ValueTooLarge { len, max }) }
}

fn check_key<const PAGE: usize>(key: &[u8]) -> Result<()> {
    let max = limits::max_key(PAGE);
    if (1..=max).contains(&key.len()) { Ok(()) } else { Err(Error::KeyLength { len: key.len(), max }) }
}

/// Reads the bitmaps of a file. The root and they are what no other page vouches for, so that one that has become
/// blank must be noticed here.
fn find_free<const PAGE: usize>(pool: &Pool<PAGE>, store: &Arc<Store>) -> Result<FreeSpace<PAGE>> {
    let root = copy_of(pool, store, ROOT)?;
    if !matches!(root.kind(), Kind::Leaf | Kind::Inner) {
        return Err(store.damaged(ROOT, format!("the root was expected, {:?} found", root.kind())));
    }
    let pages = store.pages::<PAGE>()?;
    let mut free = Vec::new();
    let mut next = FIRST_PAGES;
    for group in 0.. {
        let Some(map) = Location::space_page::<PAGE>(group).filter(|map| u64::from(map.0) < pages) else {
            break;
        };
        let mut page = copy_of(pool, store, map)?;
        if page.kind() == Kind::Free && u64::from(map.0) + 1 == pages {
            // The file ends where the group begins: it has no page yet.
            page = Page::new_space();
        }
        if page.kind() != Kind::Space {
            return Err(store.damaged(map, format!("a bitmap was expected, {:?} found", page.kind())));
        }
        let position_page = |position| Location { group, position }.page::<PAGE>();
        let capacity = crate::page::space_capacity(PAGE);
        for position in 0..capacity {
            let Some(id) = position_page(position as u16) else { break };
            if page.is_set(position as u16) {
                if position > 0 {
                    next = next.max(id.0 + 1);
                }
            } else {
                free.push(id.0);
            }
        }
    }
    free.retain(|&id| id < next && id != ROOT.0);
    Ok(FreeSpace::new(free, next))
}

/// A copy of a page, by way of the pool: what redo has made of it may not be in the file yet.
fn copy_of<const PAGE: usize>(pool: &Pool<PAGE>, store: &Arc<Store>, id: PageId) -> Result<Page<PAGE>> {
    loop {
        match pool.read(store, id) {
            Some(guard) => return Ok(guard.clone()),
            None => pool.load(store, id)?,
        }
    }
}
