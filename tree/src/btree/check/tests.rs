//! The verifier names what is wrong with a tree although every page is whole by its checksum.

use std::sync::Arc;

use wal::{File, MemoryStorage, Storage};

use crate::database::DatabaseOf;
use crate::options::{Maintenance, Options};
use crate::page::{HEADER, Kind, NodeBuilder, Page, PageId, Value, space_capacity};
use crate::space::ROOT;

const TINY: usize = 256;
const MAP: PageId = PageId(2);

fn open(storage: &MemoryStorage) -> DatabaseOf<TINY> {
    let options = Options {
        partitions: 1,
        pool_bytes: 64 * TINY,
        log_segment_bytes: 64 << 10,
        log_max_bytes: 512 << 10,
        maintenance: Maintenance::Inline,
        ..Options::default()
    };
    DatabaseOf::open_on(Arc::new(storage.clone()), options).unwrap()
}

/// A closed database of one table: a root, leaves below it, and a value in a chain of pages.
fn closed() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let database = open(&storage);
    let table = database.create_table("t").unwrap();
    for n in 0..12 {
        table.put(format!("key-{n:02}").as_bytes(), &[b'v'; 30]).unwrap().wait().unwrap();
    }
    table.put(b"large", &[b'l'; 600]).unwrap().wait().unwrap();
    database.close().unwrap();
    // Opening writes pages again from their copies, which would undo what the tests do to them.
    storage.remove("doublewrite").unwrap();
    storage
}

fn file(storage: &MemoryStorage) -> Arc<dyn File> {
    storage.open("t.db").unwrap()
}

fn page(storage: &MemoryStorage, id: PageId) -> Page<TINY> {
    let mut page = Page::zeroed();
    file(storage).read_at(page.bytes_mut(), u64::from(id.0) * TINY as u64).unwrap();
    page.verify(id).unwrap();
    page
}

/// Puts a page in the place of another, with the number, the LSN and the checksum that it should have there.
fn replace(storage: &MemoryStorage, id: PageId, mut page: Page<TINY>) {
    page.set_id(id);
    page.set_lsn(self::page(storage, id).lsn());
    page.seal();
    file(storage).write_at(page.bytes(), u64::from(id.0) * TINY as u64).unwrap();
}

fn problems(storage: &MemoryStorage) -> String {
    let report = open(storage).check().unwrap();
    report.problems.into_iter().map(|problem| problem.text + "\n").collect()
}

/// The keys of a node, and the bounds of its children if it has some.
fn keys(node: &Page<TINY>) -> Vec<Vec<u8>> {
    let key = |slot| {
        let mut key = Vec::new();
        node.copy_key(slot, &mut key);
        key
    };
    (0..node.count()).map(key).collect()
}

/// A root with other children.
fn root_of(old: &Page<TINY>, child: impl Fn(usize) -> PageId) -> Page<TINY> {
    let mut root = NodeBuilder::new(Kind::Inner, old.level(), &[], None);
    for (slot, key) in keys(old).iter().enumerate() {
        root.push_child(key, child(slot));
    }
    root.finish().unwrap()
}

/// The leaf with the large value, and the slot of it.
fn large(storage: &MemoryStorage) -> (PageId, usize) {
    let root = page(storage, ROOT);
    let leaf = root.child(root.child_index(b"large"));
    (leaf, page(storage, leaf).search(b"large").unwrap())
}

#[test]
fn a_sound_tree_has_no_problems() {
    let storage = closed();
    assert_eq!((problems(&storage).as_str(), page(&storage, ROOT).level()), ("", 1));
}

#[test]
fn a_page_of_another_kind_or_level_than_its_parent_gives_it_is_named() {
    let storage = closed();
    let leaf = page(&storage, ROOT).child(1);
    replace(&storage, leaf, Page::new_overflow(None, b"piece").unwrap());
    let found = problems(&storage);
    assert!(
        found.contains(&format!("{leaf}: a node of level 0 was expected, Overflow of level 0 found")),
        "{found}"
    );

    let storage = closed();
    let root = page(&storage, ROOT);
    let (leaf, other) = (root.child(1), root.child(0));
    let mut inner = NodeBuilder::new(Kind::Inner, 1, &keys(&root)[1], Some(&keys(&root)[2]));
    inner.push_child(b"", other);
    replace(&storage, leaf, inner.finish().unwrap());
    let found = problems(&storage);
    assert!(found.contains("a node of level 0 was expected, Inner of level 1 found"), "{found}");
}

