//! A simulator of crashes and faults: one seed is one life of a small database on a disk that fails.
//!
//! A simulation opens the database, lets random operations run, and has something go wrong at a random call: the
//! power fails, a call fails, the disk is full. Then the database is opened again, on what the disk has kept, and
//! must be one that the operations explain ([`expected`](self) says which those are). What goes wrong may do so in
//! the middle of a recovery as well. Then everything begins anew, on the same disk.
//!
//! ```text
//!          ┌──────────────────────────────────────────────────────────────┐
//!          v                                                              │
//! plan -> open -> settle: what is there? -> operations -> outage -> verify (on the disk, or on a copy)
//!           └──────────── anything may fail here ───────────┘
//! ```
//!
//! What is demanded at every crash point:
//!
//! - In each log the operations found are a prefix of those that were applied, with all of those that were
//!   acknowledged; also with those that a read has shown or a checkpoint, a flush or a count has promised.
//!   A batch is there whole or not at all, partition by partition.
//! - An operation that answers with an error has changed nothing; nothing fails before something went wrong.
//! - `count` is exact, scans in both directions agree, and the verifier finds nothing.
//! - The files stay as small as what is in them: no page and no segment is lost to a crash.
//!
//! Everything is drawn from [`Decisions`], and one thread does it all, so a seed repeats its simulation call by
//! call. That takes a process in which nothing else happens, with `RAYON_NUM_THREADS=1`: the epochs that say when
//! a page is used again are the process's, and recovery replays partitions side by side. The program `simulate`
//! runs its simulations in such processes.

mod decisions;
mod expected;
mod figures;
mod setup;
mod trouble;
mod verify;
mod workload;

use std::sync::Arc;

use tree::Engine;
use wal::FaultyStorage;

pub use decisions::Decisions;
pub use figures::Figures;

use setup::{Setup, Tiny};
use trouble::Trouble;
use verify::Expected;

/// How long a simulation is, and what of it is fixed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The engine; drawn where there is none.
    pub engine: Option<Engine>,
    /// How many crash points a simulation has, unless its decisions end before.
    pub crash_points: u64,
    /// Has the disk report syncs that it has not done, and then lose power. No database stands that: it shows that
    /// the simulator sees a loss.
    pub lying_disk: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { engine: None, crash_points: 50, lying_disk: false }
    }
}

/// Something that must not happen, in words.
#[derive(Clone, Debug)]
pub struct Violation(String);

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// One life of a database.
#[derive(Debug)]
pub struct Simulation<'d> {
    decisions: &'d mut Decisions,
    settings: Settings,
    setup: Setup,
    disk: FaultyStorage,
    /// What is planned for the disk, or has just happened.
    trouble: Option<Trouble>,
    /// It has happened while the database was being opened.
    in_recovery: bool,
    expected: Expected,
    figures: Figures,
    /// Makes every value another one.
    values: u64,
    /// Whether the last batch has failed, so that nobody knows which partitions have it.
    in_doubt: bool,
}

