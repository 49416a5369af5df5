//! Tables, keys and targets that try to be something else.

use serde_json::Value;

use super::{error, is_well, node, request, say, status};

#[test]
fn names_of_tables_lead_to_no_file() {
    let node = node(&[]);
    let long = "x".repeat(65);
    let names = [
        "..",
        ".",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "a%00b",
        "%00",
        "users%2f..%2fusers",
        "users.db",
        "users_p0",
        "..%5c..%5cx",
        "%ff",
        "CON",
        "users%20",
        "*",
        "~",
        &long,
        "%25%32%65",
    ];
    for name in names {
        for (method, rest, body) in [
            ("GET", "/count", ""),
            ("GET", "/items", ""),
            ("GET", "/items/k", ""),
            ("PUT", "/items/k", "{}"),
            ("POST", "/batch", "{\"operations\":[]}"),
            ("DELETE", "", ""),
        ] {
            let line = format!("{method} /api/v1/tables/{name}{rest} HTTP/1.1");
            let answer = say(&node, &request(&line, &format!("content-length: {}\r\n", body.len()), body));
            assert!(matches!(status(&answer), 400 | 404), "{line}: {answer}");
            error(&answer);
        }
    }
    for name in ["..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "users\0", "", "-rf", "ü", &long] {
        let body = serde_json::json!({ "name": name }).to_string();
        assert!(!node.post("/api/v1/tables", &body).error(400).is_empty(), "{name:?}");
    }
    let beside: Vec<_> = std::fs::read_dir(node.folder().parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    is_well(node);
}

#[test]
fn a_key_is_what_the_path_spells_and_never_a_path() {
    let node = node(&[]);
    for (path, key) in [
        ("..", ".."),
        (".", "."),
        ("%2e%2e%2f%2e%2e%2fetc", "../../etc"),
        ("%00", "\0"),
        ("a%2Fb", "a/b"),
        ("a%2F%2F", "a//"),
        ("*", "*"),
        ("%252e", "%2e"),
        ("a;b=c", "a;b=c"),
        ("%F0%9F%A6%94", "\u{1f994}"),
        ("+", "+"),
    ] {
        let line = |method: &str| format!("{method} /api/v1/tables/users/items/{path} HTTP/1.1");
        assert_eq!(status(&say(&node, &request(&line("PUT"), "content-length: 2\r\n", "{}"))), 200, "{path}");
        let answer = say(&node, &request(&line("GET"), "", ""));
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["key"], key, "{path}");
        assert_eq!(status(&say(&node, &request(&line("DELETE"), "", ""))), 200, "{path}");
    }
    let long = "x".repeat(1025);
    for (path, expected) in [("", 404), ("/", 404), ("a/b", 404), ("../k", 404), ("%ff", 400), (&long, 400)] {
        let line = format!("GET /api/v1/tables/users/items/{path} HTTP/1.1");
        let answer = say(&node, &request(&line, "", ""));
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        error(&answer);
    }
    assert_eq!(node.get("/api/v1/tables/users/count").json()["count"], 1);
    is_well(node);
}

#[test]
fn targets_that_are_no_path_are_answered_as_paths_or_not_at_all() {
    let node = node(&[]);
    for (line, expected) in [
        ("GET http://elsewhere.example/livez HTTP/1.1", 200),
        ("GET //livez HTTP/1.1", 404),
        ("GET /livez/ HTTP/1.1", 404),
        ("GET /./livez HTTP/1.1", 404),
        ("GET /assets/../../Cargo.toml HTTP/1.1", 404),
        ("GET /assets/%2e%2e%2fCargo.toml HTTP/1.1", 404),
        ("GET * HTTP/1.1", 404),
        ("GET elsewhere.example:443 HTTP/1.1", 404),
        ("CONNECT elsewhere.example:443 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 200),
        ("TRACE /livez HTTP/1.1", 405),
        ("FROB /livez HTTP/1.1", 405),
    ] {
        let answer = say(&node, &request(line, "", ""));
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        if expected >= 400 {
            error(&answer);
        }
        assert_eq!(expected == 405, answer.contains("\r\nallow: "), "{line}: {answer}");
    }
    is_well(node);
}
