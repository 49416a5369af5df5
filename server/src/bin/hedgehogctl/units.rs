//! Counts, bytes and times as people read them.

use std::time::Duration;

/// `1,234,567`: a count, or a rate without its fraction.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234` or `0.8`: a rate, with its fraction where that is all there is of it.
pub(crate) fn rate(value: f64) -> String {
    if value > 0.0 && value < 9.95 { format!("{value:.1}") } else { thousands(value) }
}

/// `640 B`, `12.3 KiB`, `1.05 MiB`.
pub(crate) fn bytes(value: f64) -> String {
    match value {
        v if v < 1024.0 => format!("{v:.0} B"),
        v if v < 1024.0 * 1024.0 => format!("{:.1} KiB", v / 1024.0),
        v if v < 1024.0 * 1024.0 * 1024.0 => format!("{:.2} MiB", v / 1024.0 / 1024.0),
        v => format!("{:.2} GiB", v / 1024.0 / 1024.0 / 1024.0),
    }
}

/// `0.085`, `2.31`, `57.3`, `1,200`: milliseconds with about three digits.
pub(crate) fn millis(value: f64) -> String {
    match value {
        v if v <= 0.0 => "0".to_string(),
        v if v < 1.0 => format!("{v:.3}"),
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => thousands(v),
    }
}

/// `12 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Parses `500ms`, `2s`, `1m` or plain seconds, `2` or `0.5`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        _ => f64::NAN,
    };
    let seconds = number.parse::<f64>().unwrap_or(f64::NAN) * factor;
    if !(seconds > 0.0 && seconds <= 86_400.0) {
        return Err(format!("`{text}` is not a time: write 500ms, 2s or 1m, up to a day"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_about_three_digits() {
        assert_eq!([0.0, 0.84, 9.96, 1_234_567.0].map(rate), ["0", "0.8", "10", "1,234,567"]);
        assert_eq!([0.0, 0.0853, 2.314, 57.31, 1_200.0].map(millis), ["0", "0.085", "2.31", "57.3", "1,200"]);
        assert_eq!([640.0, 12_595.0, 1_101_005.0].map(bytes), ["640 B", "12.3 KiB", "1.05 MiB"]);
        assert_eq!(span(Duration::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn times_are_positive_and_have_a_known_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2"), Ok(Duration::from_secs(2)));
        for bad in ["", "0", "-1", "2h", "1.2.3", "99999999999m", "s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
