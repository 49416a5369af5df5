//! The inputs that mutation begins with: what real databases have written.

use std::collections::BTreeMap;

use super::corpus::store;
use super::database::{Setup, TABLE, is_of_pages, key, open_log};
use super::disk::SmallDisk;
use super::{TINY, pages};
use crate::page::{Kind, NodeBuilder, Op, Page, PageId, Value, image, right_half};

#[test]
#[ignore = "writes seeds into the corpora"]
fn seeds_are_written_by_real_databases() {
    store("page", &page_seeds());
    store("op", &op_seeds());
    store("replay", &replay_seeds());
    store("catalog", &catalog_seeds());
    store("page_file", &page_file_seeds());
    store("options", &option_seeds());
}

/// Pages of every kind and level of a database, and one of the usual size.
fn page_seeds() -> Vec<Vec<u8>> {
    let files = Setup::new(0).files();
    let mut seen = BTreeMap::new();
    for (_, bytes) in files.iter().filter(|(name, _)| name.ends_with(".db")) {
        for page in bytes.chunks_exact(TINY) {
            seen.entry(page[16..18].to_vec()).or_insert_with(Vec::new).push(page.to_vec());
        }
    }
    let mut seeds: Vec<_> = seen.into_values().flat_map(|pages| pages.into_iter().take(3)).collect();
    seeds.extend(pages::sound_pages().iter().map(|page| page.bytes().to_vec()));
    let mut large = NodeBuilder::<4096>::new(Kind::Leaf, 0, b"user-", Some(b"user-9"));
    (0..50).for_each(|n| large.push_leaf(format!("user-{n:03}").as_bytes(), Value::Inline(&[n; 40])));
    let large = large.finish().unwrap();
    seeds.push([&large.bytes()[..], b"user-0451"].concat());
    seeds
}

/// Operations of each kind on the pages that they are for.
fn op_seeds() -> Vec<Vec<u8>> {
    let pages = pages::sound_pages();
    let seed = |page: u8, ops: &[Op<'_>]| {
        let mut seed = vec![page];
        ops.iter().for_each(|op| op.encode(&mut seed));
        seed
    };
    let mut whole = Vec::new();
    image(&pages[3], &mut whole);
    let mut half = Vec::new();
    image(&right_half(&pages[0], 6, b"user-4"), &mut half);
    let reference = Value::Overflow { len: 1000, first: PageId(77) };
    vec![
        seed(
            0,
            &[Op::Insert { slot: 1, suffix: b"01", value: Value::Inline(b"new") }, Op::Remove { slot: 4 }],
        ),
        seed(
            0,
            &[
                Op::Update { slot: 2, value: Value::Inline(&[9; 20]) },
                Op::Update { slot: 3, value: reference },
            ],
        ),
        seed(0, &[Op::Truncate { slots: 6, high: b"user-4" }, Op::Image { bytes: &half }]),
        seed(
            1,
            &[
                Op::Insert { slot: 6, suffix: b"z", value: reference },
                Op::Truncate { slots: 2, high: b"user-2" },
            ],
        ),
        seed(2, &[Op::Insert { slot: 0, suffix: b"first", value: Value::Inline(b"") }]),
        seed(3, &[Op::InsertChild { slot: 1, suffix: b"01", child: PageId(3) }, Op::Remove { slot: 0 }]),
        seed(
            4,
            &[
                Op::InsertChild { slot: 2, suffix: b"z", child: PageId(3) },
                Op::Truncate { slots: 1, high: b"y" },
            ],
        ),
        seed(5, &[Op::SetBits { pages: &[1, 0, 9, 1] }, Op::ClearBits { pages: &[1, 0] }]),
        seed(6, &[Op::Free, Op::Image { bytes: &whole }]),
        seed(
            7,
            &[Op::Image { bytes: &half }, Op::Insert { slot: 0, suffix: b"41", value: Value::Inline(b"v") }],
        ),
    ]
}

