//! Every storage keeps the contract of the trait, so that what is tested in memory holds on a disk.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use wal::{DelayedStorage, DirStorage, FaultyStorage, MemoryStorage, Storage};

/// Runs a test on an empty folder of each kind.
fn on_each(test: impl Fn(&dyn Storage)) {
    let folder = tempfile::tempdir().unwrap();
    test(&DirStorage::open(folder.path()).unwrap());
    test(&MemoryStorage::new());
    test(&FaultyStorage::new(1));
    test(&DelayedStorage::new(Arc::new(MemoryStorage::new()), Duration::from_micros(1)));
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(name).unwrap();
    let mut bytes = vec![9; file.len().unwrap() as usize + 5];
    let count = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(count);
    bytes
}

#[test]
fn a_file_grows_by_writes_and_is_cut_and_extended_with_zeros() {
    on_each(|storage| {
        let file = storage.create("a").unwrap();
        assert!(file.is_empty().unwrap());
        file.write_at(b"hello", 2).unwrap();
        assert!(!file.is_empty().unwrap());
        file.set_len(4).unwrap();
        file.set_len(6).unwrap();
        file.sync().unwrap();
        assert_eq!((file.len().unwrap(), read(storage, "a").as_slice()), (6, &b"\0\0he\0\0"[..]));
        assert_eq!(file.read_at(&mut [0; 4], 6).unwrap(), 0, "{storage:?}");
    });
}

#[test]
fn a_name_is_moved_over_another_and_what_is_missing_is_not_found() {
    on_each(|storage| {
        for name in ["b", "c", "a"] {
            storage.create(name).unwrap().write_at(name.as_bytes(), 0).unwrap();
        }
        assert_eq!(storage.create("a").unwrap_err().kind(), ErrorKind::AlreadyExists);
        let held = storage.open("a").unwrap();
        storage.rename("a", "b").unwrap();
        storage.remove("c").unwrap();
        storage.sync_dir().unwrap();
        assert_eq!(storage.list().unwrap(), ["b"]);
        held.write_at(b"z", 1).unwrap();
        assert_eq!(read(storage, "b"), b"az", "a handle stays that of its file: {storage:?}");
        for missing in [storage.open("a").map(drop), storage.rename("a", "d"), storage.remove("c")] {
            assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
        }
    });
}

#[test]
fn a_folder_has_one_owner_and_messages_name_its_files() {
    on_each(|storage| {
        let owner = storage.lock().unwrap();
        assert_eq!(storage.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(owner);
        drop(storage.lock().unwrap());
        assert!(storage.path("a.db").ends_with("a.db"));
        assert!(storage.list().unwrap().is_empty(), "a lock is no file of the folder: {storage:?}");
    });
}

#[test]
fn a_hint_changes_nothing_wherever_it_points() {
    on_each(|storage| {
        let file = storage.create("a").unwrap();
        file.write_at(b"hello", 0).unwrap();
        for (offset, len) in [(0, 5), (3, 1 << 20), (1 << 40, 4096), (0, 0)] {
            file.prefetch(offset, len);
        }
        assert_eq!(read(storage, "a"), b"hello");
    });
}

#[test]
fn folders_and_names_that_are_no_text_are_none_of_ours() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let storage = DirStorage::open(folder.path()).unwrap();
    storage.create("a").unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"c\xff")), b"").unwrap();
    assert_eq!(storage.list().unwrap(), ["a"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    DirStorage::open(folder.path().join("file")).unwrap_err();
    DirStorage::open(folder.path().join("file/below")).unwrap_err();
}
