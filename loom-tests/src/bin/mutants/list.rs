//! The faults, and the checks that they are let loose on.

use crate::check::Check;

/// A fault that can be planted.
#[derive(Debug)]
pub(crate) struct Mutant {
    /// As in `planted!("...")` at its place in the source.
    pub(crate) name: &'static str,
    /// What is wrong with it.
    pub(crate) fault: &'static str,
    /// The check that is expected to catch it, and so is run first.
    pub(crate) check: &'static str,
    /// Of that check, only the tests whose names contain this.
    pub(crate) test: &'static str,
}

/// Every check of the ordinary tests that may catch a fault. What one protocol fails is run for all: they are written
/// over a list of engines.
pub(crate) const CHECKS: &[Check] = &[
    check("wal", "wal", "", ""),
    check("log: power loss", "wal", "", "power_loss"),
    check("log: recovery", "wal", "", "recovery"),
    check("log: commit", "wal", "", "commit"),
    check("tree", "tree", "", ""),
    check("tree: model", "tree", "", "model"),
    check("tree: recovery", "tree", "", "recovery"),
    check("tree: faults", "tree", "", "faults"),
    check("tree: bit rot", "tree", "", "bit_flips"),
    check("tree: backup", "tree", "", "backup"),
    check("tree: in memory", "tree", "", "in_memory"),
    check("raft log", "cluster", "", "log_crash"),
    check("replicas", "cluster", "", "replicas"),
    check("simulation", "loom-tests", "", "simulation"),
    check("loom: group commit", "loom-tests", "loom", "group_commit"),
    check("loom: log", "loom-tests", "loom", "log"),
    check("loom: tickets", "loom-tests", "loom", "tickets"),
    check("loom: latch", "loom-tests", "loom", "latch"),
    check("loom: pool", "loom-tests", "loom", "pool"),
    check("loom: epoch", "loom-tests", "loom", "epoch"),
    check("loom: splits", "loom-tests", "loom", "splits"),
    check("loom: deletes", "loom-tests", "loom", "deletes"),
    check("loom: conditions", "loom-tests", "loom", "conditions"),
    check("loom: batches", "loom-tests", "loom", "batches"),
    check("loom: scans", "loom-tests", "loom", "scans"),
    check("loom: checkpoint", "loom-tests", "loom", "checkpoint"),
    check("shuttle: schedules", "loom-tests", "shuttle", "schedules"),
    check("stress", "loom-tests", "", "stress"),
];

const fn check(
    name: &'static str,
    package: &'static str,
    features: &'static str,
    target: &'static str,
) -> Check {
    Check { name, package, features, target }
}

const fn mutant(name: &'static str, fault: &'static str, check: &'static str, test: &'static str) -> Mutant {
    Mutant { name, fault, check, test }
}

