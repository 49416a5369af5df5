//! Whole databases under random schedules: beyond what an exhaustive model reaches, every protocol, the log, the pool
//! with eviction and write-back, checkpoints and recovery run together, by the crates' own source on shuttle's
//! primitives. Three clients make two hundred operations on a tree that does not fit into its pool.
//!
//! Each schedule draws a setup (engine, logs, commit policy, partitions, page images), the clients' operations and the
//! interleaving from one seed. Half of them are uniformly random at each step; the others follow probabilistic
//! concurrency testing (Burckhardt et al., ASPLOS 2010), which finds a bug that needs `d` ordered steps with a
//! guaranteed probability. Behind each schedule the history must be linearizable, the trees sound, the count exact.
//!
//! What this cannot see: shuttle's atomics are sequentially consistent, whatever ordering the code asks for.
//!
//! `SCHEDULES=n` runs n schedules a test and scheduler in place of the default, `SHUTTLE_RANDOM_SEED=s` begins with
//! another seed. A failure names a file with its schedule; to run just that one again:
//! `SCHEDULE=<the file> cargo test -p loom-tests --features shuttle --test schedules <the test>`
#![cfg(feature = "shuttle")]

mod workload;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom_tests::history::{Recorder, Report};
use shuttle::rand::RngCore;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use tree::{CommitPolicy, DatabaseOf, Engine, LogScope, Maintenance, Options, Result, TableOf, Wait};
use wal::{FaultyStorage, MemoryStorage, Storage};
use workload::{ENGINES, Random, Setup, TINY, Worker, verify};

/// The seed that a run begins with unless `SHUTTLE_RANDOM_SEED` says otherwise.
const SEED: u64 = 1;
/// How many preemptions probabilistic concurrency testing looks for.
const DEPTHS: std::ops::RangeInclusive<usize> = 3..=5;
/// Clients, the one that takes checkpoints included.
const CLIENTS: u32 = 3;

type Totals = Arc<Mutex<Report>>;

/// Runs the model under so many schedules of each scheduler.
fn explore(schedules: usize, model: fn() -> Report) {
    if let Some(schedule) = std::env::var_os("SCHEDULE") {
        let scheduler = ReplayScheduler::new_from_file(PathBuf::from(schedule)).expect("a schedule's file");
        run("replay", scheduler, model);
        return;
    }
    let schedules =
        std::env::var("SCHEDULES").map_or(schedules, |n| n.parse().expect("SCHEDULES is a number"));
    run("random", RandomScheduler::new_from_seed(SEED, schedules), model);
    for depth in DEPTHS {
        let scheduler = PctScheduler::new_from_seed(SEED, depth, schedules.div_ceil(DEPTHS.count()));
        run(&format!("pct of depth {depth}"), scheduler, model);
    }
}

fn run(scheduler: &str, schedules: impl Scheduler + 'static, model: fn() -> Report) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    // An order that never ends would be a livelock.
    config.max_steps = MaxSteps::FailAfter(20_000_000);
    config.failure_persistence = FailurePersistence::File(Some(env!("CARGO_TARGET_TMPDIR").into()));
    config.silence_warnings = true;
    let totals = Totals::default();
    let sum = totals.clone();
    let began = std::time::Instant::now();
    let explored = Runner::new(schedules, config).run(move || *sum.lock().unwrap() += model());
    let (seed, Report { operations, registers, open }) = (seed(), *totals.lock().unwrap());
    let took = began.elapsed() / 1_000_000 * 1_000_000;
    println!(
        "{scheduler}, seed {seed}: {explored} schedules with {operations} operations ({open} left open), \
         {registers} histories checked, {took:?}"
    );
}

fn seed() -> String {
    std::env::var("SHUTTLE_RANDOM_SEED").unwrap_or_else(|_| SEED.to_string())
}

/// Random numbers that belong to the schedule: a replay draws the same.
fn scheduled() -> Random {
    Random(shuttle::rand::thread_rng().next_u64())
}

