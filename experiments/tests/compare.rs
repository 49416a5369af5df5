//! The binary as somebody uses it: what it prints, writes, refuses and leaves behind.
#![cfg(not(feature = "loom"))]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn experiments(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_experiments"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the binary starts")
}

/// Runs `compare` in an own data and result folder; asserts success and that no database is left.
fn compare(arguments: &[&str]) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let all = [&["compare", "--json", "--data-dir", "data"], arguments].concat();
    let output = experiments(folder.path(), &all);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let left = std::fs::read_dir(folder.path().join("data")).expect("the data folder").count();
    assert_eq!(left, 0, "the databases are removed");
    let json = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    (folder, json)
}

fn refusal(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let output = experiments(folder.path(), arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    errors
}

fn runs(json: &Value) -> &Vec<Value> {
    json["runs"].as_array().expect("runs")
}

fn result_folder(folder: &Path) -> std::path::PathBuf {
    let results = folder.join("experiments/results");
    std::fs::read_dir(results).expect("results").next().expect("a result").expect("its entry").path()
}

#[test]
fn every_preset_runs_at_every_number_of_writers_and_misses_nothing() {
    let (folder, json) = compare(&["--seconds", "0.2", "--writers", "1,2"]);
    let names: Vec<_> =
        runs(&json).iter().map(|run| (run["preset"].as_str(), run["writers"].as_u64())).collect();
    assert_eq!(names.len(), 8);
    assert!(names.contains(&(Some("baseline"), Some(1))) && names.contains(&(Some("option4"), Some(2))));
    for run in runs(&json) {
        assert_eq!((&run["missing"], run["faults"].as_array().map(Vec::len)), (&Value::from(0), Some(0)));
        assert!(run["keys_verified"].as_u64() > Some(0));
        for name in ["writes_per_s", "p50_us", "p95_us", "p99_us", "ratio_to_baseline", "log_bytes_per_write"]
        {
            assert!(run[name].as_f64() > Some(0.0), "{name} in {run}");
        }
        let phases: Vec<_> =
            run["phases"].as_array().expect("phases").iter().map(|phase| &phase["phase"]).collect();
        assert_eq!(phases, ["inserts", "mixed"]);
        assert_eq!(run["durability"], "fdatasync before every acknowledgement");
    }
    for name in ["commit", "cpu", "kernel", "file_system"] {
        assert!(json["environment"][name].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    assert!(json["environment"]["fdatasync_p50_us"].as_f64() > Some(0.0));
    let written = result_folder(folder.path());
    for name in ["result.json", "result.csv", "plot.svg"] {
        assert!(written.join(name).is_file(), "{name}");
    }
}

#[test]
fn single_settings_multiply_the_runs_and_label_them() {
    let arguments = "--presets option4 --engine mutex,coupled --partitions 1 --no-sync --reads 50 --writers 2 \
                     --seconds 0.1 --keys 3000 --repetitions 2";
    let (_folder, json) = compare(&arguments.split_whitespace().collect::<Vec<_>>());
    let labels: Vec<_> = runs(&json).iter().map(|run| run["preset"].as_str().expect("a label")).collect();
    assert_eq!(
        labels,
        ["option4+engine=mutex+partitions=1+no-sync", "option4+engine=coupled+partitions=1+no-sync"]
    );
    let run = &runs(&json)[1];
    assert_eq!((&run["phase"], &run["missing"]), (&Value::from("mixed"), &Value::from(0)));
    assert!(run["reads_found"].as_f64() > Some(0.0));
    assert!(run["durability"].as_str().is_some_and(|text| text.starts_with("none")));
}

#[test]
fn breakdown_gives_a_factor_for_each_step_and_each_kind() {
    let (_folder, json) = compare(&["--breakdown", "--seconds", "0.1", "--writers", "2"]);
    assert_eq!(json["breakdown"]["steps"].as_array().map(Vec::len), Some(8));
    assert_eq!(json["breakdown"]["groups"].as_array().map(Vec::len), Some(6));
}

#[test]
fn growth_measures_each_size() {
    let (_folder, json) = compare(&["--growth", "300,3000", "--seconds", "0.1", "--writers", "2"]);
    let keys: Vec<_> = runs(&json).iter().map(|run| run["keys"].as_u64()).collect();
    assert_eq!(keys, [Some(300), Some(300), Some(3_000), Some(3_000)]);
    assert_eq!(json["growth"].as_array().map(Vec::len), Some(4));
}

#[test]
fn replay_writes_what_the_file_says() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let line = |n: u32| match n % 10 {
        9 => format!("{{\"op\":\"delete\",\"table\":\"t{}\",\"key\":\"k{}\"}}\n", n % 2, n / 2),
        8 => format!("{{\"op\":\"get\",\"table\":\"t{}\",\"key\":\"k{}\"}}\n", n % 2, n / 2),
        _ => format!("{{\"op\":\"put\",\"table\":\"t{}\",\"key\":\"k{}\",\"value\":{n}}}\n", n % 2, n % 100),
    };
    let file = folder.path().join("operations.jsonl");
    std::fs::write(&file, (0..1_000).map(line).collect::<String>()).expect("the file");
    let name = file.to_str().expect("its name");
    let (_folder, json) = compare(&["--input", name, "--presets", "option1,option4", "--writers", "3"]);
    for run in runs(&json) {
        assert_eq!((&run["writes"], &run["reads"]), (&Value::from(900.0), &Value::from(100.0)));
        assert_eq!(run["missing"], 0);
    }
}

#[test]
fn bad_input_is_one_line_that_names_it() {
    let errors = refusal(&["compare", "--presets", "option7"]);
    assert!(errors.contains("option7") && errors.contains("baseline"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let errors = refusal(&["compare", "--input", "nowhere.jsonl"]);
    assert!(errors.contains("nowhere.jsonl"), "{errors}");
    let errors = refusal(&["compare", "--growth", "500"]);
    assert!(errors.contains("two sizes"), "{errors}");
    let errors = refusal(&["compare", "--breakdown", "--engine", "mutex"]);
    assert!(errors.contains("--breakdown"), "{errors}");
    let errors = refusal(&["check", "nowhere"]);
    assert!(errors.contains("nowhere"), "{errors}");
}
