//! Histories whose verdict is known: the checker has to tell the good ones from the bad ones.

use super::{Action, Found, If, Operation, Recorder, Write};

const KEY: u32 = 7;
const PUT: fn(u64) -> Write = |value| Write { condition: If::Always, value: Some(value) };
const PUT_ABSENT: fn(u64) -> Write = |value| Write { condition: If::Absent, value: Some(value) };
const SWAP: fn(u64, u64) -> Write = |from, to| Write { condition: If::Equals(from), value: Some(to) };
const DELETE: Write = Write { condition: If::Present, value: None };

fn write(called: u64, returned: u64, write: Write, applied: bool) -> Operation {
    let action = Action::Write { write, applied: Some(applied) };
    Operation { client: 0, register: KEY, called, returned: Some(returned), era: 0, durable: true, action }
}

fn failed(called: u64, write: Write) -> Operation {
    let action = Action::Write { write, applied: None };
    Operation { client: 1, register: KEY, called, returned: None, era: 0, durable: false, action }
}

fn read(called: u64, returned: u64, value: Option<u64>) -> Operation {
    let action = Action::Read(value);
    Operation { client: 2, register: KEY, called, returned: Some(returned), era: 0, durable: true, action }
}

fn in_era(era: u32, operation: Operation) -> Operation {
    Operation { era, ..operation }
}

fn not_waited_for(operation: Operation) -> Operation {
    Operation { durable: false, ..operation }
}

fn explained(operations: &[Operation], crashes: &[u64]) -> bool {
    super::check::check(operations, crashes).is_ok()
}

#[test]
fn a_read_beside_a_write_may_go_either_way() {
    for seen in [None, Some(1)] {
        assert!(explained(&[write(0, 10, PUT(1), true), read(5, 6, seen)], &[]));
    }
}

#[test]
fn a_stale_read_is_caught() {
    let writes = [write(0, 1, PUT(1), true), write(2, 3, PUT(2), true)];
    assert!(explained(&[&writes[..], &[read(4, 5, Some(2))]].concat(), &[]));
    assert!(!explained(&[&writes[..], &[read(4, 5, Some(1))]].concat(), &[]));
    assert!(!explained(&[&writes[..], &[read(4, 5, None)]].concat(), &[]));
}

#[test]
fn a_read_of_what_nobody_wrote_is_caught() {
    assert!(!explained(&[write(0, 1, PUT(1), true), read(0, 5, Some(9))], &[]));
}

#[test]
fn two_readers_that_see_two_writes_in_opposite_orders_are_caught() {
    let writes = [write(0, 20, PUT(1), true), write(0, 20, PUT(2), true)];
    let one_way = [read(1, 2, Some(1)), read(3, 4, Some(2))];
    let other_way = [read(5, 6, Some(2)), read(7, 8, Some(1))];
    assert!(explained(&[&writes[..], &one_way].concat(), &[]));
    assert!(!explained(&[&writes[..], &one_way, &other_way].concat(), &[]));
}

#[test]
fn a_lost_update_is_caught() {
    let start = write(0, 1, PUT(1), true);
    let both = |second| [start, write(2, 6, SWAP(1, 2), true), write(3, 7, SWAP(1, 3), second)];
    assert!(explained(&both(false), &[]));
    assert!(!explained(&both(true), &[]), "only one of two swaps from the same value can succeed");
}

#[test]
fn two_successful_puts_of_an_absent_key_are_caught() {
    let both = |second| [write(0, 10, PUT_ABSENT(1), true), write(0, 10, PUT_ABSENT(2), second)];
    assert!(explained(&both(false), &[]));
    assert!(!explained(&both(true), &[]));
    let deleted_between = [&both(true)[..], &[write(0, 10, DELETE, true)]].concat();
    assert!(explained(&deleted_between, &[]), "with a delete between them both can");
}

#[test]
fn a_delete_that_denies_what_was_there_is_caught() {
    assert!(!explained(&[write(0, 1, PUT(1), true), write(2, 3, DELETE, false)], &[]));
    assert!(!explained(&[write(0, 1, DELETE, true)], &[]));
}

