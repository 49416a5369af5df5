//! What a node should not do, and what the command line makes of it.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use crate::mock::{Mock, answer};
use crate::program::{command, ctl, said};

#[test]
fn every_refusal_has_its_exit_code_and_says_what_where_and_what_to_do() {
    for (status, code, advice) in [
        ("400 Bad Request", 2, ""),
        ("401 Unauthorized", 6, "HEDGEHOG_TOKEN"),
        ("403 Forbidden", 6, "role"),
        ("404 Not Found", 3, ""),
        ("409 Conflict", 4, ""),
        ("412 Precondition Failed", 4, ""),
        ("413 Payload Too Large", 2, ""),
        ("429 Too Many Requests", 7, "try again in 7 s"),
        ("500 Internal Server Error", 1, ""),
        ("503 Service Unavailable", 7, "try again in 7 s"),
    ] {
        let mock = Mock::answering(status, "Retry-After: 7\r\n", r#"{"error":"the reason"}"#);
        let message = ctl(&mock.url, &["get", "users", "user-1"]).refusal(code);
        let call = format!("GET {}/api/v1/tables/users/items/user-1", mock.url);
        for part in ["error: the reason", &call, &status[..3], advice] {
            assert!(message.contains(part), "{part} is missing in {message}");
        }
    }
}

#[test]
fn a_refusal_without_a_reason_is_told_by_its_status() {
    let mock = Mock::answering("502 Bad Gateway", "", "<html>\u{1b}[2J</html>");
    let message = ctl(&mock.url, &["list-tables"]).refusal(1);
    assert!(message.contains("bad gateway") && !message.contains('\u{1b}'), "{message}");
}

#[test]
fn a_node_that_does_not_answer_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let message = ctl(&format!("http://{free}"), &["health"]).refusal(5);
    assert!(message.contains("--url") && message.contains("hedgehogdb"), "{message}");

    // Connections are taken by the kernel, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let message = ctl(&url, &["health", "--timeout", "200ms"]).refusal(5);
    assert!(message.contains("0.2 s") && message.contains("--timeout"), "{message}");

    let mock = Mock::start(|_, _| "SSH-2.0-OpenSSH\r\n".to_string());
    ctl(&mock.url, &["health"]).refusal(5);
}

#[test]
fn a_scan_that_is_cut_off_is_no_short_scan() {
    let body = r#"{"items":[{"key":"a","item":{}},"#;
    let mock =
        Mock::start(|_, _| answer("200 OK", "", body).replace("Content-Length: 32", "Content-Length: 99"));
    for arguments in [&["scan", "t"][..], &["scan", "t", "--json"], &["export", "t"]] {
        let said = ctl(&mock.url, arguments);
        assert_eq!(said.code, 5, "{said:?}");
        assert!(said.stderr.contains("broke off"), "{said:?}");
    }
}

