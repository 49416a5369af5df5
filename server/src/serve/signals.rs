//! The first signal stops the node in order; the second one at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// What a shell calls a process that a signal ended.
const INTERRUPTED: i32 = 130;

/// Cancels `stopping` at the first SIGTERM or SIGINT. The second one ends the process: what was acknowledged is in
/// the log all the same.
///
/// # Errors
/// The signals cannot be caught.
///
/// # Panics
/// Outside of a runtime.
pub fn stop_on_signals(stopping: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        info!("{name}: stopping; a second signal ends the node at once");
        stopping.cancel();
        let name = next().await;
        eprintln!("hedgehogdb: {name} again: ended at once; what was acknowledged is in the log");
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}
