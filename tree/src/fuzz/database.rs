//! Whole databases: small ones, closed or crashed, whose files then hold what the fuzzer likes.
//!
//! What comes of it is used like any database: opened, read, written, verified, closed, opened again. Answers
//! may be errors. But what the verifier calls clean answers everything, and each way of reading alike.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use wal::{Log, Lsn};

use super::disk::{Files, SmallDisk};
use super::{TINY, take};
use crate::catalog::Catalog;
use crate::{Batch, DatabaseOf, Engine, LogScope, Maintenance, Options, Result, TableOf};

const SEGMENT_BYTES: u64 = 64 << 10;
pub(super) const TABLE: &str = "t";

/// The engines that are compiled in.
const ENGINES: &[Engine] = &[
    #[cfg(feature = "latch")]
    Engine::Coupled,
    #[cfg(feature = "mutex")]
    Engine::Mutex,
];

/// What an input's first byte chooses: whether the database was closed or crashed, a log a partition, whole pages
/// in the log, and the engine.
pub(super) struct Setup {
    pub(super) closed: bool,
    pub(super) options: Options,
}

impl Setup {
    pub(super) fn new(choice: u8) -> Self {
        let options = Options {
            engine: ENGINES[usize::from(choice >> 3) % ENGINES.len()],
            partitions: 2,
            log_scope: if choice & 2 == 0 { LogScope::Database } else { LogScope::Partition },
            page_images: choice & 4 != 0,
            pool_bytes: Options::MIN_POOL_PAGES * TINY,
            log_segment_bytes: SEGMENT_BYTES,
            log_max_bytes: 4 * SEGMENT_BYTES,
            maintenance: Maintenance::Inline,
            ..Options::default()
        };
        Self { closed: choice & 1 == 0, options }
    }

    /// The files of a sound database of this kind.
    pub(super) fn files(&self) -> &'static Files {
        static BASES: [OnceLock<Files>; 4] = [const { OnceLock::new() }; 4];
        let of_scope = usize::from(self.options.log_scope == LogScope::Partition);
        BASES[2 * of_scope + usize::from(self.closed)].get_or_init(|| {
            // The options that the base is not chosen by are the same for all.
            let options = Options { page_images: false, engine: ENGINES[0], ..self.options.clone() };
            build(options, self.closed).expect("memory takes everything")
        })
    }

    pub(super) fn open(&self, disk: &Arc<SmallDisk>) -> Result<DatabaseOf<TINY>> {
        DatabaseOf::open_on(disk.clone(), self.options.clone())
    }
}

/// Inner nodes, leaves, overflow pages and free ones, records in the log, and pages in the double-write file.
fn build(options: Options, close: bool) -> Result<Files> {
    let disk = SmallDisk::new(&Files::new());
    let database = DatabaseOf::<TINY>::open_on(disk.clone(), options)?;
    let table = database.create_table(TABLE)?;
    for n in 0..60_u8 {
        table.put(&key(n), &vec![n; if n % 13 == 0 { 300 } else { 9 }])?.wait()?;
        if n == 45 {
            database.checkpoint()?;
        }
    }
    for n in [7, 13, 30] {
        table.delete(&key(n))?.wait()?;
    }
    drop(table);
    if close {
        database.close()?;
    } else {
        drop(database);
    }
    Ok(disk.files())
}

pub(super) fn key(n: u8) -> Vec<u8> {
    format!("k{:02}", n.wrapping_mul(7) % 60).into_bytes()
}

/// Recovery by records of any content: `setup u8 | { len u16 | payload } ...`, appended to the log of a sound
/// database with checksums that are right.
pub fn replay(data: &[u8]) {
    let ([choice], mut rest) = take::<1>(data);
    let setup = Setup::new(choice);
    let disk = SmallDisk::new(setup.files());
    let log = open_log(&disk, &mut |_, _| ());
    while !rest.is_empty() {
        let (len, behind) = take::<2>(rest);
        let (payload, behind) = behind.split_at(behind.len().min(u16::from_le_bytes(len).into()));
        rest = behind;
        // A log that is full or a record that is too large is left out.
        let _ = log.append(payload);
    }
    log.close().expect("memory takes everything");
    drop(log);
    exercise(&setup, &disk);
}

/// The log of a sound database; the first one, where partitions have logs of their own.
pub(super) fn open_log(disk: &Arc<SmallDisk>, receive: &mut dyn FnMut(Lsn, &[u8])) -> Log {
    let catalog = Catalog::load(&**disk).expect("the base is sound").expect("the base has a catalog");
    let name = catalog.redo.keys().next().expect("there is a log").clone();
    let options = wal::Options { segment_bytes: SEGMENT_BYTES, ..wal::Options::default() };
    let receive = &mut |lsn, payload: &[u8]| {
        receive(lsn, payload);
        Ok(())
    };
    Log::open(disk.clone(), &name, options, catalog.redo_lsn(&name), receive).expect("the base is sound")
}

