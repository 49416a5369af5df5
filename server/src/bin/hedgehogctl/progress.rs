//! The progress bar of a transfer, on stderr: only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

const KNOWN: &str = "{msg} [{bar:30}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta_precise} left";
const UNKNOWN: &str = "{msg} {spinner} {bytes}, {bytes_per_sec}";

/// A bar over the bytes of a transfer, or a counter where their number is not known.
pub(crate) fn bar(total: Option<u64>, message: impl Into<String>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), KNOWN),
        None => (ProgressBar::no_length(), UNKNOWN),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(message.into())
}
