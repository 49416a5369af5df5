//! A trial: one database from its first byte to the read-back after it was closed, checked and opened again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tree::{Database, Wait};
use wal::{DelayedStorage, DirStorage};

use crate::data_folder::DataFolder;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ledger::{Acknowledged, Ledger};
use crate::phase::{self, Acknowledge, Choice, Phase};
use crate::preset::Variant;
use crate::progress::Progress;
use crate::recorder::PhaseOutcome;
use crate::settings::Settings;
use crate::traffic::Table;

const LOADERS: u64 = 2;

/// What every trial of a command does.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Workload {
    /// Keys loaded before the phases, over all tables; loading is not measured.
    pub(crate) keys: u64,
    /// Part of the first phase, run before it and not measured: a fresh database makes its first log segments.
    pub(crate) warm_up: Option<Phase>,
    /// The measured phases, one after the other.
    pub(crate) phases: Vec<Phase>,
    /// How keys are chosen.
    pub(crate) choice: Choice,
}

impl Workload {
    /// With a tenth of the first phase as warm-up.
    pub(crate) fn new(keys: u64, phases: Vec<Phase>, choice: Choice) -> Workload {
        let warm_up = phases.first().map(|first| Phase {
            name: "warm-up",
            seconds: first.seconds / 10.0,
            max_operations: first.max_operations.map(|limit| limit / 10),
            ..first.clone()
        });
        Workload { keys, warm_up, phases, choice }
    }
}

/// What a trial measured and found.
#[derive(Clone, Debug)]
pub(crate) struct TrialOutcome {
    /// The phases.
    pub(crate) phases: Vec<PhaseOutcome>,
    /// Keys whose last acknowledged document was read back.
    pub(crate) keys_verified: u64,
    /// Acknowledged writes that were missing or wrong.
    pub(crate) missing: u64,
    /// What the check or the read-back found wrong, in words.
    pub(crate) faults: Vec<String>,
}

/// Runs `workload` for one variant with `writers` threads in a fresh database.
pub(crate) fn run(
    variant: &Variant,
    writers: usize,
    workload: &Workload,
    folder: &DataFolder,
    progress: &Progress,
) -> Result<TrialOutcome> {
    let named = |cause| Error::failed(format!("{}, {writers} writers", variant.label), cause);
    let home = folder.database()?;
    let mut ledger = Ledger::default();
    if workload.keys > 0 {
        progress.note("loading");
        preload(home.path(), &variant.settings, workload.keys, &mut ledger).map_err(prefixed(&named))?;
    }
    let database = open(home.path(), &variant.settings)?;
    if workload.keys > 0 {
        warm(&database).map_err(prefixed(&named))?;
    }
    let acknowledge = if variant.settings.sync { Acknowledge::Durable } else { Acknowledge::Applied };
    let mut measure = |phase: &Phase, part: &dyn Fn(f64)| {
        progress.note(phase.name);
        phase::run(&database, phase, workload.choice, acknowledge, writers, &mut ledger, part)
            .map_err(prefixed(&named))
    };
    if let Some(warm_up) = &workload.warm_up {
        measure(warm_up, &|_| ())?;
    }
    let mut phases = Vec::new();
    for (position, phase) in workload.phases.iter().enumerate() {
        let part =
            |fraction: f64| progress.fraction((position as f64 + fraction) / workload.phases.len() as f64);
        phases.push(measure(phase, &part)?);
    }
    progress.note("checking");
    database.close().map_err(|cause| named(cause.to_string()))?;
    let mut faults = check(home.path(), &variant.label, writers)?;
    interrupt::check()?;
    let database = open(home.path(), &variant.settings)?;
    let found = ledger.read_back(&database).map_err(prefixed(&named))?;
    database.close().map_err(|cause| named(cause.to_string()))?;
    faults.extend(found.fault().map(|fault| format!("{}, {writers} writers: {fault}", variant.label)));
    Ok(TrialOutcome { phases, keys_verified: found.keys, missing: found.missing + found.wrong, faults })
}

