//! Three replicas in one process under crashes and cut connections: histories of concurrent clients are linearizable,
//! and what was acknowledged is there.
#![cfg(not(feature = "loom"))]

mod nodes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster::command::{Command, Condition};
use loom_tests::history::{If, Recorder, Report, Violation, Write};
use tokio::time::sleep;

use nodes::{Answer, Nodes, Random};

const CLIENTS: u32 = 6;
const KEYS: u64 = 4;

/// How clients read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reads {
    /// After a majority has confirmed the leader.
    ReadIndex,
    /// What any replica has: the fault that the checker must find.
    Local,
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("key-{number}"))
}

fn id(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().unwrap())
}

/// One client's operations until told to stop.
async fn client(
    nodes: Arc<Nodes>,
    mut client: loom_tests::history::Client,
    seed: u64,
    reads: Reads,
    stop: Arc<AtomicBool>,
) -> loom_tests::history::Client {
    let mut random = Random(seed);
    let mut next = u64::from(client.number()) << 32;
    let mut last = vec![None; KEYS as usize];
    while !stop.load(Ordering::Relaxed) {
        let register = random.below(KEYS);
        let called = client.now();
        if random.below(2) == 0 {
            if let Some(value) = nodes.read(&mut random, &key(register), reads == Reads::ReadIndex).await {
                let value = value.as_deref().map(id);
                last[register as usize] = value;
                client.read(called, register as u32, value);
            }
            continue;
        }
        next += 1;
        let value = (random.below(5) > 0).then_some(next);
        let (condition, expected) = match (random.below(4), last[register as usize]) {
            (0, Some(seen)) => {
                (If::Equals(seen), Condition::Equals(Bytes::copy_from_slice(&seen.to_le_bytes())))
            }
            (1, _) if value.is_some() => (If::Absent, Condition::Absent),
            // To remove what is not there is not done.
            _ if value.is_none() => (If::Present, Condition::Always),
            _ => (If::Always, Condition::Always),
        };
        let write = Write { condition, value };
        let bytes = value.map(|value| Bytes::copy_from_slice(&value.to_le_bytes()));
        let command = Command { key: key(register), value: bytes, condition: expected };
        match nodes.write(&mut random, command).await {
            Answer::Done(outcome) => client.wrote(called, register as u32, write, outcome.applied),
            Answer::Unknown => client.failed(called, register as u32, write),
            Answer::Refused => {}
        }
    }
    client
}

/// One history: clients, and faults beside them; then all replicas come back and agree.
async fn history(seed: u64, reads: Reads, faults: u32) -> Result<Report, Box<Violation>> {
    let nodes = Arc::new(Nodes::start(3, seed).await);
    let mut recorder = Recorder::new();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let of = recorder.client(number);
            tokio::spawn(client(nodes.clone(), of, seed ^ u64::from(number) << 40, reads, stop.clone()))
        })
        .collect();
    let mut random = Random(seed);
    for _ in 0..faults {
        sleep(Duration::from_millis(50 + random.below(200))).await;
        nodes.fault(&mut random).await;
    }
    nodes.heal();
    nodes.wait_for_leader().await;
    sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        recorder.add(client.await.unwrap());
    }
    nodes.agree().await;
    recorder.check().map_err(Box::new)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn check_histories(seeds: std::ops::Range<u64>) {
    let runtime = runtime();
    let mut report = Report::default();
    for seed in seeds.clone() {
        match runtime.block_on(history(seed, Reads::ReadIndex, 5)) {
            Ok(checked) => report += checked,
            Err(violation) => panic!("seed {seed}: {violation:?}"),
        }
    }
    let Report { operations, open, .. } = report;
    assert!(operations > 100 * seeds.end.saturating_sub(seeds.start), "the clients got next to nothing done");
    println!("{} histories, {operations} operations, {open} of unknown outcome, 0 violations", seeds.count());
}

#[test]
fn histories_under_crashes_and_cuts_are_linearizable() {
    check_histories(0..8);
}

#[test]
#[ignore = "half an hour: the long run"]
fn a_thousand_histories_are_linearizable() {
    check_histories(1_000..2_000);
}

#[test]
fn the_checker_finds_reads_of_what_a_replica_happens_to_have() {
    let runtime = runtime();
    let found = (0..20).any(|seed| runtime.block_on(history(seed, Reads::Local, 3)).is_err());
    assert!(found, "stale reads were not found in 20 histories");
}

#[test]
fn a_replica_that_was_away_catches_up_by_a_snapshot() {
    runtime().block_on(async {
        let nodes = Nodes::start(3, 1).await;
        let mut random = Random(1);
        let away = nodes.follower().await;
        nodes.stop(away).await;
        let put = |n: u64| Command {
            key: Bytes::from(format!("{n:04}")),
            value: Some(Bytes::from(vec![7; 100])),
            condition: Condition::Always,
        };
        for n in 0..500 {
            nodes.write_for_good(&mut random, put(n)).await;
        }
        nodes.purge().await;
        nodes.start_again(away).await;
        nodes.write_for_good(&mut random, put(500)).await;
        nodes.agree().await;
        assert_eq!(nodes.items(away).len(), 501);
        // And once more from its own disk.
        nodes.stop(away).await;
        nodes.start_again(away).await;
        nodes.agree().await;
        assert_eq!(nodes.items(away).len(), 501);
    });
}
