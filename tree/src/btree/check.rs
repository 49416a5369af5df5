//! A verifier of one tree. It only reads, and trusts nothing that a reader of the tree trusts.

use wal::Lsn;

use crate::error::Error;
use crate::page::{Kind, Location, Page, PageId, Value, limits, space_capacity};
use crate::pages::Pages;
use crate::pool::MAX_PAGES;
use crate::space::{FIRST_PAGES, ROOT};

/// What the verifier saw of one tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeCheck {
    pub(crate) pages: u64,
    pub(crate) keys: u64,
    /// Levels, leaves included.
    pub(crate) levels: u8,
    /// Bytes of nodes that hold keys and values, and bytes that could.
    pub(crate) used_bytes: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) problems: Vec<String>,
}

/// A subtree that is yet to be looked at.
struct Subtree {
    page: PageId,
    /// The level that its parent gives it; none for the root.
    level: Option<u8>,
    low: Vec<u8>,
    high: Option<Vec<u8>>,
}

struct Checker<'p, const PAGE: usize> {
    pages: &'p Pages<PAGE>,
    end: Lsn,
    /// Pages that something refers to.
    reached: Vec<bool>,
    found: TreeCheck,
}

/// Verifies the tree in `pages`: order, fences, levels, that every page is reached once or free, checksums on
/// disk, LSNs, and the count of items.
pub(crate) fn check<const PAGE: usize>(pages: &Pages<PAGE>) -> TreeCheck {
    let reached = vec![true; FIRST_PAGES as usize];
    let mut checker = Checker { pages, end: pages.log.end(), reached, found: TreeCheck::default() };
    checker.nodes();
    checker.maps();
    checker.disk();
    let items = pages.count.get();
    if checker.found.problems.is_empty() && items != checker.found.keys {
        checker.problem(format!("the count says {items} items, the leaves hold {}", checker.found.keys));
    }
    checker.found
}

