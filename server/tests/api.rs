//! The interface, call by call, against the real program.
#![cfg(not(feature = "loom"))]

mod common;

use common::Node;
use serde_json::{Value, json};

#[test]
fn tables_are_made_listed_counted_and_dropped() {
    let node = Node::start(&[]);
    let made = node.post("/api/v1/tables", r#"{"name":"users"}"#);
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["name"], "users");
    assert!(made.json()["message"].is_string());
    node.post("/api/v1/tables", r#"{"name":"users"}"#).error(409);
    for bad in
        ["", "{", "[]", "{}", r#"{"name":""}"#, r#"{"name":"../x"}"#, r#"{"name":"a b"}"#, r#"{"name":7}"#]
    {
        node.post("/api/v1/tables", bad).error(400);
    }
    assert_eq!(node.put("/api/v1/tables/users/items/a", "{}").status, 200);
    assert_eq!(node.get("/api/v1/tables/users/count").json(), json!({ "count": 1 }));
    let tables = node.get("/api/v1/tables").json();
    assert_eq!(tables["tables"][0]["name"], "users");
    assert_eq!(tables["tables"][0]["item_count"], 1);
    assert!(tables["tables"][0]["created_at"].as_str().unwrap().starts_with("20"), "{tables}");
    assert_eq!(node.get("/api/v1/cluster/table-counts").json(), json!({ "users": { "node-1": 1 } }));
    assert_eq!(node.delete("/api/v1/tables/users").status, 200);
    node.delete("/api/v1/tables/users").error(404);
    node.get("/api/v1/tables/users/count").error(404);
    node.put("/api/v1/tables/users/items/a", "{}").error(404);
    assert_eq!(node.get("/api/v1/tables").json(), json!({ "tables": [] }));
}

#[test]
fn an_item_comes_back_as_it_was_sent() {
    let node = Node::start(&[]);
    node.create_table("users");
    let path = "/api/v1/tables/users/items/user-1";
    let sent = "{ \"name\": \"User \\u00fc\", \"n\": 1.50, \"big\": 12345678901234567890123, \"a\": [1, 2] }";
    for consistency in ["?consistency=strong", "?consistency=eventual", ""] {
        let put = node.put(&format!("{path}{consistency}"), sent);
        assert_eq!((put.status, put.json()["key"].as_str().unwrap()), (200, "user-1"));
        let got = node.get(&format!("{path}{consistency}"));
        let stored = sent.replace("\": ", "\":").replace(", ", ",").replace("{ ", "{").replace(" }", "}");
        assert_eq!(got.text(), format!("{{\"key\":\"user-1\",\"item\":{stored}}}"));
        assert_eq!(got.header("etag"), put.header("etag"));
        assert_eq!(got.header("content-type"), "application/json");
    }
    assert_eq!(node.delete(path).status, 200);
    node.delete(path).error(404);
    node.get(path).error(404);
    node.get(&format!("{path}?consistency=maybe")).error(400);
    for bad in ["", "[]", "1", "{", "nonsense", "{} x"] {
        node.put(path, bad).error(400);
    }
}

#[test]
fn keys_are_any_text_escaped_in_the_path() {
    let node = Node::start(&[]);
    node.create_table("users");
    for (escaped, key) in [
        ("a%2Fb", "a/b"),
        ("%2e%2e", ".."),
        ("%F0%9F%A6%94", "🦔"),
        ("a%20b%3Fc", "a b?c"),
        ("%00", "\0"),
        ("%25", "%"),
    ] {
        let path = format!("/api/v1/tables/users/items/{escaped}");
        assert_eq!(node.put(&path, "{\"a\":1}").json()["key"], key);
        assert_eq!(node.get(&path).json()["key"], key);
    }
    assert_eq!(node.get("/api/v1/tables/users/items").json()["count"], 6);
    node.put("/api/v1/tables/users/items/%ff", "{}").error(400);
    node.put(&format!("/api/v1/tables/users/items/{}", "k".repeat(1025)), "{}").error(400);
    assert_eq!(node.put(&format!("/api/v1/tables/users/items/{}", "k".repeat(1024)), "{}").status, 200);
}

#[test]
fn conditions_hold_or_nothing_happens() {
    let node = Node::start(&[]);
    node.create_table("users");
    let path = "/api/v1/tables/users/items/k?consistency=strong";
    let put = |headers: &[(&str, &str)], body: &str| node.request("PUT", path, headers, body.as_bytes());
    put(&[("If-Match", "*")], "{}").error(412);
    let first = put(&[("If-None-Match", "*")], "{\"n\":1}");
    assert_eq!(first.status, 200);
    put(&[("If-None-Match", "*")], "{\"n\":2}").error(412);
    let tag = first.header("etag").to_string();
    assert_eq!(put(&[("If-Match", &tag)], "{\"n\":2}").status, 200);
    put(&[("If-Match", &tag)], "{\"n\":3}").error(412);
    assert_eq!(node.get(path).json()["item"], json!({ "n": 2 }));
    put(&[("If-Match", "no tag")], "{}").error(400);

    let tag = node.get(path).header("etag").to_string();
    let same = node.request("GET", path, &[("If-None-Match", &tag)], &[]);
    assert_eq!((same.status, same.body.len()), (304, 0));
    node.request("DELETE", path, &[("If-Match", "\"other\"")], &[]).error(412);
    assert_eq!(node.request("DELETE", path, &[("If-Match", &tag)], &[]).status, 200);
    node.request("DELETE", path, &[("If-Match", &tag)], &[]).error(412);
}

#[test]
fn a_dry_run_stores_nothing() {
    let node = Node::start(&[]);
    node.create_table("users");
    let path = "/api/v1/tables/users/items/k";
    assert_eq!(node.put(&format!("{path}?dry_run=true"), "{}").status, 200);
    node.get(path).error(404);
    node.put(&format!("{path}?dry_run=true"), "[]").error(400);
    node.put("/api/v1/tables/none/items/k?dry_run=true", "{}").error(404);
}

#[test]
fn scans_page_through_ranges_in_either_direction() {
    let node = Node::start(&[]);
    node.create_table("users");
    let operations: Vec<Value> = (0..1000)
        .map(|n| json!({ "op": "put", "key": format!("user-{n:04}"), "item": { "n": n, "pad": "x".repeat(1000) } }))
        .collect();
    let batch = json!({ "operations": operations }).to_string();
    assert_eq!(node.post("/api/v1/tables/users/batch?consistency=strong", &batch).status, 200);
    node.put("/api/v1/tables/users/items/other", "{}");

    let all = node.get("/api/v1/tables/users/items").json();
    assert_eq!((all["count"].as_u64(), all["items"].as_array().unwrap().len()), (Some(1001), 1001));
    assert_eq!(all.get("cursor"), None);
    let keys: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert!(keys.is_sorted());
    for reverse in ["false", "true"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/tables/users/items?prefix=user-&limit=300&reverse={reverse}{cursor}");
            let page = node.get(&path).json();
            let items = page["items"].as_array().unwrap();
            assert_eq!(page["count"], items.len());
            seen.extend(items.iter().map(|item| item["item"]["n"].as_u64().unwrap()));
            match page.get("cursor") {
                Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
                None => break,
            }
        }
        let expected: Vec<u64> =
            if reverse == "true" { (0..1000).rev().collect() } else { (0..1000).collect() };
        assert_eq!(seen, expected);
    }
    let range = node.get("/api/v1/tables/users/items?start=user-0100&end=user-0103").json();
    assert_eq!((range["count"].as_u64(), &range["items"][0]["key"]), (Some(3), &json!("user-0100")));
    assert_eq!(node.get("/api/v1/tables/users/items?start=z&end=a").json()["count"], 0);
    for bad in ["limit=0", "limit=x", "limit=-1", "cursor=xyz", "reverse=maybe", "limt=1"] {
        node.get(&format!("/api/v1/tables/users/items?{bad}")).error(400);
    }
    node.get("/api/v1/tables/none/items").error(404);
}

#[test]
fn a_batch_answers_in_the_order_of_its_operations() {
    let node = Node::start(&[]);
    node.create_table("users");
    node.put("/api/v1/tables/users/items/old", "{\"n\":0}");
    let batch = r#"{"operations":[{"op":"get","key":"old"},{"op":"put","key":"new","item":{"n": 1}},
        {"op":"delete","key":"gone"},{"op":"get","key":"none"}]}"#;
    let answer = node.post("/api/v1/tables/users/batch?consistency=strong", batch);
    assert_eq!(
        answer.json(),
        json!({ "results": [
            { "key": "old", "status": 200, "item": { "n": 0 } }, { "key": "new", "status": 200 },
            { "key": "gone", "status": 200 }, { "key": "none", "status": 404 } ] })
    );
    for bad in [
        r#"{"operations":[{"op":"get","key":"a"},{"op":"put","key":"a","item":{}}]}"#,
        r#"{"operations":[{"op":"put","key":"a"}]}"#,
        r#"{"operations":[{"op":"put","key":"a","item":[]}]}"#,
        r#"{"operations":[{"op":"put","key":"","item":{}}]}"#,
        r#"{"operations":[{"op":"move","key":"a"}]}"#,
        r#"{"operation":[]}"#,
    ] {
        node.post("/api/v1/tables/users/batch", bad).error(400);
    }
    node.get("/api/v1/tables/users/items/a").error(404);
}