/// Names the trial in front of a failure's own words, and leaves an interrupt what it is.
fn prefixed(named: &dyn Fn(String) -> Error) -> impl Fn(Error) -> Error {
    move |cause| match cause {
        Error::Interrupted => Error::Interrupted,
        cause => named(cause.to_string()),
    }
}

/// Opens a database with a variant's settings, over slowed storage where they ask for it.
pub(crate) fn open(path: &Path, settings: &Settings) -> Result<Database> {
    let failed =
        |cause: String| Error::failed(format!("cannot open a database in {}", path.display()), cause);
    if settings.sync_delay_us == 0 {
        return Database::open(path, settings.options()).map_err(|cause| failed(cause.to_string()));
    }
    let directory = DirStorage::open(path).map_err(|cause| failed(cause.to_string()))?;
    let delay = Duration::from_micros(settings.sync_delay_us);
    let storage = Arc::new(DelayedStorage::new(Arc::new(directory), delay));
    Database::open_on(storage, settings.options()).map_err(|cause| failed(cause.to_string()))
}

/// The verifier over a closed database; its findings in words.
pub(crate) fn check(path: &Path, label: &str, writers: usize) -> Result<Vec<String>> {
    let report = tree::check::check(path)
        .map_err(|cause| Error::failed(format!("check of {label}, {writers} writers"), cause))?;
    if report.is_clean() {
        return Ok(Vec::new());
    }
    let findings = report.to_string().replace('\n', "; ");
    Ok(vec![format!("{label}, {writers} writers: the check found problems: {findings}")])
}

/// Loads `keys` documents over the three tables without waiting for each commit, whatever the settings say of
/// waiting: a load that is not measured must not take hours for a preset that is slow. Closing makes it durable.
pub(crate) fn preload(path: &Path, settings: &Settings, keys: u64, ledger: &mut Ledger) -> Result<()> {
    let loading = Settings {
        wait: Wait::AfterRelease,
        commit: wal::CommitPolicy::Greedy,
        page_images: false,
        sync_delay_us: 0,
        ..settings.clone()
    };
    let database = open(path, &loading)?;
    let tables = phase::open_tables(&database)?;
    let per_table = keys.div_ceil(Table::ALL.len() as u64);
    std::thread::scope(|scope| {
        let tables = &tables;
        let loaders: Vec<_> =
            (0..LOADERS).map(|loader| scope.spawn(move || load(tables, per_table, loader))).collect();
        loaders.into_iter().try_for_each(|loader| {
            loader.join().map_err(|_| Error::Failed("a loader panicked".to_string()))?
        })
    })?;
    database.close().map_err(|cause| Error::failed("cannot close the loaded database", cause))?;
    for table in Table::ALL {
        for index in 0..per_table {
            ledger.enter(&[Acknowledged::put(table, index, 0)]);
        }
    }
    Ok(())
}

/// Reads everything once, so that the phases begin with a pool as full as it gets.
fn warm(database: &Database) -> Result<()> {
    for table in &phase::open_tables(database)? {
        for item in table.scan(..) {
            interrupt::check()?;
            item.map_err(|cause| Error::failed("cannot read the loaded keys", cause))?;
        }
    }
    Ok(())
}

fn load(tables: &[tree::Table; 3], per_table: u64, loader: u64) -> Result<()> {
    let (mut key, mut document) = (Vec::new(), Vec::new());
    let mut last = None;
    for index in (loader..per_table).step_by(LOADERS as usize) {
        for table in Table::ALL {
            table.write_key(index, &mut key);
            table.write_document(index, 0, &mut document);
            let commit = tables[table as usize].put(&key, &document);
            last = Some(commit.map_err(|cause| Error::failed("cannot load the keys", cause))?);
        }
        if index % 1_024 == loader {
            interrupt::check()?;
        }
    }
    last.map_or(Ok(()), |commit| commit.wait().map_err(|cause| Error::failed("cannot load the keys", cause)))
}