impl Simulation<'_> {
    /// Runs a simulation to its end.
    ///
    /// # Errors
    /// The database has lost something, has invented something, or has failed for no reason.
    pub fn run(decisions: &mut Decisions, settings: &Settings) -> Result<Figures, Violation> {
        let setup = Setup::draw(decisions, settings.engine);
        let disk = FaultyStorage::new(decisions.below(1 << 32));
        let mut simulation = Simulation {
            expected: Expected::new(&setup),
            decisions,
            settings: settings.clone(),
            setup,
            disk,
            trouble: None,
            in_recovery: false,
            figures: Figures::default(),
            values: 0,
            in_doubt: false,
        };
        let ended = simulation.live();
        let explain = |Violation(what)| {
            let Simulation { setup, figures, trouble, .. } = &simulation;
            let at = figures.crash_points();
            Violation(format!("{what}\n  behind crash point {at}, with {trouble:?}, of {setup:?}"))
        };
        ended.map_err(explain)?;
        Ok(simulation.figures)
    }

    fn live(&mut self) -> Result<(), Violation> {
        while self.figures.crash_points() < self.settings.crash_points && !self.decisions.exhausted() {
            self.open_and_run()?;
            self.outage()?;
        }
        Ok(())
    }

    /// Opens the database, has operations run, and leaves it, in whichever state it is.
    fn open_and_run(&mut self) -> Result<(), Violation> {
        let late = self.trouble.is_none() && !self.decisions.one_in(3);
        if !late {
            self.plan();
        }
        let Some(database) = self.open()? else {
            self.in_recovery = true;
            return Ok(());
        };
        if late {
            self.plan();
        }
        self.in_recovery = self.has_happened();
        self.work(&database)?;
        // A power loss leaves no time to close anything; a fault may hit that, too.
        if !self.disk.is_off() && self.decisions.one_in(3) {
            let closed = database.close();
            if self.tolerate(closed)?.is_some() && !self.in_doubt {
                self.expected.acknowledge_all();
                self.figures.count("clean closes", 1);
            }
        }
        Ok(())
    }

    /// Opens the database and compares it with what is expected; `None` where trouble prevents that.
    fn open(&mut self) -> Result<Option<Tiny>, Violation> {
        let opened = Tiny::open_on(Arc::new(self.disk.clone()), self.setup.options.clone());
        let Some(database) = self.tolerate(opened)? else { return Ok(None) };
        let settled = self.expected.settle(&database, &self.setup)?;
        let settled = self.tolerate(settled)?;
        self.figures.count("recoveries", 1);
        Ok(settled.map(|()| database))
    }

    fn plan(&mut self) {
        if self.trouble.is_none() {
            let trouble = match self.settings.lying_disk {
                true => Trouble::lie(self.decisions),
                false => Trouble::draw(self.decisions),
            };
            trouble.plan(&self.disk);
            self.trouble = Some(trouble);
        }
    }

    /// The answer, or `None` where it is an error that the trouble explains.
    fn tolerate<T>(&self, answer: tree::Result<T>) -> Result<Option<T>, Violation> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(_) if self.has_happened() => Ok(None),
            Err(error) => Err(Violation(format!("an error although nothing has gone wrong yet: {error}"))),
        }
    }

    fn has_happened(&self) -> bool {
        self.trouble.is_some_and(|trouble| trouble.has_happened(&self.disk))
    }

    /// The machine or the process stops. Where something had gone wrong, what is left is verified.
    fn outage(&mut self) -> Result<(), Violation> {
        self.in_doubt = false;
        let happened = self.has_happened();
        let power_loss = self.disk.is_off() || self.settings.lying_disk || self.decisions.one_in(3);
        if power_loss {
            self.disk = self.disk.crash();
            self.disk.capacity(u64::MAX);
        }
        // What has not happened may do so in the recovery.
        if happened || power_loss || self.decisions.one_in(2) {
            self.disk.heal();
            let place = if self.in_recovery { ", in recovery" } else { "" };
            let kind = match self.trouble.filter(|_| happened) {
                Some(trouble) => Some(format!("{}{place}", trouble.kind())),
                None => power_loss.then(|| "power loss between calls".to_string()),
            };
            if let Some(kind) = kind {
                self.verify()?;
                self.figures.crash_point(&kind);
            }
            self.trouble = None;
        }
        self.figures.count("restarts", 1);
        Ok(())
    }
}

/// Runs one short simulation with the decisions that these bytes make: for fuzzers.
///
/// # Panics
/// If there is a violation.
pub fn fuzz(bytes: &[u8]) {
    let settings = Settings { crash_points: 8, ..Settings::default() };
    if let Err(violation) = Simulation::run(&mut Decisions::from_bytes(bytes), &settings) {
        panic!("{violation}");
    }
}