/// A catalog: as it is, and with its checksum made right, as that of a database whose files are sound:
/// `setup u8 | JSON`.
pub fn catalog(data: &[u8]) {
    let ([choice], body) = take::<1>(data);
    let setup = Setup::new(choice);
    let with = |catalog: Vec<u8>| {
        let mut files = setup.files().clone();
        files.insert("catalog".into(), catalog);
        SmallDisk::new(&files)
    };
    let _ = Catalog::load(&*with(body.to_vec()));
    let header = format!("hedgehogdb-catalog 1 {:08x}\n", crc32fast::hash(body));
    let disk = with([header.as_bytes(), body].concat());
    let Ok(Some(catalog)) = Catalog::load(&*disk) else { return };
    catalog.save(&*disk).expect("the disk has room");
    let again = Catalog::load(&*disk).expect("it was just written").expect("it was just written");
    assert_eq!(format!("{catalog:?}"), format!("{again:?}"));
    // Segments that are larger are right, too, but take long to fill.
    if catalog.log_segment_bytes > 16 * SEGMENT_BYTES {
        return;
    }
    exercise(&setup, &disk);
    let Ok(database) = setup.open(&disk) else { return };
    if let Ok(table) = database.create_table("new") {
        let _ = table.put(b"key", b"value").and_then(|commit| commit.wait());
    }
    for table in database.tables() {
        let _ = database.drop_table(&table.name);
    }
    let _ = database.close();
}

/// Pages of any content: `setup u8 | { file u8 | page u8 | offset u8 | len u8 | bytes } ...`, written into the data
/// files and the double-write file of a sound database, with the checksums of the pages made right.
pub fn page_file(data: &[u8]) {
    let ([choice], mut rest) = take::<1>(data);
    let setup = Setup::new(choice);
    let mut files = setup.files().clone();
    while !rest.is_empty() {
        let ([file, page, offset, len], behind) = take::<4>(rest);
        let (bytes, behind) = behind.split_at(behind.len().min(len.into()));
        rest = behind;
        let names: Vec<_> = files.keys().filter(|name| is_of_pages(name)).cloned().collect();
        let name = &names[usize::from(file) % names.len()];
        let image = files.get_mut(name).expect("it is one of them");
        let head = if name == DOUBLE_WRITE { DOUBLE_WRITE_HEAD } else { 0 };
        write_page(image, head, page.into(), offset.into(), bytes);
    }
    exercise(&setup, &SmallDisk::new(&files));
}

const DOUBLE_WRITE: &str = "doublewrite";
/// The bytes of a slot of the double-write file in front of its page: a checksum of all that follows, and whose
/// the page is.
const DOUBLE_WRITE_HEAD: usize = 16;

pub(super) fn is_of_pages(name: &str) -> bool {
    name.ends_with(".db") || name == DOUBLE_WRITE
}

/// Writes bytes into one page, or one slot, and makes its checksums right.
fn write_page(image: &mut Vec<u8>, head: usize, page: usize, offset: usize, bytes: &[u8]) {
    let slot_bytes = head + TINY;
    // One page more than there are: a file may have grown.
    let start = page % (image.len() / slot_bytes + 1) * slot_bytes;
    if image.len() < start + slot_bytes {
        image.resize(start + slot_bytes, 0);
    }
    let slot = &mut image[start..start + slot_bytes];
    let end = (offset + bytes.len()).min(slot.len());
    slot[offset..end].copy_from_slice(&bytes[..end - offset]);
    for from in [head, 0] {
        let checksum = crc32fast::hash(&slot[from + 4..]);
        slot[from..from + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// Uses a database in every way.
fn exercise(setup: &Setup, disk: &Arc<SmallDisk>) {
    if let Ok(database) = setup.open(disk) {
        let tables: Vec<_> = database.tables().iter().filter_map(|info| database.table(&info.name)).collect();
        tables.iter().for_each(read);
        tables.iter().for_each(write);
        tables.iter().for_each(read);
        expect_alike(&database, &tables);
        let _ = (database.stats(), database.checkpoint());
        drop(tables);
        if setup.closed {
            let _ = database.close();
        }
    }
    if let Ok(database) = setup.open(disk) {
        let tables: Vec<_> = database.tables().iter().filter_map(|info| database.table(&info.name)).collect();
        expect_alike(&database, &tables);
    }
}

fn read(table: &TableOf<TINY>) {
    for n in 0..60 {
        let _ = table.get(&key(n));
    }
    let _ = (table.scan(..).count(), table.scan_backward(..).count(), table.count());
    let _ = table.scan(b"k2".to_vec()..b"k4".to_vec()).take(3).count();
}

fn write(table: &TableOf<TINY>) {
    let written = |commit: Result<crate::Commit<'_>>| commit.and_then(|commit| commit.wait());
    for n in 0..30 {
        let _ = written(table.put(&key(2 * n), &vec![n; if n % 11 == 0 { 400 } else { 30 }]));
        let _ = written(table.delete(&key(2 * n + 1)));
    }
    let mut batch = Batch::new();
    batch.put(b"batch", b"value").put(key(3), vec![1; 90]).delete(key(4));
    let _ = written(table.apply(&batch));
}

/// What the verifier calls clean answers everything, and in every way the same.
fn expect_alike(database: &DatabaseOf<TINY>, tables: &[TableOf<TINY>]) {
    if !database.check().is_ok_and(|report| report.is_clean()) {
        return;
    }
    for table in tables {
        let forward: Vec<_> = table.scan(..).collect::<Result<_>>().expect("the verifier found nothing");
        let backward: Vec<_> =
            table.scan_backward(..).collect::<Result<_>>().expect("the verifier found nothing");
        assert!(forward.iter().eq(backward.iter().rev()), "both scans find the same");
        assert_eq!(table.count().expect("the verifier found nothing"), forward.len() as u64);
        for (key, value) in Items::from_iter(forward) {
            assert_eq!(table.get(&key).expect("the verifier found nothing"), Some(value));
        }
    }
}
