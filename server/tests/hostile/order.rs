//! Several requests on a connection, and methods that only ask.

use std::io::{Read, Write};

use super::{ITEM, connect, is_well, node, read_to_end, request, say, status};

#[test]
fn pipelined_requests_are_answered_in_order() {
    let node = node(&[]);
    let get = |key: usize| format!("GET /api/v1/tables/users/items/{key} HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = say(&node, (0..100).map(get).collect::<String>().as_bytes());
    let keys: Vec<usize> = answer
        .split("the key \\\"")
        .skip(1)
        .map(|rest| rest.split('\\').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(keys, (0..100).collect::<Vec<_>>());
    is_well(node);
}

#[test]
fn head_is_get_without_its_body() {
    let node = node(&[]);
    let head = |line: &str| {
        let answer = say(&node, &request(line, "", ""));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let own = |line: &&str| !line.starts_with("date") && !line.starts_with("x-request-id");
        (head.lines().filter(own).map(String::from).collect::<Vec<_>>(), body.len())
    };
    for path in [ITEM, "/livez", "/nowhere", "/api/v1/tables/users/items"] {
        let (get, length) = head(&format!("GET {path} HTTP/1.1"));
        assert!(get.contains(&format!("content-length: {length}")), "{get:?}");
        assert_eq!(head(&format!("HEAD {path} HTTP/1.1")), (get, 0));
    }
    is_well(node);
}

#[test]
fn who_asks_before_sending_is_told_to_go_on_or_refused() {
    let node = node(&[]);
    let expect = |path: &str| {
        let mut stream = connect(&node);
        let head = format!("PUT {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\n");
        stream.write_all(format!("{head}content-length: 7\r\n\r\n").as_bytes()).unwrap();
        stream
    };
    let mut going_on = expect(ITEM);
    let mut interim = [0; 25];
    going_on.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    going_on.write_all(b"{\"a\":1}").unwrap();
    assert_eq!(status(&read_to_end(&mut going_on)), 200);
    assert_eq!(status(&read_to_end(&mut expect("/api/v1/tables/nowhere/items/k"))), 404);
    is_well(node);
}
