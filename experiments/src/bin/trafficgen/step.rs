//! One step: traffic at one rate, or from a closed loop, for a while; and what came of it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use experiments::error::Result;
use experiments::interrupt;
use experiments::mix::Mix;

use crate::generator::Generator;
use crate::recorder::Recorder;
use crate::schedule::{Rates, Schedule};
use crate::timer::Timer;

/// Requests are released in bursts no closer than this: at high rates, waking up for each would cost more than
/// sending it.
const BURST: Duration = Duration::from_micros(200);
/// Signals, dead nodes and the display are looked at so often.
const LOOK: Duration = Duration::from_millis(50);
/// How long what was due in a step may take to be sent after its end.
const GRACE: Duration = Duration::from_secs(2);

/// Why a step ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its time was up.
    Time,
    /// Ctrl-C.
    Interrupted,
    /// No node answered any more.
    Gone,
}

/// What came of a step.
#[derive(Clone, Debug)]
pub(crate) struct StepOutcome {
    /// What was counted.
    pub(crate) recorder: Recorder,
    /// Requests a second that were due; in a closed loop the ones that were sent.
    pub(crate) offered: f64,
    /// From the begin to the end of the schedule or to the last answer, whichever came later.
    pub(crate) elapsed: Duration,
    /// This process's processor time.
    pub(crate) cpu: Duration,
    /// Why it ended.
    pub(crate) end: End,
}

impl StepOutcome {
    /// Requests a second that the nodes did.
    pub(crate) fn achieved(&self) -> f64 {
        self.recorder.total().done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// What a step's watcher is told.
pub(crate) type Watch<'a> = &'a dyn Fn(Duration, &Generator);

/// Requests on a schedule, for `duration` or until a signal.
///
/// # Errors
///
/// Where the ledger cannot be written or the timer cannot be started.
pub(crate) async fn open(
    generator: &Rc<Generator>,
    rates: Rates,
    duration: Option<Duration>,
    watch: Watch<'_>,
) -> Result<StepOutcome> {
    let timer = Timer::new()?;
    let mut schedule = Schedule::new(rates);
    let clock = Clock::start();
    let limit = duration.unwrap_or(Duration::MAX);
    let mut look = Duration::ZERO;
    let end = loop {
        let now = clock.begin.elapsed();
        while let Some((operation, due)) = schedule.take(now.min(limit)) {
            generator.push(operation, clock.begin + due);
        }
        if now >= limit {
            break End::Time;
        }
        if now >= look {
            look = now + LOOK;
            generator.flush_ledger()?;
            watch(now, generator);
            if let Some(end) = early_end(generator) {
                break end;
            }
        }
        let wake = schedule.next_due().unwrap_or(Duration::MAX).max(now + BURST).min(look).min(limit);
        timer.sleep(wake.saturating_sub(clock.begin.elapsed())).await?;
    };
    let window = clock.begin.elapsed().min(limit);
    settle(generator, if end == End::Time { GRACE } else { Duration::ZERO }).await?;
    let offered = schedule.released() as f64 / window.as_secs_f64().max(1e-9);
    Ok(clock.stop(generator, window, Some(offered), end))
}

/// Each connection sends its next request as soon as the last one was answered. Spawns the connections.
///
/// # Errors
///
/// As [`open`].
pub(crate) async fn closed(
    generator: &Rc<Generator>,
    mix: Mix,
    duration: Duration,
    watch: Watch<'_>,
) -> Result<StepOutcome> {
    let clock = Clock::start();
    generator.close_loop(mix, clock.begin + duration);
    generator.spawn();
    let end = loop {
        let now = clock.begin.elapsed();
        generator.flush_ledger()?;
        watch(now, generator);
        if now >= duration {
            break End::Time;
        }
        if let Some(end) = early_end(generator) {
            break end;
        }
        tokio::time::sleep(LOOK.min(duration - now)).await;
    };
    generator.open_loop();
    let window = clock.begin.elapsed().min(duration);
    settle(generator, Duration::ZERO).await?;
    Ok(clock.stop(generator, window, None, end))
}

fn early_end(generator: &Generator) -> Option<End> {
    match () {
        () if interrupt::requested() => Some(End::Interrupted),
        () if generator.is_gone() => Some(End::Gone),
        () => None,
    }
}

/// Lets what is queued be sent within `grace`, gives up the rest, and waits for what was sent: it is bounded by the
/// requests' own time-out.
async fn settle(generator: &Generator, grace: Duration) -> Result<()> {
    let begin = Instant::now();
    while !generator.is_idle() && begin.elapsed() < grace && !generator.is_gone() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    generator.abandon();
    while generator.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    generator.flush_ledger()
}

/// Wall clock and processor time since a step's begin.
struct Clock {
    begin: Instant,
    cpu: Duration,
}

impl Clock {
    fn start() -> Clock {
        Clock { begin: Instant::now(), cpu: cpu_time() }
    }

    fn stop(self, generator: &Generator, window: Duration, offered: Option<f64>, end: End) -> StepOutcome {
        let recorder = generator.take();
        let last = recorder.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(self.begin));
        let elapsed = window.max(last);
        let sent = recorder.total().all() as f64 / elapsed.as_secs_f64().max(1e-9);
        let cpu = cpu_time().saturating_sub(self.cpu);
        StepOutcome { recorder, offered: offered.unwrap_or(sent), elapsed, cpu, end }
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
