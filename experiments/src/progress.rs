//! The progress bar, on stderr: only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

const STEPS_PER_TRIAL: u64 = 1_000;

/// Progress over the trials of a command.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    trial: std::cell::RefCell<(u64, String)>,
}

impl Progress {
    /// A bar over `trials` of about equal length.
    pub(crate) fn new(trials: usize) -> Progress {
        let bar = ProgressBar::new(trials as u64 * STEPS_PER_TRIAL);
        let template = "{wide_msg} {percent:>3}% [{bar:30}] {elapsed_precise}, {eta_precise} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress { bar, trial: std::cell::RefCell::new((0, String::new())) }
    }

    /// The next trial begins.
    pub(crate) fn begin(&self, label: impl Into<String>) {
        let mut trial = self.trial.borrow_mut();
        trial.1 = label.into();
        self.bar.set_message(trial.1.clone());
        self.bar.set_position(trial.0 * STEPS_PER_TRIAL);
        trial.0 += 1;
    }

    /// What the trial is doing now.
    pub(crate) fn note(&self, what: &str) {
        self.bar.set_message(format!("{}: {what}", self.trial.borrow().1));
    }

    /// How much of the trial is done, 0 to 1.
    pub(crate) fn fraction(&self, done: f64) {
        let begun = self.trial.borrow().0.saturating_sub(1);
        let part = (done.clamp(0.0, 1.0) * STEPS_PER_TRIAL as f64) as u64;
        self.bar.set_position(begun * STEPS_PER_TRIAL + part);
    }

    /// All done: the bar disappears.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
