//! kill -9 while clients write: what was acknowledged as durable is there afterwards.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use common::Node;

const ROUNDS: u32 = 3;
const WRITERS: u32 = 8;

/// One connection's client that gives up where the node is gone.
fn put(agent: &ureq::Agent, url: &str, body: &str) -> bool {
    agent.put(url).send(body).is_ok_and(|mut answer| answer.body_mut().read_to_string().is_ok())
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    for preset in ["option4", "baseline"] {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data");
        let acknowledged = Mutex::new(BTreeMap::new());
        for round in 0..ROUNDS {
            let mut node = Node::start_in(&folder, &["--preset", preset]);
            if round == 0 {
                node.create_table("users");
            }
            let url = node.url.clone();
            std::thread::scope(|threads| {
                for writer in 0..WRITERS {
                    let (url, acknowledged) = (&url, &acknowledged);
                    threads.spawn(move || {
                        let agent = ureq::Agent::new_with_defaults();
                        for n in 0.. {
                            let key = format!("w{writer}-{}", n % 200);
                            let item = format!("{{\"round\":{round},\"n\":{n}}}");
                            let path = format!("{url}/api/v1/tables/users/items/{key}?consistency=strong");
                            if !put(&agent, &path, &item) {
                                break;
                            }
                            acknowledged.lock().unwrap().insert(key, (round, n));
                        }
                    });
                }
                std::thread::sleep(Duration::from_millis(400));
                node.kill();
            });
            let node = Node::start_in(&folder, &["--preset", preset]);
            let acknowledged = acknowledged.lock().unwrap();
            assert!(acknowledged.len() > 10, "{preset}: only {} keys were written", acknowledged.len());
            for (key, (round, n)) in acknowledged.iter() {
                let item = node.get(&format!("/api/v1/tables/users/items/{key}?consistency=strong")).json();
                let stored = (item["item"]["round"].as_u64().unwrap(), item["item"]["n"].as_u64().unwrap());
                // One more write may have been under way when the node was killed.
                assert!(
                    stored >= (u64::from(*round), *n),
                    "{preset}, {key}: {stored:?} after ({round}, {n})"
                );
            }
            let (status, _) = node.stop();
            assert!(status.success());
        }
    }
}