#[test]
fn what_is_unknown_or_the_wrong_method_says_so() {
    let node = Node::start(&[]);
    assert!(node.get("/api/v2/tables").error(404).contains("openapi"));
    node.delete("/api/v1/tables").error(405);
    node.post("/api/v1/health", "").error(405);
    node.post("/", "").error(405);
    node.get("/api/v1/tables/none/count").error(404);
    node.get("/api/v1/tables/..%2f..%2fetc/count").error(404);
}

#[test]
fn the_node_tells_what_it_is() {
    let node = Node::start(&["--node-id", "node-7", "--preset", "option2"]);
    for path in ["/api/v1/health", "/livez", "/readyz"] {
        assert_eq!(node.get(path).json(), json!({ "status": "ok" }));
    }
    let status = node.get("/api/v1/cluster/status").json();
    assert_eq!((&status["node_id"], &status["total_nodes"]), (&json!("node-7"), &json!(1)));
    assert_eq!(status["nodes"][0]["addr"], node.address());
    assert_eq!(status["nodes"][0]["status"], 0);
    assert_eq!(node.get("/api/v1/cluster/nodes").json()["nodes"][0]["id"], "node-7");
    node.post("/api/v1/cluster/nodes", r#"{"node_id":"n","addr":"a:1"}"#).error(409);
    assert_eq!(node.get("/api/v1/config").json()["engine"], "mutex");
    let described = node.get("/api/v1/openapi.json").json();
    assert_eq!(described["openapi"], "3.1.0");
}

#[test]
fn every_route_is_reached() {
    let node = Node::start(&[]);
    node.create_table("users");
    for (method, path) in server::routes::listed() {
        if path == "/api/v1/events" {
            continue;
        }
        let path = path.replace("{table}", "users").replace("{key}", "k");
        let answer = node.request(method.as_str(), &path, &[], &[]);
        assert!(!answer.text().contains("there is nothing at"), "{method} {path}");
        assert!(answer.status != 405 && answer.status < 500, "{method} {path}: {}", answer.text());
    }
}

#[test]
fn a_clean_stop_keeps_every_item_even_eventual_ones() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("data");
    let node = Node::start_in(&folder, &[]);
    node.create_table("users");
    for n in 0..200 {
        assert_eq!(node.put(&format!("/api/v1/tables/users/items/k{n}"), "{}").status, 200);
    }
    let (status, said) = node.stop();
    assert!(status.success(), "{status}: {said:#?}");
    let node = Node::start_in(&folder, &[]);
    assert_eq!(node.get("/api/v1/tables/users/count").json()["count"], 200);
}