#[test]
fn fences_that_leave_a_gap_or_overlap_are_named() {
    let storage = closed();
    let id = page(&storage, ROOT).child(1);
    let old = page(&storage, id);
    let mut wider = NodeBuilder::new(Kind::Leaf, 0, old.low_fence(), None);
    keys(&old).iter().enumerate().for_each(|(slot, key)| wider.push_leaf(key, old.value(slot)));
    replace(&storage, id, wider.finish().unwrap());
    assert_eq!(problems(&storage), format!("{id}: its fences are not those that its parent gives it\n"));
}

#[test]
fn a_page_with_two_parents_or_one_that_no_file_has_is_named() {
    let storage = closed();
    let root = page(&storage, ROOT);
    let (twice, lost) = (root.child(0), root.child(1));
    replace(&storage, ROOT, root_of(&root, |slot| root.child(if slot == 1 { 0 } else { slot })));
    let found = problems(&storage);
    assert!(found.contains(&format!("{twice} is referred to twice, the second time by {ROOT}")), "{found}");
    assert!(found.contains(&format!("{lost} is in use, but nothing refers to it")), "{found}");

    replace(
        &storage,
        ROOT,
        root_of(&root, |slot| if slot == 1 { PageId(u32::MAX) } else { root.child(slot) }),
    );
    let found = problems(&storage);
    assert!(found.contains(&format!("{ROOT} refers to page {}, which no file has", u32::MAX)), "{found}");
}

#[test]
fn a_bitmap_that_differs_from_what_is_reached_is_named_in_either_direction() {
    let storage = closed();
    let used = page(&storage, ROOT).child(0);
    let behind_all = (file(&storage).len().unwrap() / TINY as u64) as u32 + 1;
    for (id, words) in [(used, "is referred to, but free"), (PageId(behind_all), "is in use, but nothing")] {
        let storage = closed();
        // So that the file has room for the page that nothing refers to.
        file(&storage).set_len(u64::from(behind_all + 1) * TINY as u64).unwrap();
        let (mut map, position) = (page(&storage, MAP), id.0 - MAP.0);
        map.bytes_mut()[HEADER + position as usize / 8] ^= 1 << (position % 8);
        replace(&storage, MAP, map);
        let found = problems(&storage);
        assert!(found.contains(&format!("{id} {words}")), "{found}");
    }
}

#[test]
fn a_chain_that_is_broken_or_shared_is_named() {
    let storage = closed();
    let (leaf, slot) = large(&storage);
    let old = page(&storage, leaf);
    let Value::Overflow { first, .. } = old.value(slot) else { panic!("{old:?} holds the value itself") };
    let piece = page(&storage, first);
    replace(&storage, first, Page::new_overflow(None, piece.overflow_data()).unwrap());
    let found = problems(&storage);
    assert!(!found.is_empty() && found.contains(&first.to_string()), "{found}");

    let storage = closed();
    let mut both = NodeBuilder::new(Kind::Leaf, 0, old.low_fence(), old.high_fence());
    both.push_leaf(old.low_fence(), old.value(slot));
    both.push_leaf(b"large", old.value(slot));
    replace(&storage, leaf, both.finish().unwrap());
    let found = problems(&storage);
    assert!(found.contains(&format!("{first} is referred to twice, the second time by {leaf}")), "{found}");
}

#[test]
fn a_count_that_is_not_that_of_the_leaves_is_named() {
    let storage = closed();
    let id = page(&storage, ROOT).child(0);
    let old = page(&storage, id);
    let fewer = NodeBuilder::new(Kind::Leaf, 0, old.low_fence(), old.high_fence()).finish().unwrap();
    replace(&storage, id, fewer);
    let expected = format!("the count says 13 items, the leaves hold {}\n", 13 - old.count());
    assert_eq!(problems(&storage), expected);
}

#[test]
fn damage_on_the_disk_is_named_although_the_page_is_whole_in_memory() {
    let storage = closed();
    let leaf = page(&storage, ROOT).child(0);
    let database = open(&storage);
    assert_eq!(database.table("t").unwrap().scan(..).count(), 13);
    file(&storage).write_at(b"damage", u64::from(leaf.0) * TINY as u64 + 100).unwrap();
    let report = database.check().unwrap();
    assert_eq!(report.keys(), 13);
    assert_eq!(report.problems.len(), 1, "{report}");
    assert!(report.problems[0].text.contains("checksum"), "{report}");
}

#[test]
fn a_file_that_ends_where_a_group_of_pages_begins_is_sound() {
    let storage = closed();
    let second_map = u64::from(MAP.0) + space_capacity(TINY) as u64;
    file(&storage).set_len((second_map + 1) * TINY as u64).unwrap();
    assert_eq!(problems(&storage), "");
}