#[test]
fn a_failed_write_takes_effect_late_or_never_but_not_twice() {
    let start = [write(0, 1, PUT(1), true), failed(2, PUT(2))];
    let late = [&start[..], &[read(4, 5, Some(1)), read(6, 7, Some(2))]].concat();
    assert!(explained(&late, &[]));
    assert!(explained(&[&start[..], &[read(4, 5, Some(1))]].concat(), &[]));
    assert!(!explained(&[&late[..], &[write(8, 9, PUT(3), true), read(10, 11, Some(2))]].concat(), &[]));
}

#[test]
fn a_write_that_was_waited_for_outlives_a_crash() {
    let puts = |second: fn(Operation) -> Operation| {
        vec![write(0, 1, PUT(1), true), second(write(2, 3, PUT(2), true))]
    };
    let after = |mut history: Vec<Operation>, seen| {
        history.push(in_era(1, read(12, 13, seen)));
        explained(&history, &[10])
    };
    assert!(after(puts(|durable| durable), Some(2)));
    assert!(!after(puts(|durable| durable), Some(1)), "it was acknowledged");
    assert!(after(puts(not_waited_for), Some(1)), "it may be lost");
    assert!(after(puts(not_waited_for), Some(2)), "it may be kept");
    assert!(!after(puts(not_waited_for), None), "the one before it was acknowledged");
}

#[test]
fn what_a_strong_read_has_seen_outlives_a_crash() {
    let seen = [not_waited_for(write(0, 1, PUT(1), true)), read(2, 3, Some(1))];
    assert!(explained(&[&seen[..], &[in_era(1, read(12, 13, Some(1)))]].concat(), &[10]));
    assert!(!explained(&[&seen[..], &[in_era(1, read(12, 13, None))]].concat(), &[10]));
}

#[test]
fn an_open_write_does_not_come_later_than_the_crash() {
    let history = [failed(0, PUT(1)), in_era(1, read(12, 13, None)), in_era(1, read(14, 15, Some(1)))];
    assert!(explained(&history, &[]));
    assert!(!explained(&history, &[10]));
}

#[test]
fn a_half_of_a_batch_contradicts_the_register_of_the_group() {
    let group = [write(0, 1, PUT(1), true), write(2, 9, PUT(2), true)];
    assert!(explained(&[&group[..], &[read(3, 4, Some(2)), read(5, 6, Some(2))]].concat(), &[]));
    assert!(!explained(&[&group[..], &[read(3, 4, Some(2)), read(5, 6, Some(1))]].concat(), &[]));
}

#[test]
fn a_scan_that_skips_a_key_is_caught() {
    let scan = |found: &[u32]| {
        let mut recorder = Recorder::new();
        let mut client = recorder.client(0);
        for key in 0..3 {
            client.wrote(client.now(), key, PUT(u64::from(key)), true);
        }
        let called = client.now();
        let found: Vec<_> =
            found.iter().map(|&key| Found { key, value: u64::from(key), returned: client.now() }).collect();
        client.scanned(called, (0..3).map(|key| (key, key)), found);
        recorder.add(client);
        recorder.check()
    };
    assert_eq!(scan(&[0, 1, 2]).unwrap().operations, 6);
    assert_eq!(scan(&[0, 2]).unwrap_err().register, 1);
    assert_eq!(scan(&[0, 1]).unwrap_err().register, 2);
}

#[test]
fn a_violation_names_the_first_answer_that_cannot_be_explained() {
    let history = [
        write(0, 1, PUT(0xa), true),
        write(2, 3, PUT(0xb), true),
        read(4, 5, Some(0xa)),
        read(6, 7, Some(0xa)),
        write(8, 9, PUT(0xc), true),
    ];
    let violation = super::check::check(&history, &[]).unwrap_err().to_string();
    assert!(violation.contains("client  2 [     4,      5] reads 0xa"), "{violation}");
    assert!(!violation.contains("0xc"), "what came later is not shown: {violation}");
}
