//! Where a request begins and ends, and what it may look like between.

use super::{ITEM, error, is_well, node, put, request, say, status};

#[test]
fn what_is_no_request_line_is_400() {
    let node = node(&[]);
    for line in [
        "GET /livez",
        "GET /livez HTTP/0.9",
        "GET /livez HTTP/1.2",
        "GET /livez HTTP/2.0",
        "GET  HTTP/1.1",
        " /livez HTTP/1.1",
        "G(T /livez HTTP/1.1",
        "GET /api/v1/tables/a b/count HTTP/1.1",
        "GET /api/v1/tables/a\0b/count HTTP/1.1",
    ] {
        let answer = say(&node, &request(line, "", ""));
        assert_eq!(status(&answer), 400, "{line:?}: {answer}");
    }
    is_well(node);
}

#[test]
fn what_is_no_header_is_400_and_too_much_of_it_431() {
    let node = node(&[]);
    for header in
        ["no colon\r\n", "x : y\r\n", "x: y\r\n folded\r\n", "x: a\0b\r\n", "x\0: a\r\n", "x: a\rb\r\n"]
    {
        let answer = say(&node, &request("GET /livez HTTP/1.1", header, ""));
        assert_eq!(status(&answer), 400, "{header:?}: {answer}");
    }
    for header in ["x: y\r\n".repeat(10_000), format!("x: {}\r\n", "y".repeat(1 << 20))] {
        let answer = say(&node, &request("GET /livez HTTP/1.1", &header, ""));
        // Closed while the client is still sending, its answer may be lost to a reset.
        assert!(matches!(status(&answer), 431 | 0), "{answer}");
    }
    let answer = say(&node, &request(&format!("GET /livez?{} HTTP/1.1", "x".repeat(9000)), "", ""));
    assert!(status(&answer) == 414 && error(&answer).contains("9007"), "{answer}");
    is_well(node);
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let node = node(&[]);
    for length in ["-1", "+2", "0x2", "", "2, 2", "2\r\ncontent-length: 3", "99999999999999999999999"] {
        let answer = say(&node, &put(&format!("content-length: {length}\r\n"), "{}"));
        assert_eq!(status(&answer), 400, "{length:?}: {answer}");
    }
    let answer = say(&node, &put("content-length: 99999999\r\n", "{}"));
    assert!(status(&answer) == 413 && error(&answer).contains("1048576"), "{answer}");
    is_well(node);
}

#[test]
fn a_body_that_ends_early_or_is_badly_chunked_stores_nothing() {
    let node = node(&[]);
    let huge = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000));
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(20_000));
    let chunked = "transfer-encoding: chunked\r\n";
    for (headers, body) in [
        ("content-length: 20\r\n", "{}"),
        (chunked, "5\r\n{}"),
        (chunked, "2\r\n{}\r\n"),
        (chunked, "zz\r\n{}\r\n0\r\n\r\n"),
        (chunked, "-2\r\n{}\r\n0\r\n\r\n"),
        (chunked, "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        (chunked, "1\r\n{}\r\n0\r\n\r\n"),
        (chunked, huge.as_str()),
        (chunked, trailers.as_str()),
    ] {
        let answer = say(&node, &put(headers, body));
        let shown = &body[..body.len().min(40)];
        assert!(status(&answer) == 400 && error(&answer).contains("body"), "{headers}{shown}: {answer}");
    }
    is_well(node);
}

