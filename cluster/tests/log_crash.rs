//! Power losses of a node's log: what was reported durable is there again, and what is there is a prefix.
#![cfg(not(feature = "loom"))]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cluster::command::{Command, Condition};
use cluster::consensus::{Entry, EntryPayload, IOFlushed, LogId, RaftLogReader, RaftLogStorage, Types, Vote};
use cluster::log::{GroupId, GroupLog, NodeLog};
use openraft::type_config::TypeConfigExt;
use openraft::vote::RaftLeaderId;
use wal::{FaultyStorage, Options};

const GROUPS: u32 = 3;

/// What a group was told to write, and of that, what was reported durable.
#[derive(Clone, Debug, Default)]
struct Expected {
    vote: Option<Vote>,
    durable_vote: Option<Vote>,
    entries: BTreeMap<u64, Entry>,
    durable: u64,
    purged: u64,
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(openraft::alias::LeaderIdOf::<Types>::new(term, 1).to_committed(), index)
}

fn entry(term: u64, index: u64, len: usize) -> Entry {
    let value = Some(Bytes::from(vec![index as u8; len]));
    let command = Command { key: Bytes::from(index.to_string()), value, condition: Condition::Always };
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(command) }
}

fn open(disk: &FaultyStorage) -> NodeLog {
    let options = Options { segment_bytes: 16 << 10, max_bytes: 1 << 20, ..Options::default() };
    NodeLog::open(Arc::new(disk.clone()), options).unwrap()
}

/// A repeatable random number below `bound`.
fn below(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % bound
}

async fn append(group: &mut GroupLog, entries: Vec<Entry>) -> bool {
    let (sender, receiver) = Types::oneshot();
    if group.append(entries, IOFlushed::signal(sender)).await.is_err() {
        return false;
    }
    matches!(receiver.await, Ok(Ok(())))
}

/// One step of one group; whether the disk still works.
async fn step(log: &NodeLog, group: &mut GroupLog, expected: &mut Expected, seed: &mut u64) -> bool {
    let last = expected.entries.last_key_value().map_or(expected.purged, |(&index, _)| index);
    match below(seed, 12) {
        0 => {
            let term = expected.vote.as_ref().map_or(1, |vote| vote.leader_id.term + 1);
            let vote = Vote::new(term, 1);
            expected.vote = Some(vote);
            if group.save_vote(&vote).await.is_err() {
                return false;
            }
            expected.durable_vote = Some(vote);
        }
        1 if last > expected.purged => {
            let keep = last - below(seed, last - expected.purged);
            let term = expected.entries.get(&keep).map_or(1, |entry| entry.log_id.committed_leader_id().term);
            expected.entries.retain(|&index, _| index <= keep);
            expected.durable = expected.durable.min(keep);
            return group.truncate_after(Some(log_id(term, keep))).await.is_ok();
        }
        2 if expected.durable > expected.purged => {
            let upto = expected.purged + 1 + below(seed, expected.durable - expected.purged);
            let id = expected.entries[&upto].log_id;
            expected.entries.retain(|&index, _| index > upto);
            expected.purged = upto;
            return group.purge(id).await.is_ok();
        }
        3 => return log.checkpoint().is_ok(),
        _ => {
            let term = expected.vote.as_ref().map_or(1, |vote| vote.leader_id.term);
            let count = 1 + below(seed, 4);
            let entries: Vec<_> =
                (1..=count).map(|n| entry(term, last + n, below(seed, 900) as usize)).collect();
            expected.entries.extend(entries.iter().map(|entry| (entry.log_id.index, entry.clone())));
            if !append(group, entries).await {
                return false;
            }
            expected.durable = last + count;
        }
    }
    true
}

/// Every group has what was reported durable, and nothing that it was not told.
async fn compare(log: &NodeLog, expected: &mut [Expected], case: &str) {
    for (id, expected) in (0..GROUPS).zip(expected) {
        let mut group = log.group(GroupId(id));
        let mut reader = group.get_log_reader().await;
        let vote = reader.read_vote().await.unwrap();
        assert!(
            vote == expected.vote || vote == expected.durable_vote,
            "{case}, group {id}: the vote {vote:?} is neither {:?} nor {:?}",
            expected.vote,
            expected.durable_vote
        );
        let state = group.get_log_state().await.unwrap();
        let entries = reader.try_get_log_entries(..).await.unwrap();
        let last = state.last_log_id.map_or(0, |id| id.index);
        assert!(
            last >= expected.durable,
            "{case}, group {id}: ends at {last}, {} was durable",
            expected.durable
        );
        for entry in &entries {
            let index = entry.log_id.index;
            if index > expected.purged && index <= expected.durable {
                assert_eq!(Some(entry), expected.entries.get(&index), "{case}, group {id}");
            }
        }
        let indices: Vec<_> = entries.iter().map(|entry| entry.log_id.index).collect();
        assert!(indices.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{case}, group {id}: {indices:?}");
        let first = indices.first().copied().unwrap_or(last + 1);
        assert!(first <= expected.purged + 1, "{case}, group {id}: begins at {first}");
        // From here on, what is there is what counts.
        let purged = state.last_purged_log_id.map_or(0, |id| id.index);
        let entries: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.log_id.index, entry)).collect();
        *expected = Expected { vote, durable_vote: vote, durable: last, purged, entries };
    }
}

#[test]
fn what_was_reported_durable_survives_power_losses() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut steps = 0;
    for case in 0..150_u64 {
        let mut seed = case;
        let mut disk = FaultyStorage::new(case);
        let mut expected = vec![Expected::default(); GROUPS as usize];
        for life in 0..4 {
            let log = open(&disk);
            let name = format!("case {case}, life {life}");
            runtime.block_on(async {
                compare(&log, &mut expected, &name).await;
                let mut groups: Vec<_> = (0..GROUPS).map(|id| log.group(GroupId(id))).collect();
                disk.crash_after(below(&mut seed, 120));
                for _ in 0..200 {
                    let at = below(&mut seed, u64::from(GROUPS)) as usize;
                    steps += 1;
                    if !step(&log, &mut groups[at], &mut expected[at], &mut seed).await {
                        break;
                    }
                }
            });
            drop(log);
            disk = disk.crash();
        }
        let log = open(&disk);
        runtime.block_on(compare(&log, &mut expected, &format!("case {case}, at last")));
    }
    println!("{steps} steps, 600 power losses");
}
