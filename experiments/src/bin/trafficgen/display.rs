//! What a run says while it goes on, on stderr: a bar on a terminal, and a line a step.

use std::cell::Cell;
use std::time::Duration;

use experiments::latency::percentile_us;
use experiments::units::{latency, thousands};
use indicatif::{ProgressBar, ProgressStyle};

use crate::generator::Generator;

/// The bar's figures are counted anew so often.
const REFRESH: Duration = Duration::from_millis(500);

/// The bar of one step.
#[derive(Debug)]
pub(crate) struct Display {
    bar: ProgressBar,
    label: String,
    length: Option<Duration>,
    last: Cell<(Duration, u64)>,
}

impl Display {
    /// For a step of `length`, or one without an end.
    pub(crate) fn new(label: String, length: Option<Duration>) -> Display {
        let template = "{wide_msg} [{bar:20}] {elapsed_precise}";
        let bar = ProgressBar::new(length.map_or(1, |length| length.as_millis().max(1) as u64));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label.clone());
        Display { bar, label, length, last: Cell::new((Duration::ZERO, 0)) }
    }

    /// Shows how far the step is.
    pub(crate) fn show(&self, now: Duration, generator: &Generator) {
        if self.length.is_some() {
            self.bar.set_position(now.as_millis() as u64);
        }
        let (last, before) = self.last.get();
        if self.bar.is_hidden() || now - last < REFRESH {
            return;
        }
        let total = generator.peek(|recorder| recorder.total());
        self.last.set((now, total.done));
        let rate = total.done.saturating_sub(before) as f64 / (now - last).as_secs_f64();
        let mut message = format!(
            "{}: {}/s, p95 {}",
            self.label,
            thousands(rate),
            latency(percentile_us(&total.latency, 0.95))
        );
        for (count, what) in [(total.failed, "failed"), (total.timeouts, "timed out"), (total.shed, "shed")] {
            if count > 0 {
                message += &format!(", {} {what}", thousands(count as f64));
            }
        }
        self.bar.set_message(message);
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
