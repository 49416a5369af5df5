//! Sizes and times as people write them: `64MiB`, `2ms`, `1,234`, `85 us`.

use std::time::Duration;

/// Parses `1048576`, `64KiB`, `64MiB` or `1GiB` into bytes.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("`{text}` is not a size: write 1048576, 64KiB, 64MiB or 1GiB")),
    };
    let number: usize =
        number.parse().map_err(|_| format!("`{text}` is not a size: write 1048576, 64KiB, 64MiB or 1GiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is more than this machine can address"))
}

/// Parses `500us`, `2ms`, `1.5s`, `2m`, `1h` and sums of them as `1m30s`; `0` alone needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time: write 500us, 2ms, 1s, 1m30s or 0");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (value, units) = rest.split_at(number);
        let end = units.find(|c: char| c.is_ascii_digit()).unwrap_or(units.len());
        let factor = match &units[..end] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(bad()),
        };
        seconds += value.parse::<f64>().map_err(|_| bad())? * factor;
        rest = &units[end..];
    }
    // To the microsecond: a fraction in binary must not become 1.999999 ms.
    let micros = (seconds * 1e6).round();
    if text.is_empty() || micros > 1e15 {
        return Err(bad());
    }
    Ok(Duration::from_micros(micros as u64))
}

/// `0us`, `500us`, `2ms`: the inverse of [`parse_duration`].
pub fn duration_text(micros: u64) -> String {
    if micros != 0 && micros.is_multiple_of(1_000) {
        format!("{}ms", micros / 1_000)
    } else {
        format!("{micros}us")
    }
}

/// `1,234,567`: a count, or a rate without its fraction.
pub fn thousands(value: f64) -> String {
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

/// `850`, `8.93k`, `93.1k`, `1.24M`: a rate in few letters.
pub fn compact(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v < 1e3 => return format!("{v:.0}"),
        v if v < 1e6 => (v / 1e3, "k"),
        v => (v / 1e6, "M"),
    };
    let decimals = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    format!("{scaled:.decimals$}{unit}")
}

/// `0.8 us`, `85 us`, `2.31 ms`, `57.3 ms`, `1.20 s`: three digits are enough to compare latencies.
pub fn latency(micros: f64) -> String {
    match micros {
        v if v < 10.0 => format!("{v:.1} us"),
        v if v < 1_000.0 => format!("{v:.0} us"),
        v if v < 10_000.0 => format!("{:.2} ms", v / 1e3),
        v if v < 100_000.0 => format!("{:.1} ms", v / 1e3),
        v if v < 1_000_000.0 => format!("{:.0} ms", v / 1e3),
        v => format!("{:.2} s", v / 1e6),
    }
}

/// `0.013x`, `0.62x`, `4.20x`, `31.0x`, `120x`: a ratio with about three digits.
pub fn ratio(value: f64) -> String {
    match value {
        v if v < 0.1 => format!("{v:.3}x"),
        v if v < 10.0 => format!("{v:.2}x"),
        v if v < 100.0 => format!("{v:.1}x"),
        v => format!("{v:.0}x"),
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_units_and_nothing_else() {
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert!(parse_bytes("64MB").is_err());
        assert!(parse_bytes("MiB").is_err());
        assert!(parse_bytes("-1").is_err());
        assert!(parse_bytes("99999999999999GiB").is_err());
    }

    #[test]
    fn times_need_a_unit_unless_they_are_zero() {
        assert_eq!(parse_duration("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert!(parse_duration("2").is_err());
        assert!(parse_duration("2 minutes").is_err());
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
        for bad in ["", "s", ".s", "1.2.3s", "-1s", "1s2", "1d", "99999999999999h", "1µs"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(duration_text(2_000), "2ms");
        assert_eq!(duration_text(50), "50us");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(thousands(0.0), "0");
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!([850.0, 8_934.0, 93_140.0, 1_240_000.0].map(compact), ["850", "8.93k", "93.1k", "1.24M"]);
    }
}
