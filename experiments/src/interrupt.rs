//! Ctrl-C and SIGTERM: a flag that every loop looks at, so that the stack unwinds and folders are removed.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler. A second signal ends the process at once, for the case that a loop hangs.
pub(crate) fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|cause| Error::failed("cannot listen for Ctrl-C", cause))
}

/// Whether a signal came.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// An error once a signal came: for the seams between two pieces of work.
pub(crate) fn check() -> Result<()> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}
