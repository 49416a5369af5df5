//! Valid requests with a few bytes changed.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{node, request, say, status};

/// A change to a request.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let within = |at: usize| at % bytes.len().max(1);
        let range = |at: usize, length: usize| within(at)..(within(at) + length).min(bytes.len());
        match self {
            _ if bytes.is_empty() => {}
            Change::Flip(at, mask) => {
                let at = within(*at);
                bytes[at] ^= mask;
            }
            Change::Insert(at, new) => drop(bytes.splice(within(*at)..within(*at), new.iter().copied())),
            Change::Remove(at, length) => drop(bytes.drain(range(*at, *length))),
            Change::Repeat(at, length) => {
                let again = bytes[range(*at, *length)].to_vec();
                let at = within(*at);
                bytes.splice(at..at, again);
            }
            Change::Cut(at) => bytes.truncate(within(*at)),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<usize>();
    let telling = prop::sample::select(vec![
        "\r\n",
        "\r\n\r\n",
        "\0",
        " ",
        ":",
        "%",
        "%00",
        "%2f",
        "..",
        "/",
        "?",
        "&",
        "\"",
        "{",
        "[",
        "-1",
        "chunked",
        "transfer-encoding: chunked\r\n",
        "content-length: 0\r\n",
        "if-match: *\r\n",
        "limit=1&",
        "99999999999999999999",
    ]);
    prop_oneof![
        (at(), 1..=255u8).prop_map(|(at, mask)| Change::Flip(at, mask)),
        (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, new)| Change::Insert(at, new)),
        (at(), telling).prop_map(|(at, new)| Change::Insert(at, new.into())),
        (at(), 1..40usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at(), 1..40usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        at().prop_map(Change::Cut),
    ]
}

#[test]
fn no_change_to_a_valid_request_fails_the_server() {
    let node = node(&[]);
    let length = |body: &str| format!("content-length: {}\r\ncontent-type: application/json\r\n", body.len());
    let batch = r#"{"operations":[{"op":"put","key":"b","item":{"x":[1,2]}},{"op":"get","key":"b"}]}"#;
    let table = r#"{"name":"orders"}"#;
    let valid = vec![
        request(
            "PUT /api/v1/tables/users/items/u?consistency=strong HTTP/1.1",
            &length("{\"a\":1}"),
            "{\"a\":1}",
        ),
        request(
            "PUT /api/v1/tables/users/items/u HTTP/1.1",
            "transfer-encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
        ),
        request(
            "GET /api/v1/tables/users/items?prefix=u&start=a&end=z&limit=2&reverse=true HTTP/1.1",
            "",
            "",
        ),
        request("GET /api/v1/tables/users/items?limit=1&cursor=6b HTTP/1.1", "accept: */*\r\n", ""),
        request("DELETE /api/v1/tables/users/items/u HTTP/1.1", "if-match: \"0f3c\", W/\"a\"\r\n", ""),
        request("POST /api/v1/tables/users/batch HTTP/1.1", &length(batch), batch),
        request("POST /api/v1/tables HTTP/1.1", &length(table), table),
        request("GET /api/v1/stats HTTP/1.1", "x-request-id: abc\r\nauthorization: Bearer x\r\n", ""),
    ];
    let case = (prop::sample::select(valid), prop::collection::vec(change(), 1..5));
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let run = runner.run(&case, |(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let answer = say(&node, &bytes);
        prop_assert!(answer.is_empty() || (100..500).contains(&status(&answer)), "{answer}");
        Ok(())
    });
    run.unwrap();
    // A change can have made a request for the item itself, or for its table: both are allowed.
    assert_eq!(node.get("/livez").status, 200);
    let (status, said) = node.stop();
    assert!(status.success() && !said.iter().any(|line| line.contains("panicked")), "{status}: {said:?}");
}