#[test]
fn a_scan_goes_on_through_every_cursor() {
    let mock = Mock::start(|_, number| {
        let next = if number < 2 { format!(r#","cursor":"c{number}""#) } else { String::new() };
        let body =
            format!(r#"{{"items":[{{"key":"k{number}","item":{{"n": {number}.50}}}}],"count":1{next}}}"#);
        answer("200 OK", "", &body)
    });
    let exported = ctl(&mock.url, &["export", "t", "--prefix", "k&"]).data();
    let expected = (0..3).map(|n| format!("{{\"key\":\"k{n}\",\"item\":{{\"n\": {n}.50}}}}\n"));
    assert_eq!(exported, expected.collect::<String>());
    let lines: Vec<String> = mock.asked().into_iter().map(|asked| asked.line).collect();
    let path = "GET /api/v1/tables/t/items?prefix=k%26&limit=500";
    assert_eq!(lines, [path.to_string(), format!("{path}&cursor=c0"), format!("{path}&cursor=c1")]);
}

#[test]
fn a_cursor_that_does_not_move_ends_the_scan() {
    let mock = Mock::answering("200 OK", "", r#"{"items":[],"count":0,"cursor":"c"}"#);
    assert_eq!(ctl(&mock.url, &["export", "t"]).code, 1);
}

#[test]
fn what_is_stored_cannot_command_the_terminal() {
    let mock = Mock::answering(
        "200 OK",
        "",
        "{\"items\":[{\"key\":\"\\u001b[2J\",\"item\":{\"a\":\"\u{9b}2J\"}}],\"count\":1}",
    );
    let shown = ctl(&mock.url, &["scan", "t"]).data();
    assert!(!shown.contains(['\u{1b}', '\u{9b}']) && shown.contains("\\u{1b}[2J"), "{shown}");
}

#[test]
fn keys_are_escaped_and_conditions_are_headers() {
    let mock = Mock::answering("200 OK", "ETag: \"new\"\r\n", r#"{"key":"a/b c","message":"item stored"}"#);
    let put = ["put", "t", "a/b c", r#"{"n": 1.0}"#, "--if-match", "old", "--consistency", "eventual"];
    assert_eq!(ctl(&mock.url, &put).data(), "stored t/a/b c, ETag \"new\"\n");
    ctl(&mock.url, &["put", "t", "..", "{}", "--if-none-match", "--dry-run"]).data();
    let asked = mock.asked();
    assert_eq!(asked[0].line, "PUT /api/v1/tables/t/items/a%2Fb%20c?consistency=eventual");
    assert_eq!(asked[0].body, r#"{"n": 1.0}"#);
    let has = |asked: &crate::mock::Asked, header: &str| {
        asked.headers.iter().any(|line| line.eq_ignore_ascii_case(header))
    };
    assert!(has(&asked[0], "If-Match: \"old\""), "{asked:?}");
    assert_eq!(asked[1].line, "PUT /api/v1/tables/t/items/%2E%2E?consistency=strong&dry_run=true");
    assert!(has(&asked[1], "If-None-Match: *"), "{asked:?}");
}

#[test]
fn a_token_is_sent_to_the_node_and_shown_to_nobody() {
    let mock = Mock::answering("401 Unauthorized", "", r#"{"error":"the token is not known"}"#);
    let mut with_token = command(&mock.url, &["list-tables"]);
    with_token.env("HEDGEHOG_TOKEN", "s3cret");
    let message = said(with_token).refusal(6);
    assert!(!message.contains("s3cret"), "{message}");
    let sent = mock.asked()[0].headers.clone();
    assert!(sent.iter().any(|line| line.eq_ignore_ascii_case("authorization: Bearer s3cret")), "{sent:?}");
}

#[test]
fn a_token_does_not_follow_a_redirect() {
    let elsewhere = Mock::answering("200 OK", "", "{}");
    let to = format!("Location: {}/x\r\n", elsewhere.url);
    let mock = Mock::start(move |_, _| answer("302 Found", &to, ""));
    let message = ctl(&mock.url, &["list-tables", "--token", "s3cret"]).refusal(1);
    assert!(message.contains(&elsewhere.url), "{message}");
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn an_import_waits_for_a_busy_node_and_says_where_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("items.ndjson");
    let lines: String = (0..1_200).map(|n| format!("{{\"key\":\"k{n}\",\"item\":{{}}}}\n")).collect();
    std::fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    let mock = Mock::start(|asked, number| match number {
        0 => answer("503 Service Unavailable", "Retry-After: 1\r\n", r#"{"error":"busy"}"#),
        3.. => answer("500 Internal Server Error", "", r#"{"error":"the disk is full"}"#),
        _ => {
            let results = vec![r#"{"key":"k","status":200}"#; asked.body.matches("\"op\":\"put\"").count()];
            answer("200 OK", "", &format!("{{\"results\":[{}]}}", results.join(",")))
        }
    });
    let message = ctl(&mock.url, &["import", "t", file]).refusal(1);
    assert!(message.contains("the disk is full") && message.contains("1,000 items are stored"), "{message}");
    assert!(message.contains("--from-line 1001"), "{message}");
    let bodies: Vec<String> = mock.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies[0], bodies[1], "the refused request is sent again");

    let message = ctl(&mock.url, &["import", "t", file, "--from-line", "1001"]).refusal(1);
    assert!(message.contains("--from-line 1001"), "{message}");
    assert!(mock.asked().last().unwrap().body.contains("\"k1000\""));
}

#[test]
fn a_backup_that_is_cut_off_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar");
    for body in ["cut", ""] {
        let cut = answer("200 OK", "", body).replace("Content-Length: 3", "Content-Length: 2048");
        let mock = Mock::start(move |_, _| cut.clone());
        let said = ctl(&mock.url, &["backup", file.to_str().unwrap()]);
        assert!(matches!(said.code, 2 | 5), "{said:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{said:?}");
    }
}

#[test]
fn a_backup_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, part) = (folder.path().join("b.tar"), folder.path().join("c.tar.part"));
    std::fs::write(&file, "mine").unwrap();
    std::fs::write(&part, "mine").unwrap();
    let mock = Mock::answering("200 OK", "", "");
    for name in ["b.tar", "c.tar"] {
        ctl(&mock.url, &["backup", folder.path().join(name).to_str().unwrap()]).refusal(4);
    }
    assert!(mock.asked().is_empty());
    assert_eq!(
        std::fs::read_to_string(&file).unwrap() + &std::fs::read_to_string(&part).unwrap(),
        "minemine"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mock = Mock::start(|_, number| {
        let item = format!(r#"{{"key":"k{number}","item":{{"text":"{}"}}}}"#, "x".repeat(100_000));
        answer("200 OK", "", &format!(r#"{{"items":[{item}],"count":1,"cursor":"c{number}"}}"#))
    });
    for arguments in [&["scan", "t"][..], &["scan", "t", "--json"], &["export", "t"]] {
        let mut child =
            command(&mock.url, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // As `head` does: a look at the beginning of what never ends, and away.
        child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{arguments:?}");
    }
}

#[test]
fn an_answer_of_another_program_is_not_taken_for_data() {
    let mock = Mock::answering("200 OK", "", "<html>hello</html>");
    for arguments in
        [&["list-tables"][..], &["get", "t", "k"], &["scan", "t"], &["count", "t"], &["stats"], &["check"]]
    {
        let message = ctl(&mock.url, arguments).refusal(1);
        assert!(message.contains("is it a HedgehogDB node"), "{message}");
    }
}

#[test]
fn a_check_that_finds_damage_has_an_exit_code_of_its_own() {
    let mock = Mock::answering(
        "200 OK",
        "",
        r#"{"clean":false,"text":"users, partition 3: a page is torn\n1 problem"}"#,
    );
    let said = ctl(&mock.url, &["check", "--json"]);
    assert_eq!(said.code, 8, "{said:?}");
    assert!(said.stdout.starts_with("{\"clean\":false") && said.stderr.contains("partition 3"), "{said:?}");
}
