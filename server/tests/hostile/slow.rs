//! Clients that take their time.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{ITEM, connect, is_well, node, read_to_end, status};

#[test]
fn slow_clients_are_ended_and_quick_ones_do_not_wait_for_them() {
    let node = node(&["--header-timeout", "500ms", "--request-timeout", "1s", "--max-in-flight", "4"]);
    let mut headers: Vec<_> = (0..50).map(|_| connect(&node)).collect();
    let mut bodies: Vec<_> = (0..50).map(|_| connect(&node)).collect();
    for stream in &mut bodies {
        stream
            .write_all(format!("PUT {ITEM} HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\n").as_bytes())
            .unwrap();
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        for stream in headers.iter_mut().chain(&mut bodies) {
            // Refused as soon as the server has closed.
            let _ = stream.write_all(b"a");
        }
        assert_eq!(node.get(ITEM).status, 200, "four places, and fifty slow requests");
        std::thread::sleep(Duration::from_millis(50));
    }
    for stream in &mut headers {
        assert_eq!(read_to_end(stream), "");
    }
    let late = bodies.iter_mut().map(read_to_end).filter(|answer| status(answer) == 408).count();
    // An answer may be lost where the client's bytes meet the closed connection.
    assert!(late > 0, "no slow body was told so");
    is_well(node);
}