#[test]
fn a_backup_is_restored_into_a_running_node() {
    let node = Node::start(&[]);
    node.create_table("users");
    let large = json!({ "text": "x".repeat(100_000) }).to_string();
    for n in 0..300 {
        let item = if n == 7 { large.clone() } else { format!("{{\"n\":{n}}}") };
        assert_eq!(node.put(&format!("/api/v1/tables/users/items/k{n}"), &item).status, 200);
    }
    let backup = node.post("/api/v1/backup", "");
    assert_eq!((backup.status, backup.header("content-type")), (200, "application/x-tar"));
    let restore = |node: &Node, query: &str, body: &[u8]| {
        node.request("POST", &format!("/api/v1/restore{query}"), &[], body)
    };
    restore(&node, "", &backup.body).error(409);
    node.put("/api/v1/tables/users/items/k8", "{\"n\":\"changed\"}");
    let restored = restore(&node, "?replace=true", &backup.body);
    assert_eq!(restored.json(), json!({ "tables": ["users"] }), "{}", restored.text());
    assert_eq!(node.get("/api/v1/tables/users/items/k8").json()["item"], json!({ "n": 8 }));

    let other = Node::start(&["--preset", "baseline"]);
    assert_eq!(restore(&other, "", &backup.body).status, 200);
    assert_eq!(other.get("/api/v1/tables/users/count").json()["count"], 300);
    assert_eq!(
        other.get("/api/v1/tables/users/items/k7").json()["item"]["text"].as_str().unwrap().len(),
        100_000
    );
    let check = other.get("/api/v1/check").json();
    assert_eq!(check["clean"], true, "{check}");
    restore(&other, "", b"no archive").error(400);
    restore(&other, "?replace=true", &backup.body[..backup.body.len() / 2]).error(400);
    assert_eq!(
        other.get("/api/v1/tables/users/count").json()["count"],
        300,
        "nothing was lost by a bad backup"
    );
}
