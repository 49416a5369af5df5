//! The commands, against the real node.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::Node;
use crate::program::{Said, command, ctl, said};

/// As [`ctl`], with stdin.
fn ctl_with(node: &Node, arguments: &[&str], stdin: &str) -> Said {
    let mut child = command(&node.url, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A node with the table `t` and these items.
fn node_with(lines: &str) -> Node {
    let node = Node::start(&[]);
    ctl(&node.url, &["create-table", "t"]).data();
    let imported = ctl_with(&node, &["import", "t", "-", "--json"], lines).json();
    assert_eq!(imported, json!({ "table": "t", "items": lines.lines().count() }));
    node
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn tables_and_items_live_and_die_with_the_documented_exit_codes() {
    let node = Node::start(&[]);
    let run = |arguments: &[&str]| ctl(&node.url, arguments);
    assert_eq!(run(&["create-table", "users"]).data(), "created table users\n");
    run(&["create-table", "users"]).refusal(4);
    run(&["create-table", "../users"]).refusal(2);
    run(&["get", "users", "a/b c"]).refusal(3);
    run(&["put", "users", "a/b c", "[1]"]).refusal(2);
    run(&["put", "nobody", "a", "{}"]).refusal(3);
    assert!(
        run(&["put", "users", "a/b c", r#"{"n":1.50}"#]).data().starts_with("stored users/a/b c, ETag \"")
    );
    assert_eq!(run(&["get", "users", "a/b c"]).data(), "{\n  \"n\": 1.50\n}\n");
    assert_eq!(run(&["count", "users"]).data(), "1\n");
    let tables = run(&["list-tables"]).data();
    assert!(tables.lines().any(|line| line.starts_with("users") && line.ends_with('1')), "{tables}");
    assert_eq!(run(&["list-tables", "--json"]).json()["tables"][0]["item_count"], 1);
    assert_eq!(run(&["delete", "users", "a/b c"]).data(), "deleted users/a/b c\n");
    run(&["delete", "users", "a/b c"]).refusal(3);
    assert_eq!(run(&["delete-table", "users"]).data(), "deleted table users\n");
    run(&["delete-table", "users"]).refusal(3);
}

#[test]
fn conditions_let_one_of_two_writers_win() {
    let node = node_with("");
    let run = |arguments: &[&str]| ctl(&node.url, arguments);
    run(&["put", "t", "k", r#"{"v":1}"#, "--if-none-match"]).data();
    run(&["put", "t", "k", r#"{"v":2}"#, "--if-none-match"]).refusal(4);
    let etag = run(&["get", "t", "k", "--json"]).json()["etag"].as_str().unwrap().to_string();
    let put = run(&["put", "t", "k", r#"{"v":3}"#, "--if-match", etag.trim_matches('"'), "--json"]).json();
    assert_ne!(put["etag"], etag.as_str());
    run(&["put", "t", "k", r#"{"v":4}"#, "--if-match", &etag]).refusal(4);
    run(&["delete", "t", "k", "--if-match", &etag]).refusal(4);
    run(&["put", "t", "k", r#"{"v":5}"#, "--dry-run"]).data();
    assert_eq!(run(&["get", "t", "k", "--json"]).json()["item"], json!({ "v": 3 }));
}

#[test]
fn items_are_read_from_stdin_and_files() {
    let node = node_with("");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("item.json");
    fs::write(&file, r#"{"from":"file"}"#).unwrap();
    ctl_with(&node, &["put", "t", "a", "-"], r#"{"from":"stdin"}"#).data();
    ctl(&node.url, &["put", "t", "b", &format!("@{}", path(&file))]).data();
    ctl(&node.url, &["put", "t", "c", "@/no/such/file"]).refusal(2);
    let exported = ctl(&node.url, &["export", "t"]).data();
    assert_eq!(
        exported,
        "{\"key\":\"a\",\"item\":{\"from\":\"stdin\"}}\n{\"key\":\"b\",\"item\":{\"from\":\"file\"}}\n"
    );
}

#[test]
fn an_export_is_an_import_of_the_same_items() {
    let lines: String = (0..1_234)
        .map(|n| format!("{{\"key\":\"k/{n:05}\",\"item\":{{\"n\":{n}.50,\"t\":\"\\u00fc\"}}}}\n"))
        .collect();
    let node = node_with(&lines);
    let exported = ctl(&node.url, &["export", "t"]).data();
    assert_eq!(exported, lines);
    let twice = "{\"key\":\"k/00000\",\"item\":{\"v\":1}}\n{\"key\":\"k/00000\",\"item\":{\"v\":2}}\n";
    ctl_with(&node, &["import", "t", "-"], twice).data();
    assert_eq!(ctl(&node.url, &["get", "t", "k/00000", "--json"]).json()["item"], json!({ "v": 2 }));
    let message =
        ctl_with(&node, &["import", "t", "-"], "{\"key\":\"x\",\"item\":{}}\n{\"key\":\"y\"}\n").refusal(2);
    assert!(message.contains("stdin, line 2") && message.contains("--from-line 2"), "{message}");
    assert_eq!(ctl(&node.url, &["count", "t"]).data(), "1235\n");
}

#[test]
fn a_scan_takes_ranges_limits_and_cursors() {
    let lines: String =
        (0..1_100).map(|n| format!("{{\"key\":\"k{n:04}\",\"item\":{{\"n\":{n}}}}}\n")).collect();
    let node = node_with(&(lines + "{\"key\":\"z\",\"item\":{}}\n"));
    let scan = |arguments: &[&str]| ctl(&node.url, &[&["scan", "t", "--json"], arguments].concat()).json();
    let keys = |page: &Value| -> Vec<String> {
        let key = |item: &Value| item["key"].as_str().unwrap().to_string();
        page["items"].as_array().unwrap().iter().map(key).collect()
    };
    let all = scan(&[]);
    assert_eq!((all["count"].as_u64(), keys(&all).len(), &all["cursor"]), (Some(1_101), 1_101, &Value::Null));
    assert_eq!(keys(&scan(&["--prefix", "k"])).len(), 1_100);
    assert_eq!(keys(&scan(&["--start", "k0002", "--end", "k0004"])), ["k0002", "k0003"]);
    let reverse = keys(&scan(&["--reverse"]));
    assert_eq!((reverse.len(), reverse[0].as_str(), reverse[1_100].as_str()), (1_101, "z", "k0000"));
    let first = scan(&["--limit", "600"]);
    let rest = scan(&["--cursor", first["cursor"].as_str().unwrap()]);
    assert_eq!([keys(&first), keys(&rest)].concat(), keys(&all));
    assert_eq!(keys(&scan(&["--prefix", "nothing"])), [""; 0]);

    let shown = ctl(&node.url, &["scan", "t"]);
    assert!(shown.stderr.contains("1,101 items"), "{shown:?}");
    let rows: Vec<String> = shown.data().lines().map(str::to_string).collect();
    assert_eq!(rows.len(), 1_101 + 2, "a header, a rule, and a row an item");
    assert!(rows[2].starts_with("k0000  {\"n\":0}") && rows[1_102] == "z      {}", "{rows:?}");
}

#[test]
fn a_batch_does_its_operations_and_ends_with_the_first_that_did_not() {
    let node = node_with("{\"key\":\"a\",\"item\":{\"v\":1}}\n{\"key\":\"b\",\"item\":{}}\n");
    let operations = "{\"op\":\"get\",\"key\":\"a\"}\n{\"op\":\"put\",\"key\":\"a\",\"item\":{\"v\":2}}\n\
                      {\"op\":\"get\",\"key\":\"a\"}\n{\"op\":\"delete\",\"key\":\"b\"}\n";
    let results = ctl_with(&node, &["batch", "t", "-", "--json"], operations).json();
    assert_eq!(results["results"][0]["item"], json!({ "v": 1 }));
    assert_eq!(results["results"][2]["item"], json!({ "v": 2 }));
    let missing = ctl_with(
        &node,
        &["batch", "t", "-"],
        "{\"op\":\"get\",\"key\":\"b\"}\n{\"op\":\"get\",\"key\":\"a\"}\n",
    );
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.stdout.contains("404") && missing.stdout.contains("{\"v\":2}"), "{missing:?}");
    let message = ctl_with(&node, &["batch", "t", "-"], "{\"op\":\"twist\",\"key\":\"a\"}\n").refusal(2);
    assert!(message.contains("stdin, line 1"), "{message}");
}

#[test]
fn a_backup_is_restored_to_a_folder_and_into_a_running_node() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, copy) = (folder.path().join("b.tar"), folder.path().join("copy"));
    let lines: String =
        (0..300).map(|n| format!("{{\"key\":\"k{n:03}\",\"item\":{{\"n\":{n}}}}}\n")).collect();
    let node = node_with(&lines);
    assert_eq!(ctl(&node.url, &["check", "--json"]).json()["clean"], true);
    let backup = ctl(&node.url, &["backup", path(&archive), "--json"]).json();
    assert!(backup["files"].as_u64().unwrap() >= 2, "{backup}");
    ctl(&node.url, &["restore", path(&archive)]).refusal(4);
    ctl(&node.url, &["put", "t", "k000", r#"{"n":-1}"#]).data();
    ctl(&node.url, &["restore", path(&archive), "--replace"]).data();
    assert_eq!(ctl(&node.url, &["export", "t"]).data(), lines);
    drop(node);

    let nowhere = "http://127.0.0.1:1";
    let restored = ctl(nowhere, &["restore", path(&archive), "--data-dir", path(&copy)]).data();
    assert!(restored.contains("clean") && restored.contains("300 keys"), "{restored}");
    ctl(nowhere, &["restore", path(&archive), "--data-dir", path(&copy)]).refusal(4);
    assert!(ctl(nowhere, &["check", path(&copy)]).data().starts_with("clean"));
    let (node, empty) = (Node::start_in(&copy, &[]), Node::start(&[]));
    assert_eq!(ctl(&node.url, &["export", "t"]).data(), lines);
    ctl(&empty.url, &["restore", path(&archive)]).data();
    assert_eq!(ctl(&empty.url, &["export", "t"]).data(), lines);
}

#[test]
fn damage_in_a_folder_has_an_exit_code_of_its_own() {
    let lines: String = (0..300).map(|n| format!("{{\"key\":\"k{n:03}\",\"item\":{{}}}}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let (archive, copy) = (folder.path().join("b.tar"), folder.path().join("copy"));
    let node = node_with(&lines);
    ctl(&node.url, &["backup", path(&archive)]).data();
    ctl(&node.url, &["restore", path(&archive), "--data-dir", path(&copy)]).data();
    let data = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path());
    let data = data
        .filter(|file| file.extension().is_some_and(|kind| kind == "db"))
        .max_by_key(|file| fs::metadata(file).unwrap().len());
    let data = data.unwrap();
    let mut bytes = fs::read(&data).unwrap();
    // In the middle of the root, which every tree has: page 1 of 4,096 bytes.
    bytes[4096 + 2048] ^= 1;
    fs::write(&data, bytes).unwrap();
    let said = ctl(&node.url, &["check", path(&copy)]);
    assert_eq!(said.code, 8, "{said:?}");
    assert!(said.stderr.contains("is damaged"), "{said:?}");
    ctl(&node.url, &["check", path(folder.path())]).refusal(2);
}

#[test]
fn the_node_tells_about_itself() {
    let node = node_with("{\"key\":\"a\",\"item\":{}}\n");
    let run = |arguments: &[&str]| ctl(&node.url, arguments);
    assert_eq!(run(&["health"]).data(), format!("{}: ok\n", node.url));
    assert_eq!(run(&["ready", "--json"]).json(), json!({ "status": "ok" }));
    assert!(run(&["config", "--json"]).json().is_object());
    assert!(run(&["cluster-status"]).data().contains("alive"));
    assert_eq!(run(&["cluster-nodes", "--json"]).json()["nodes"][0]["addr"], node.address());
    // The node takes its snapshot once a second.
    let shown = |_| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        run(&["stats"]).data()
    };
    let stats = (0..100).map(shown).find(|stats| stats.contains("leaf fill")).expect("a snapshot with trees");
    assert!(stats.contains("node-1, version") && stats.contains("\nbatch "), "{stats}");
    assert_eq!(run(&["stats", "--json"]).json()["node_id"], "node-1");
}

#[test]
fn a_bench_leaves_nothing_behind() {
    let node = Node::start(&[]);
    for operation in ["put", "get"] {
        let result = ctl(&node.url, &["bench", operation, "-c", "2", "-d", "300ms", "--json"]).json();
        assert_eq!((result["operation"].as_str(), result["errors"].as_u64()), (Some(operation), Some(0)));
        assert!(
            result["operations"].as_u64().unwrap() > 0 && result["p50_ms"].as_f64().unwrap() > 0.0,
            "{result}"
        );
    }
    assert_eq!(ctl(&node.url, &["list-tables", "--json"]).json(), json!({ "tables": [] }));
}

#[test]
fn completions_need_no_node() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = command("not a url", &["completions", shell]);
        command.env_remove("PATH");
        assert!(said(command).data().contains("cluster-status"), "{shell}");
    }
}