/// What a database that goes on with the base writes to its log.
fn replay_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0, 1, 0, 0]];
    for choice in [0, 1, 2, 4, 5] {
        let setup = Setup::new(choice);
        let disk = SmallDisk::new(setup.files());
        let end = open_log(&disk, &mut |_, _| ()).end();
        let database = setup.open(&disk).unwrap();
        let table = database.table(TABLE).unwrap();
        let mut records = Vec::new();
        let mut ends = vec![0];
        for n in 0..24_u8 {
            table.put(&key(n + 3), &vec![n; if n == 5 { 500 } else { 40 }]).unwrap().wait().unwrap();
            if n % 3 == 0 {
                table.delete(&key(n)).unwrap().wait().unwrap();
            }
        }
        drop((table, database));
        let log = open_log(&disk, &mut |lsn, payload| {
            if lsn > end {
                records.extend_from_slice(&(payload.len() as u16).to_le_bytes());
                records.extend_from_slice(payload);
                ends.push(records.len());
            }
        });
        drop(log);
        // The first ones, and all of them.
        for end in [ends[ends.len() / 6], ends[ends.len() / 2].min(3000)] {
            seeds.push([&[choice], &records[..end]].concat());
        }
    }
    seeds
}

fn catalog_seeds() -> Vec<Vec<u8>> {
    let body = |choice| {
        let catalog = &Setup::new(choice).files()["catalog"];
        let line = catalog.iter().position(|&byte| byte == b'\n').unwrap();
        String::from_utf8(catalog[line + 1..].to_vec()).unwrap()
    };
    let (shared, own) = (body(0), body(2));
    let dropping =
        shared.replace("\"dropping\": []", r#""dropping": [{"name": "old_p0", "with_log": true}]"#);
    let crashed = body(1);
    let seed = |choice: u8, body: &str| [&[choice], body.as_bytes()].concat();
    vec![seed(0, &shared), seed(2, &own), seed(1, &crashed), seed(0, &dropping), seed(0, "{}")]
}

/// Pages that are copies of others, from other times, and with other headers.
fn page_file_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0], vec![1], vec![2], vec![3], vec![8]];
    let files = Setup::new(0).files();
    let of_pages: Vec<_> = files.iter().filter(|(name, _)| is_of_pages(name)).collect();
    let patch = |file: usize, page: usize, offset: usize, bytes: &[u8]| {
        [&[0, file as u8, page as u8, offset as u8, bytes.len() as u8], bytes].concat()
    };
    for (file, (name, bytes)) in of_pages.iter().enumerate() {
        let count = if name.ends_with(".db") { bytes.len() / TINY } else { 2 };
        for page in (1..count).step_by(3) {
            seeds.push(patch(file, page, 16, &bytes[TINY + 16..TINY + 80]));
            let slot = &bytes[page * TINY..(page + 1) * TINY];
            seeds.push(patch(file, page, 4, &slot[4..TINY - 8]));
        }
        // Its LSN and its links.
        seeds.push(patch(file, 1, 8, &[0xff; 8]));
        seeds.push(patch(file, 3, 40, &[1, 0, 0, 0]));
    }
    seeds
}

fn option_seeds() -> Vec<Vec<u8>> {
    let seed = |partitions: u32, numbers: [u64; 3], text: &str| {
        [&partitions.to_le_bytes()[..], &numbers.map(u64::to_le_bytes).concat(), text.as_bytes()].concat()
    };
    let small = [64 * TINY as u64, 256 << 10, 64 << 10];
    vec![
        seed(1, small, "mutex\nunder-lock\ndatabase\ngreedy"),
        seed(4, small, "coupled\nafter-release\npartition\nwindow:2ms"),
        seed(8, [64 << 20, 256 << 20, 16 << 20], "coupled\nimmediate:50us"),
        seed(0, [0, 0, 0], ""),
        seed(1024, [u64::MAX; 3], "optimistic"),
    ]
}

/// Seeds that do not fit the pages any more would teach a mutator nothing.
#[test]
fn the_pages_of_a_base_are_of_every_kind() {
    let kinds = page_seeds().into_iter().filter(|seed| seed.len() == TINY).map(|seed| {
        let mut page = Page::<TINY>::zeroed();
        page.bytes_mut().copy_from_slice(&seed);
        page.kind() as u8
    });
    assert_eq!(kinds.collect::<std::collections::BTreeSet<_>>().len(), 6);
}
