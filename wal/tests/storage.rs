//! The faulty disk keeps the contract that the crash tests rest on.
#![cfg(not(feature = "loom"))]

use std::collections::BTreeSet;
use std::io::ErrorKind;

use wal::{Call, Fault, FaultyStorage, File, Storage};

fn read(storage: &FaultyStorage, name: &str) -> Vec<u8> {
    let file = storage.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn synced(storage: &FaultyStorage, name: &str, bytes: &[u8]) -> std::sync::Arc<dyn File> {
    let file = storage.create(name).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    storage.sync_dir().unwrap();
    file
}

#[test]
fn what_is_synced_survives_every_crash() {
    for seed in 0..32 {
        let disk = FaultyStorage::new(seed);
        synced(&disk, "a", &[7; 3000]);
        assert_eq!(read(&disk.crash().crash(), "a"), [7; 3000]);
    }
}

#[test]
fn unsynced_sectors_survive_in_any_subset() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", &[0; 1024]);
    file.write_at(&[1; 1024], 0).unwrap();
    let outcomes: BTreeSet<_> = (0..64)
        .map(|_| {
            let bytes = read(&disk.crash(), "a");
            assert!(bytes.chunks(128).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
            (bytes[0], bytes[128])
        })
        .collect();
    assert_eq!(outcomes, BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]));
}

#[test]
fn an_unsynced_length_survives_as_any_since_the_last_sync() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", &[1; 700]);
    file.set_len(2000).unwrap();
    let lens: BTreeSet<_> = (0..64).map(|_| read(&disk.crash(), "a").len()).collect();
    assert_eq!(lens, BTreeSet::from([700, 2000]));
    file.set_len(100).unwrap();
    let lens: BTreeSet<_> = (0..64).map(|_| read(&disk.crash(), "a").len()).collect();
    assert_eq!(lens, BTreeSet::from([100, 700, 2000]));
}

#[test]
fn unsynced_changes_of_the_folder_survive_as_a_prefix() {
    let disk = FaultyStorage::new(1);
    synced(&disk, "a", b"a");
    disk.rename("a", "b").unwrap();
    disk.create("c").unwrap().sync().unwrap();
    disk.remove("b").unwrap();
    let outcomes: BTreeSet<_> = (0..64).map(|_| disk.crash().list().unwrap().join(" ")).collect();
    assert_eq!(outcomes, ["a", "b", "b c", "c"].map(str::to_owned).into());
}

#[test]
fn a_failed_sync_drops_the_data_and_a_later_one_does_not_bring_it_back() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", &[0; 512]);
    file.write_at(&[1; 512], 0).unwrap();
    disk.fail(Call::Sync, 0, Fault::Io);
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!(read(&disk, "a"), [1; 512]);
    assert_eq!(read(&disk.crash(), "a"), [0; 512]);
    file.write_at(&[1; 512], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(read(&disk.crash(), "a"), [1; 512]);
}

#[test]
fn with_the_power_off_every_call_fails_and_the_cut_one_may_be_torn() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..64 {
        let disk = FaultyStorage::new(seed);
        let file = synced(&disk, "a", &[0; 1024]);
        let calls = disk.calls();
        disk.crash_after(1);
        file.set_len(1024).unwrap();
        assert_eq!(file.write_at(&[1; 1024], 0).unwrap_err().to_string(), "power is off");
        assert_eq!(disk.calls(), calls + 2);
        file.sync().unwrap_err();
        file.read_at(&mut [0], 0).unwrap_err();
        disk.open("a").unwrap_err();
        disk.list().unwrap_err();
        let bytes = read(&disk.crash(), "a");
        outcomes.insert((bytes[0], bytes[128]));
    }
    assert_eq!(outcomes.len(), 4);
}

#[test]
fn a_planned_fault_hits_the_call_that_was_named() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", &[0; 512]);
    disk.fail(Call::Write, 1, Fault::ShortWrite);
    disk.fail(Call::Read, 0, Fault::Io);
    file.write_at(&[1; 4], 0).unwrap();
    file.write_at(&[2; 4], 0).unwrap_err();
    file.read_at(&mut [0], 0).unwrap_err();
    assert_eq!(read(&disk, "a")[..4], [2, 2, 1, 1]);
}

#[test]
fn past_its_capacity_the_disk_is_full_but_still_rewrites() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", &[0; 512]);
    disk.capacity(600);
    assert_eq!(file.write_at(&[1; 200], 500).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(&[1; 512], 0).unwrap();
    disk.remove("a").unwrap();
    disk.create("b").unwrap().write_at(&[1; 600], 0).unwrap();
}

#[test]
fn a_crash_lets_go_of_the_lock() {
    let disk = FaultyStorage::new(1);
    let _held = disk.lock().unwrap();
    assert_eq!(disk.clone().lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    disk.crash().lock().unwrap();
}

#[test]
fn a_flipped_bit_is_flipped_in_whatever_survives_and_only_where_there_is_one() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", &[0; 256]);
    file.write_at(&[4; 128], 0).unwrap();
    assert!(disk.flip_bit("a", 0));
    assert!(!disk.flip_bit("a", 256 * 8) && !disk.flip_bit("b", 0));
    let outcomes: BTreeSet<_> = (0..64).map(|_| read(&disk.crash(), "a")[0]).collect();
    assert_eq!(outcomes, BTreeSet::from([1, 5]));
}

#[test]
fn a_sync_that_is_to_be_dropped_leaves_other_calls_alone() {
    let disk = FaultyStorage::new(1);
    let file = synced(&disk, "a", b"old");
    disk.fail(Call::Write, 0, Fault::DropSync);
    disk.fail(Call::Sync, 0, Fault::DropSync);
    file.write_at(b"new", 0).unwrap();
    file.sync().unwrap();
    assert_eq!((disk.faults_left(), read(&disk, "a").as_slice()), (0, &b"new"[..]));
    let outcomes: BTreeSet<_> = (0..64).map(|_| read(&disk.crash(), "a")).collect();
    assert_eq!(outcomes, BTreeSet::from([b"new".to_vec(), b"old".to_vec()]), "the sync was a lie");
}
