//! Models of the concurrent protocols, checked by [loom](https://docs.rs/loom): `cargo test --features loom`.
//!
//! loom runs a model once for every order in which its threads' accesses to locks, atomics and latched pages
//! can interleave, and every value that the memory model lets a load return, up to a bound on preemptions.
//! The models run the crates' own source: `tree::sync` and `wal::sync` swap the primitives.
//!
//! Each file in `tests/` is one protocol, with a header that says which interleavings it covers. Without the
//! feature this crate is empty.
#![forbid(unsafe_code)]

/// Runs a model exhaustively, with at most two preemptions (or `LOOM_MAX_PREEMPTIONS`) an execution.
///
/// Two suffice to put one thread between any two steps of another and come back, which is what the bugs of
/// latch protocols need; Musuvathi and Qadeer ("Iterative context bounding", PLDI 2007) found nearly all
/// known concurrency bugs within two. Prints how many executions that took.
#[cfg(feature = "loom")]
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let executions = Arc::new(AtomicU64::new(0));
    let counter = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.max_branches = 100_000;
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} executions", executions.load(Ordering::Relaxed));
}
