//! The settings of a log.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::segment;
use crate::{Error, record};

/// The settings of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The size of a segment file in bytes: a multiple of 4096, at least 8192, for good from the log's
    /// creation on.
    pub segment_bytes: u64,
    /// A soft limit of the records that wait in memory, in bytes: past it [`Log::admit`](crate::Log::admit)
    /// waits for a flush.
    pub buffer_bytes: usize,
    /// The log's size limit in bytes: past it (and one buffer more, for operations that were let in before)
    /// appends fail with [`Error::Full`].
    pub max_bytes: u64,
    /// How long the leader of a group commit waits for company.
    pub commit: CommitPolicy,
    /// Whether a flush syncs. Where `false`, nothing is ever durable; LSNs only say "written".
    pub sync: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 16 << 20,
            buffer_bytes: 4 << 20,
            max_bytes: 1 << 30,
            commit: CommitPolicy::Greedy,
            sync: true,
        }
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let wrong = |reason: String| Err(Error::Options { reason });
        let bytes = self.segment_bytes;
        if !bytes.is_multiple_of(segment::HEADER_BYTES)
            || !(2 * segment::HEADER_BYTES..=1 << 30).contains(&bytes)
        {
            return wrong(format!(
                "segment_bytes is {bytes}; it must be a multiple of {} between 8192 and 1 GiB",
                segment::HEADER_BYTES
            ));
        }
        if self.max_bytes < bytes {
            return wrong(format!("max_bytes is {}, less than segment_bytes, {bytes}", self.max_bytes));
        }
        if self.buffer_bytes < record::HEADER_BYTES {
            return wrong(format!("buffer_bytes is {}, less than one record", self.buffer_bytes));
        }
        Ok(())
    }
}

/// How long the leader of a group commit waits for company before it syncs.
///
/// Written and parsed as `window:2ms`, `immediate:50us` and `greedy`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum CommitPolicy {
    /// Every group collects for this long (the classic group commit timer).
    Window(Duration),
    /// A lone commit waits this long for a second one, then syncs. The wait is spent yielding the
    /// processor, because a kernel timer is no more exact than 50 µs: keep it short.
    Immediate(Duration),
    /// No timer: who finds a flush under way joins the next one. The group that a flush has just served is
    /// given a moment (at most 100 µs) to come back, so that writers do not split into two alternating
    /// halves; a lone commit never waits.
    Greedy,
}

impl fmt::Display for CommitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |d: &Duration| match d.as_micros() {
            us if us % 1000 == 0 => format!("{}ms", us / 1000),
            us => format!("{us}us"),
        };
        match self {
            CommitPolicy::Window(d) => write!(f, "window:{}", micros(d)),
            CommitPolicy::Immediate(d) => write!(f, "immediate:{}", micros(d)),
            CommitPolicy::Greedy => f.write_str("greedy"),
        }
    }
}

impl FromStr for CommitPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<CommitPolicy, Error> {
        let parsed = match text.split_once(':') {
            None if text == "greedy" => Some(CommitPolicy::Greedy),
            Some(("window", d)) => duration(d).map(CommitPolicy::Window),
            Some(("immediate", d)) => duration(d).map(CommitPolicy::Immediate),
            _ => None,
        };
        parsed.ok_or_else(|| Error::Options {
            reason: format!(
                "the commit policy {text:?} is none of \"window:2ms\", \"immediate:50us\", \"greedy\" \
                 (a duration is a whole number of us, ms or s, at most 10 s)"
            ),
        })
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u64 = digits.parse().ok()?;
    let unit_us = match &text[digits.len()..] {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return None,
    };
    let us = count.checked_mul(unit_us)?;
    (us <= 10_000_000).then(|| Duration::from_micros(us))
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_back_as_it_was_written() {
        for text in ["window:2ms", "immediate:50us", "greedy", "window:2500us", "window:0ms"] {
            let policy: CommitPolicy = text.parse().unwrap();
            assert_eq!(policy.to_string(), text);
        }
        assert_eq!("window:2s".parse::<CommitPolicy>().unwrap().to_string(), "window:2000ms");
    }

    #[test]
    fn a_policy_that_is_none_is_refused_with_the_forms() {
        for text in ["", "Greedy", "window", "window:", "window:2", "window:-1ms", "greedy:1ms", "window:11s"]
        {
            let error = text.parse::<CommitPolicy>().unwrap_err().to_string();
            assert!(error.contains("immediate:50us"), "{error}");
        }
        assert!("window:99999999999999999999s".parse::<CommitPolicy>().is_err());
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let ok = Options::default();
        ok.validate().unwrap();
        for bad in [
            Options { segment_bytes: 0, ..ok.clone() },
            Options { segment_bytes: 4096, ..ok.clone() },
            Options { segment_bytes: 10_000, ..ok.clone() },
            Options { max_bytes: 4096, ..ok.clone() },
            Options { buffer_bytes: 0, ..ok.clone() },
        ] {
            assert!(matches!(bad.validate(), Err(Error::Options { .. })));
        }
    }
}
