//! Ctrl-C and SIGTERM: a flag that every loop looks at, so that the stack unwinds and folders are removed.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Shells and `timeout` send one signal twice, to the process and to its group: only a later one is a second.
const SAME_SIGNAL: Duration = Duration::from_secs(2);

static REQUESTED: OnceLock<Instant> = OnceLock::new();

/// Installs the handler. A second signal ends the process at once, for the case that a loop hangs.
pub fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.get_or_init(Instant::now).elapsed() > SAME_SIGNAL {
            std::process::exit(130);
        }
    })
    .map_err(|cause| Error::failed("cannot listen for Ctrl-C", cause))
}

/// Whether a signal came.
pub fn requested() -> bool {
    REQUESTED.get().is_some()
}

/// An error once a signal came: for the seams between two pieces of work.
pub fn check() -> Result<()> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}
