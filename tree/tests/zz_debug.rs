#![cfg(not(feature = "loom"))]
mod common;
use common::{engines, memory, Model, Random};
use tree::{Database, Maintenance, Options};

#[test]
fn dbg() {
    let engine = engines().next().unwrap();
    let database = Database::open_on(memory(), Options { engine, partitions: 1, maintenance: Maintenance::Inline, ..Options::default() }).unwrap();
    let table = database.create_table("t").unwrap();
    let (mut model, mut random) = (Model::new(), Random(7));
    for n in 0..1_500_u64 {
        let mut key = vec![b'k'; 1024];
        let number = random.below(4_000).to_be_bytes();
        match n % 4 {
            0 | 1 => key[1016..].copy_from_slice(&number),
            2 => key[600..608].copy_from_slice(&number),
            _ => key.truncate(1 + random.below(1024) as usize),
        }
        let value = vec![n as u8; [0, 1, 8, 9, 300, 5_000][random.below(6) as usize]];
        let _ = table.put(&key, &value).unwrap();
        model.insert(key, value);
    }
    println!("{} {:?}", database.check().unwrap(), database.check().unwrap().partitions);
    let mut last = String::new();
    for (n, (key, _)) in model.iter().enumerate() {
        let got = table.get(key);
        let deleted = table.delete(key).map(|c| c.applied());
        let report = database.check().unwrap();
        let line = format!("{n} len {} got {:?} del {deleted:?} levels {} pages {} stats {:?}", key.len(), got.map(|v| v.map(|v| v.len())), report.partitions[0].levels, report.pages(), database.stats().tree);
        if !report.is_clean() {
            println!("before: {last}\nnow: {line}\n{report}");
            return;
        }
        last = line;
    }
}