/// The faults: the log, recovery, latches and protocols, the pool, durability of the tree, backups, operations that
/// must not wait.
pub(crate) const MUTANTS: &[Mutant] = &[
    mutant(
        "position-taken-unlocked",
        "a record's position is read before the append lock is held",
        "loom: log",
        "an_append_during",
    ),
    mutant(
        "published-before-written",
        "the log says durable before it has written",
        "log: power loss",
        "an_error_of_any",
    ),
    mutant(
        "woken-before-published",
        "waiters are woken before the durable position is published",
        "loom: group commit",
        "every_waiter",
    ),
    mutant(
        "hand-over-forgotten",
        "a leader that steps down wakes no sleeper of the next group",
        "loom: group commit",
        "every_waiter",
    ),
    mutant(
        "gate-opened-relaxed",
        "the release fence of a gate's opening is dropped",
        "loom: group commit",
        "a_failed_sync",
    ),
    mutant("sync-skipped", "a flush writes and does not sync", "log: power loss", ""),
    mutant(
        "failed-sync-retried",
        "a sync that failed is tried again and believed",
        "log: power loss",
        "an_error_of_any",
    ),
    mutant(
        "only-last-segment-synced",
        "a batch over two segments syncs one of them",
        "loom: log",
        "a_batch_that_spans",
    ),
    mutant(
        "renamed-segment-unsynced",
        "a recycled segment is used before its new name is durable",
        "log: power loss",
        "",
    ),
    mutant(
        "recycled-too-early",
        "the segment that the redo LSN lies in is recycled",
        "loom: log",
        "recycling",
    ),
    mutant("record-unchecked", "a record's checksum is not compared", "wal", ""),
    mutant("torn-tail-kept", "recovery does not erase what it cuts off", "log: power loss", ""),
    mutant("unproven-tail-trusted", "recovery takes what it can read for durable", "log: recovery", ""),
    mutant("hole-cut-as-tail", "recovery takes damage for a torn tail", "log: recovery", ""),
    mutant(
        "coupling-dropped",
        "the parent's latch is released before the child's is taken",
        "loom: splits",
        "a_lookup",
    ),
    mutant(
        "latched-upwards",
        "a writer latches the parent while it holds the leaf",
        "loom: splits",
        "two_inserts_that_split_one_leaf",
    ),
    mutant(
        "root-unchecked",
        "a writer does not look again at the root that it latched as a leaf",
        "loom: splits",
        "",
    ),
    mutant("read-unlocked", "the baseline's readers do not take its lock", "loom: splits", "a_lookup"),
    mutant("fence-skipped", "a scan goes on behind a leaf's fence, not at it", "loom: scans", ""),
    mutant("batch-in-pieces", "a batch is one log record a key", "simulation", "ten_thousand"),
    mutant(
        "new-page-unmapped",
        "a split does not mark its new page as used",
        "loom: splits",
        "split_one_leaf",
    ),
    mutant("tag-unchecked", "a look-up does not compare the tag behind the latch", "loom: pool", ""),
    mutant(
        "page-entered-twice",
        "the loser of two misses on a page uses its frame all the same",
        "loom: pool",
        "",
    ),
    mutant(
        "evicted-while-dirty",
        "eviction does not look at the dirty mark behind the latch",
        "loom: pool",
        "",
    ),
    mutant(
        "clean-before-written",
        "the dirty mark is cleared before the write",
        "simulation",
        "ten_thousand",
    ),
    mutant("later-change-forgotten", "a page that changed during its write-back is clean", "loom: pool", ""),
    mutant("written-before-log", "a page is written back ahead of its log", "loom: pool", ""),
    mutant("written-once", "pages are written without the double-write copy", "simulation", "ten_thousand"),
    mutant("page-reused-at-once", "a freed page id is handed out at once", "loom: epoch", ""),
    mutant("page-reused-under-pin", "a freed page id does not wait for readers", "loom: epoch", ""),
    mutant(
        "page-reused-before-durable",
        "a freed page id does not wait until its unlinking is durable",
        "loom: epoch",
        "an_id_is_used",
    ),
    mutant("chain-unpinned", "a reader of a large value does not pin its pages", "loom: epoch", ""),
    mutant(
        "copies-overwritten",
        "copies of torn pages are given up while their file cannot be opened",
        "simulation",
        "ten_thousand",
    ),
    mutant(
        "items-counted-twice",
        "redo counts what the checkpoint has counted",
        "simulation",
        "ten_thousand",
    ),
    mutant(
        "condition-unjudged",
        "a conditional write does not look at its condition",
        "loom: conditions",
        "",
    ),
    mutant("page-lsn-unset", "a page does not bear the LSN of its change", "loom: pool", ""),
    mutant(
        "dirty-after-append",
        "a page is marked dirty after its record was appended",
        "loom: checkpoint",
        "",
    ),
    mutant("checkpoint-unsynced", "a checkpoint does not sync the data files", "simulation", "ten_thousand"),
    mutant(
        "redo-from-the-end",
        "a checkpoint takes the log's end for its redo LSN when it ends",
        "loom: checkpoint",
        "",
    ),
    mutant(
        "items-noted-late",
        "a checkpoint counts items behind the LSN that it notes",
        "loom: checkpoint",
        "",
    ),
    mutant("redone-twice", "redo does not compare the page's LSN", "simulation", "ten_thousand"),
    mutant(
        "read-not-durable",
        "a strong read returns what a crash can take back",
        "simulation",
        "ten_thousand",
    ),
    mutant(
        "ticket-too-early",
        "a batch's ticket waits for its first partition only",
        "simulation",
        "ten_thousand",
    ),
    mutant(
        "catalog-unsynced",
        "the catalog is renamed before its bytes are durable",
        "simulation",
        "ten_thousand",
    ),
    mutant(
        "raft-reported-early",
        "an append to a group's log is reported before it is durable",
        "raft log",
        "",
    ),
    mutant(
        "raft-leader-restored",
        "a leader leads on after a crash that took entries from it",
        "replicas",
        "histories",
    ),
    mutant("raft-vote-unwaited", "a vote is not waited for", "raft log", ""),
    mutant("raft-summary-forgotten", "a checkpoint of a node's log forgets its votes", "raft log", ""),
    mutant(
        "raft-entries-given-up",
        "a checkpoint of a node's log gives up entries that are needed",
        "raft log",
        "",
    ),
    mutant(
        "published-in-two-steps",
        "a table that is replaced goes before the other takes its name",
        "tree: recovery",
        "a_table_is_replaced",
    ),
    mutant(
        "backup-unheld",
        "a checkpoint recycles the log that a backup has still to copy",
        "tree: backup",
        "a_backup_bears_more_log",
    ),
    mutant(
        "backup-torn-kept",
        "a page that a write tore under the backup's eyes is copied as it was read",
        "tree: backup",
        "pages_that_a_write_tears",
    ),
    mutant(
        "backup-log-uncut",
        "a copy of a log goes on behind the record that it ends with",
        "wal",
        "a_copy_that_ends_behind",
    ),
    mutant(
        "backup-ends-apart",
        "a backup notes the ends of the logs one by one",
        "tree: backup",
        "a_copy_is_the_state",
    ),
    mutant(
        "backup-catalog-late",
        "a backup has the catalog of its end, not of its checkpoint",
        "tree: backup",
        "a_copy_is_the_state",
    ),
    mutant(
        "in-memory-waits",
        "an operation that must not wait loads the page that it misses",
        "tree: in memory",
        "a_page_on_disk",
    ),
    mutant(
        "in-memory-splits",
        "an operation that must not wait splits the leaf itself",
        "tree: in memory",
        "few_inserts",
    ),
];
