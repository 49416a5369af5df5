//! A timer that is exact to some tens of microseconds: the runtime's own ticks once a millisecond, and a request that
//! is released a millisecond late looks a millisecond slower than it was.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use experiments::error::{Error, Result};
use tokio::sync::Notify;

/// A thread that sleeps on behalf of the runtime, as exactly as the kernel can. It ends with the timer.
#[derive(Debug)]
pub(crate) struct Timer {
    spans: Sender<Duration>,
    rang: Arc<Notify>,
}

impl Timer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Where the system has no thread to give.
    pub(crate) fn new() -> Result<Timer> {
        let (spans, asked) = channel::<Duration>();
        let rang = Arc::new(Notify::new());
        let bell = Arc::clone(&rang);
        let sleeper = move || {
            for span in asked {
                thread::sleep(span);
                bell.notify_one();
            }
        };
        thread::Builder::new()
            .name("timer".to_string())
            .spawn(sleeper)
            .map_err(|cause| Error::failed("cannot start the timer's thread", cause))?;
        Ok(Timer { spans, rang })
    }

    /// Waits for `span`. A wait that is given up leaves its ring to the next one: await it to its end.
    ///
    /// # Errors
    ///
    /// Where the thread has gone.
    pub(crate) async fn sleep(&self, span: Duration) -> Result<()> {
        self.spans.send(span).map_err(|cause| Error::failed("the timer's thread has gone", cause))?;
        self.rang.notified().await;
        Ok(())
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn short_sleeps_are_not_rounded_up_to_a_millisecond() {
        let timer = Timer::new().unwrap();
        timer.sleep(Duration::ZERO).await.unwrap();
        let mut spans = Vec::new();
        for _ in 0..100 {
            let start = Instant::now();
            timer.sleep(Duration::from_micros(200)).await.unwrap();
            spans.push(start.elapsed());
        }
        spans.sort();
        assert!(spans[0] >= Duration::from_micros(200), "{spans:?}");
        assert!(spans[10] < Duration::from_micros(1_000), "{spans:?}");
    }
}