/// A setup, drawn.
fn options(random: &mut Random) -> Options {
    let engine: Engine = random.one_of(&ENGINES);
    let policies =
        [CommitPolicy::Greedy, CommitPolicy::Immediate(Duration::ZERO), CommitPolicy::Window(Duration::ZERO)];
    Options {
        engine,
        partitions: random.one_of(&[1, 1, 3]),
        commit: random.one_of(&policies),
        wait: random.one_of(&[Wait::AfterRelease, Wait::AfterRelease, Wait::UnderLock]),
        log_scope: random.one_of(&[LogScope::Database, LogScope::Partition]),
        page_images: random.below(8) == 0,
        pool_bytes: Options::MIN_POOL_PAGES * TINY,
        log_segment_bytes: 64 << 10,
        log_max_bytes: 256 << 10,
        maintenance: Maintenance::Inline,
        ..Options::default()
    }
}

fn setup(options: &Options) -> Setup {
    let one_partition = options.partitions == 1;
    Setup { one_partition, one_log: one_partition || options.log_scope == LogScope::Database }
}

fn create(storage: Arc<dyn Storage>, options: &Options) -> Result<(DatabaseOf<TINY>, TableOf<TINY>)> {
    let database = DatabaseOf::open_on(storage, options.clone())?;
    let table = database.create_table("t")?;
    Ok((database, table))
}

/// Lets the clients work side by side; the first one takes the checkpoints. Answers how each of them ended.
fn work_side_by_side(
    database: &Arc<DatabaseOf<TINY>>,
    recorder: &mut Recorder,
    setup: Setup,
    first: u32,
    steps: u32,
) -> Vec<Result<()>> {
    let clients: Vec<_> = (first..first + CLIENTS)
        .map(|number| {
            let (database, client, seed) = (database.clone(), recorder.client(number), scheduled().next());
            shuttle::thread::spawn(move || {
                let table = database.table("t").expect("the table is there");
                let mut worker = Worker::new(&table, setup, client, seed);
                let ended = worker.work(steps, (number == first).then_some(&*database));
                (worker.client, ended)
            })
        })
        .collect();
    let ended = clients.into_iter().map(|client| client.join().expect("no client panics"));
    let ended = ended.map(|(client, ended)| {
        recorder.add(client);
        ended
    });
    ended.collect()
}

/// Three clients of one database.
fn side_by_side() -> Report {
    let mut random = scheduled();
    let options = options(&mut random);
    let (setup, mut recorder) = (setup(&options), Recorder::new());
    let (database, table) = create(Arc::new(MemoryStorage::new()), &options).unwrap();
    let mut first = Worker::new(&table, setup, recorder.client(0), random.next());
    first.fill().unwrap();
    recorder.add(first.client);
    let database = Arc::new(database);
    for ended in work_side_by_side(&database, &mut recorder, setup, 1, 70) {
        ended.unwrap_or_else(|error| panic!("{options:?}: {error}"));
    }
    let report = verify(&database, &table, setup, &mut recorder, &format!("{options:?}"));
    assert!(database.stats().pool.evictions > 0, "the pool is too small for the tree");
    report
}

/// Three clients of one database whose power fails, twice: what is found afterwards belongs to the same history.
fn through_power_losses() -> Report {
    let mut random = scheduled();
    let options = options(&mut random);
    let (setup, mut recorder) = (setup(&options), Recorder::new());
    let mut disk = FaultyStorage::new(random.next());
    let (database, table) = create(Arc::new(disk.clone()), &options).unwrap();
    let mut first = Worker::new(&table, setup, recorder.client(0), random.next());
    first.fill().unwrap();
    recorder.add(first.client);
    let mut database = Arc::new(database);
    for life in 1..=2 {
        disk.crash_after(u64::from(1 + random.below(150)));
        for ended in work_side_by_side(&database, &mut recorder, setup, 10 * life, 100) {
            assert!(ended.is_ok() || disk.is_off(), "{options:?}: {ended:?}, and the power is on");
        }
        recorder.crash();
        disk = disk.crash();
        database = Arc::new(DatabaseOf::open_on(Arc::new(disk.clone()), options.clone()).unwrap());
    }
    let table = database.table("t").expect("the table is there");
    verify(&database, &table, setup, &mut recorder, &format!("{options:?}"))
}

#[test]
fn three_clients_of_a_database_see_one_order_of_what_happened() {
    explore(1_500, side_by_side);
}

#[test]
fn one_order_explains_what_three_clients_see_before_and_after_power_losses() {
    explore(1_500, through_power_losses);
}