#[test]
fn requests_cannot_be_hidden_in_bodies() {
    let node = node(&[]);
    let hidden = format!("DELETE {ITEM} HTTP/1.1\r\nhost: a\r\n\r\n");
    // Whoever takes one of these for a length of 0 reads the body as a request.
    for encoding in
        ["xchunked", "\u{b}chunked", "chunked, gzip", "identity", "chunked\r\ntransfer-encoding: x"]
    {
        let head = format!("PUT {ITEM} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {encoding}\r\n\r\n");
        let answer = say(&node, format!("{head}{hidden}").as_bytes());
        assert!(status(&answer) == 400 && answer.matches("HTTP/1.1").count() == 1, "{encoding:?}: {answer}");
    }
    let old = format!("PUT {ITEM} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n{hidden}");
    assert_eq!(status(&say(&node, old.as_bytes())), 400);
    // Chunks win over a length, and nothing behind them is taken for a request (RFC 9112, section 6.3).
    let body = format!("7\r\n{{\"a\":1}}\r\n0\r\n\r\n{hidden}");
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 400",
    ] {
        let head = format!("PUT {ITEM} HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n");
        let answer = say(&node, format!("{head}{body}").as_bytes());
        assert!(status(&answer) == 200 && answer.matches("HTTP/1.1").count() == 1, "{lengths:?}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{lengths:?}: {answer}");
    }
    is_well(node);
}

#[test]
fn json_of_any_depth_or_no_text_is_400() {
    let node = node(&[]);
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let levels = 200_000;
    let bodies = [
        ("PUT", ITEM, format!("{{\"a\":{}}}", deep(levels)).into_bytes()),
        ("PUT", ITEM, "[".repeat(levels).into_bytes()),
        ("PUT", ITEM, "{\"a\":".repeat(levels).into_bytes()),
        ("PUT", ITEM, b"{\"a\":\"\xff\xfe\"}".to_vec()),
        ("PUT", ITEM, b"\xef\xbb\xbf{}".to_vec()),
        ("PUT", ITEM, b"{\"a\":\"\\ud800\"}".to_vec()),
        ("PUT", ITEM, b"\0".to_vec()),
        ("POST", "/api/v1/tables", format!("{{\"name\":{}}}", deep(levels)).into_bytes()),
        ("POST", "/api/v1/tables", b"{\"name\":\"\xff\"}".to_vec()),
        ("POST", "/api/v1/tables/users/batch", format!("{{\"operations\":{}}}", deep(levels)).into_bytes()),
        (
            "POST",
            "/api/v1/tables/users/batch",
            format!(
                "{{\"operations\":[{{\"op\":\"put\",\"key\":\"k\",\"item\":{{\"a\":{}}}}}]}}",
                deep(levels)
            )
            .into_bytes(),
        ),
    ];
    for (method, path, body) in bodies {
        let message = node.request(method, path, &[], &body).error(400);
        assert!(message.len() < 1000, "{message}");
    }
    is_well(node);
}

#[test]
fn broken_frames_of_http2_end_their_connection() {
    let node = node(&[]);
    let frame = |length: u32, kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let settings = frame(0, 4, 0, 0, b"");
    // `:method: GET`, `:path: /`, `:scheme: http`, and no authority: a request, begun and reset at once.
    let rapid: Vec<u8> = (0..2000u32)
        .flat_map(|n| {
            [frame(3, 1, 5, 2 * n + 1, &[0x82, 0x84, 0x86]), frame(4, 3, 0, 2 * n + 1, &[0; 4])].concat()
        })
        .collect();
    for frames in [
        frame(5, 4, 0, 0, b"short"),
        [settings.clone(), frame(0xff_ffff, 0, 0, 1, b"")].concat(),
        [settings.clone(), frame(8, 1, 4, 1, &[0xff; 8])].concat(),
        [settings.clone(), frame(1, 1, 4, 2, &[0x82])].concat(),
        [settings.clone(), frame(4, 8, 0, 0, &[0; 4])].concat(),
        [settings.clone(), frame(0, 9, 0, 1, b"")].concat(),
        [settings.clone(), rapid].concat(),
        b"not a frame at all, but long enough to be taken for one".to_vec(),
    ] {
        let answer = say(&node, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frames[..]].concat());
        assert!(!answer.contains("HTTP/1.1"), "{answer}");
    }
    is_well(node);
}