impl<const PAGE: usize> Checker<'_, PAGE> {
    fn problem(&mut self, text: String) {
        self.found.problems.push(text);
    }

    fn nodes(&mut self) {
        let root = Subtree { page: ROOT, level: None, low: Vec::new(), high: None };
        let mut rest = vec![root];
        while let Some(subtree) = rest.pop() {
            match self.read(subtree.page) {
                Ok(node) => self.node(&node, subtree, &mut rest),
                Err(error) => self.problem(error.to_string()),
            }
        }
    }

    fn read(&self, page: PageId) -> Result<Page<PAGE>, Error> {
        self.pages.retry(|_| Ok(Page::clone(&*self.pages.read(page)?)))
    }

    fn node(&mut self, node: &Page<PAGE>, subtree: Subtree, rest: &mut Vec<Subtree>) {
        let Subtree { page, level, low, high } = subtree;
        let kind = if node.level() == 0 { Kind::Leaf } else { Kind::Inner };
        if node.kind() != kind || level.is_some_and(|level| level != node.level()) {
            let expected = level.map_or("a root".to_string(), |level| format!("a node of level {level}"));
            return self.problem(format!(
                "{page}: {expected} was expected, {:?} of level {} found",
                node.kind(),
                node.level()
            ));
        }
        if level.is_none() {
            self.found.levels = node.level() + 1;
        }
        self.found.pages += 1;
        self.found.used_bytes += node.used_bytes() as u64;
        self.found.capacity_bytes += limits::capacity(PAGE) as u64;
        if node.low_fence() != low || node.high_fence() != high.as_deref() {
            self.problem(format!("{page}: its fences are not those that its parent gives it"));
        }
        if node.id() != page {
            self.problem(format!("{page}: it says that it is {}", node.id()));
        }
        self.lsn(node, page);
        self.keys(node, page);
        if kind == Kind::Inner {
            self.children(node, page, rest);
        } else {
            self.values(node);
        }
    }

    fn lsn(&mut self, page: &Page<PAGE>, id: PageId) {
        if page.lsn() > self.end {
            self.problem(format!("{id}: its LSN {} is behind the log's end {}", page.lsn(), self.end));
        }
    }

    fn keys(&mut self, node: &Page<PAGE>, page: PageId) {
        let (mut key, mut before) = (Vec::new(), None::<Vec<u8>>);
        for slot in 0..node.count() {
            node.copy_key(slot, &mut key);
            if before.as_ref().is_some_and(|before| *before >= key) {
                self.problem(format!("{page}: slot {slot} is not above the one before it"));
            }
            if !node.covers(&key) {
                self.problem(format!("{page}: slot {slot} is not between the fences"));
            }
            before = Some(key.clone());
        }
    }

    fn children(&mut self, node: &Page<PAGE>, page: PageId, rest: &mut Vec<Subtree>) {
        let mut bounds: Vec<Option<Vec<u8>>> = Vec::with_capacity(node.count() + 1);
        for slot in 0..node.count() {
            let mut key = Vec::new();
            node.copy_key(slot, &mut key);
            bounds.push(Some(key));
        }
        bounds.push(node.high_fence().map(<[u8]>::to_vec));
        for slot in 0..node.count() {
            let child = node.child(slot);
            if self.reach(child, page) {
                let low = bounds[slot].clone().unwrap_or_default();
                let level = node.level().checked_sub(1);
                rest.push(Subtree { page: child, level, low, high: bounds[slot + 1].clone() });
            }
        }
    }

    fn values(&mut self, leaf: &Page<PAGE>) {
        self.found.keys += leaf.count() as u64;
        for slot in 0..leaf.count() {
            if let Value::Overflow { len, first } = leaf.value(slot) {
                match self.pages.read_chain(first, len) {
                    Ok((chain, _)) => {
                        self.found.pages += chain.len() as u64;
                        for page in chain {
                            self.reach(page, leaf.id());
                        }
                    }
                    Err(error) => self.problem(error.to_string()),
                }
            }
        }
    }

    /// Notes that something refers to a page; `false` where something else did before.
    fn reach(&mut self, page: PageId, from: PageId) -> bool {
        let index = page.0 as usize;
        if page.0 >= MAX_PAGES {
            self.problem(format!("{from} refers to {page}, which no file has"));
            return false;
        }
        if self.reached.len() <= index {
            self.reached.resize(index + 1, false);
        }
        if std::mem::replace(&mut self.reached[index], true) {
            self.problem(format!("{page} is referred to twice, the second time by {from}"));
            return false;
        }
        true
    }

    /// Every page in use is reached, and every page that is reached is in use.
    fn maps(&mut self) {
        let file_pages = self.pages.store.pages::<PAGE>().unwrap_or(0).max(self.reached.len() as u64);
        for group in 0.. {
            let Some(map) = Location::space_page::<PAGE>(group).filter(|map| u64::from(map.0) < file_pages)
            else {
                break;
            };
            let page = match self.read(map) {
                Ok(page) if page.kind() == Kind::Space => page,
                // A group without pages has no bitmap.
                Ok(page) if page.kind() == Kind::Free => Page::new_space(),
                Ok(page) => {
                    self.problem(format!("{map}: a bitmap was expected, {:?} found", page.kind()));
                    continue;
                }
                Err(error) => {
                    self.problem(error.to_string());
                    continue;
                }
            };
            self.lsn(&page, map);
            for position in 1..space_capacity(PAGE) {
                let Some(id) = (Location { group, position: position as u16 }).page::<PAGE>() else { break };
                let reached = self.reached.get(id.0 as usize).copied().unwrap_or(false);
                match (page.is_set(position as u16), reached) {
                    (true, false) => self.problem(format!("{id} is in use, but nothing refers to it")),
                    (false, true) => self.problem(format!("{id} is referred to, but free")),
                    _ => {}
                }
            }
        }
    }

    /// The pages as they are on disk: whole, and where they belong.
    fn disk(&mut self) {
        let mut page = Page::<PAGE>::zeroed();
        for id in (0..self.reached.len() as u32)
            .filter(|&id| self.reached[id as usize])
            .map(PageId)
            .collect::<Vec<_>>()
        {
            if let Err(error) = self.pages.store.read(id, &mut page) {
                self.problem(error.to_string());
            }
        }
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests;
