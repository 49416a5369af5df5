//! The evidence that the engine keeps its promises, and the means to doubt it: models for every interleaving
//! ([loom](https://docs.rs/loom)), random schedules of whole databases ([shuttle](https://docs.rs/shuttle)) with
//! histories checked for linearizability, a deterministic simulator of power losses and failing disks, and planted
//! faults that all of them have to find. README.md beside this crate's manifest lists the commands.
//!
//! loom runs a model once for every order in which its threads' accesses to locks, atomics and latched pages
//! can interleave, and every value that the memory model lets a load return, up to a bound on preemptions.
//! The models run the crates' own source: `tree::sync` and `wal::sync` swap the primitives. Each file in `tests/` is
//! one protocol, with a header that says which interleavings it covers.
#![forbid(unsafe_code)]

pub mod history;
pub mod simulation;

/// The protocols that everything here runs on. A new one gets all of it by an entry here.
pub const ENGINES: [tree::Engine; 2] = [tree::Engine::Mutex, tree::Engine::Coupled];

/// Runs a model exhaustively, with at most two preemptions an execution: see [`check_within`].
///
/// Two suffice to put one thread between any two steps of another and come back, which is what the bugs of
/// latch protocols need; Musuvathi and Qadeer ("Iterative context bounding", PLDI 2007) found nearly all
/// known concurrency bugs within two.
#[cfg(feature = "loom")]
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    check_within(2, model);
}

/// Runs a model exhaustively, with at most so many preemptions an execution, or `LOOM_MAX_PREEMPTIONS` where
/// that is set. Prints how many executions it took.
#[cfg(feature = "loom")]
pub fn check_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let executions = Arc::new(AtomicU64::new(0));
    let counter = executions.clone();
    let mut builder = loom::model::Builder::new();
    let bound = *builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} executions with at most {bound} preemptions", executions.load(Ordering::Relaxed));
}
