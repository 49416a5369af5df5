//! What the verifier says to an operator: each problem by its place, and where there is nothing to verify.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use std::path::Path;

use common::engines;
use tree::check::check;
use tree::{Database, Engine, Options};

fn options(engine: Engine) -> Options {
    Options { engine, partitions: 2, ..Options::default() }
}

/// A closed database with some keys.
fn database(folder: &Path, engine: Engine) {
    let database = Database::open(folder, options(engine)).unwrap();
    let table = database.create_table("t").unwrap();
    for n in 0..100 {
        table.put(format!("key-{n}").as_bytes(), b"value").unwrap().wait().unwrap();
    }
    database.close().unwrap();
}

#[test]
fn a_report_names_every_problem_by_table_and_partition_and_counts_them() {
    for engine in engines() {
        let folder = tempfile::tempdir().unwrap();
        database(folder.path(), engine);
        let report = check(folder.path()).unwrap();
        assert!(report.to_string().starts_with("clean: 2 partitions,"), "{report}");
        assert_eq!(report.keys(), 100);
        let mut lost = Vec::new();
        for (partition, verdict) in [(0, "1 problem:"), (1, "2 problems:")] {
            std::fs::write(folder.path().join(format!("t_p{partition}.db")), b"").unwrap();
            lost.push(format!("t, partition {partition}: "));
            let text = check(folder.path()).unwrap().to_string();
            let lines: Vec<_> = text.lines().collect();
            assert!(lines.iter().zip(&lost).all(|(line, place)| line.starts_with(place)), "{text}");
            assert_eq!(lines.len(), lost.len() + 1);
            assert!(lines[lost.len()].starts_with(verdict), "{text}");
        }
    }
}

#[test]
fn a_folder_without_a_database_is_refused_by_its_path_and_left_empty() {
    let folder = tempfile::tempdir().unwrap();
    let error = check(folder.path()).unwrap_err().to_string();
    assert!(error.contains("there is no database in this folder"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = check(folder.path().join("absent")).unwrap_err().to_string();
    assert!(error.contains("absent") && error.contains("there is no such folder"), "{error}");
    assert!(!folder.path().join("absent").exists());
}

#[test]
fn a_folder_whose_lock_cannot_be_taken_at_all_is_not_called_open_elsewhere() {
    for engine in engines() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("LOCK")).unwrap();
        let error = Database::open(folder.path(), options(engine)).unwrap_err().to_string();
        assert!(error.starts_with("cannot lock ") && !error.contains("open already"), "{error}");
    }
}
