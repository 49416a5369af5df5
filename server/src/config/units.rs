//! Sizes and times as people write them: `64MiB`, `1048576`, `30s`, `500ms`.

use std::fmt::Display;
use std::time::Duration;

use serde::Serializer;

/// Parses `1048576`, `64KiB`, `64MiB` or `1GiB` into bytes.
///
/// # Errors
/// What it should look like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size: write 1048576, 64KiB, 64MiB or 1GiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(factor).filter(|&bytes| bytes <= i64::MAX as u64).ok_or_else(bad)
}

/// Parses `500ms`, `30s` or `5m`.
///
/// # Errors
/// What it should look like.
pub fn parse_period(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a time from 1ms to 24h: write 500ms, 30s, 5m or 1h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let factor_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    let ms = number.checked_mul(factor_ms).filter(|ms| (1..=24 * 3_600_000).contains(ms)).ok_or_else(bad)?;
    Ok(Duration::from_millis(ms))
}

/// `64MiB`: what [`parse_size`] reads.
pub fn size_text(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// `30s`: what [`parse_period`] reads.
pub fn period_text(period: Duration) -> String {
    let ms = period.as_millis();
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// `1,234,567`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn as_size<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&size_text(*bytes))
}

pub(super) fn as_period<S: Serializer>(period: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&period_text(*period))
}

pub(super) fn as_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_what_they_print() {
        for bytes in [0, 1, 4096, 1 << 20, (1 << 20) + 1, 3 << 30] {
            assert_eq!(parse_size(&size_text(bytes)), Ok(bytes));
        }
        for ms in [1, 999, 1_000, 1_500, 60_000] {
            assert_eq!(parse_period(&period_text(Duration::from_millis(ms))), Ok(Duration::from_millis(ms)));
        }
        assert_eq!(parse_period("5m"), Ok(Duration::from_secs(300)));
    }

    #[test]
    fn what_is_no_size_or_time_is_refused() {
        for text in ["", "MiB", "-1", "64MB", "1.5GiB", "99999999999999GiB", "99999999999999999999"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["", "0", "0s", "30", "s", "-1s", "25h", "30 s", "18446744073709551615h"] {
            assert!(parse_period(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
