//! The process as the kernel sees it, by the names that Prometheus' own clients use.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks a second of the times in `/proc`: part of the kernel's interface, whatever its timer's frequency.
const TICKS_PER_SECOND: f64 = 100.0;

/// Figures of this process, read at every scrape. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(cpu_s) = cpu_s() {
            let help = "User and system time of the processors, in seconds.";
            let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(cpu_s).encode(metric)?;
        }
        let gauges = [
            ("process_resident_memory_bytes", "Memory in RAM.", resident_bytes()),
            ("process_open_fds", "Open file descriptors.", open_fds()),
            ("process_start_time_seconds", "When the process began, in seconds since 1970.", start_time_s()),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

fn cpu_s() -> Option<f64> {
    Some((stat_field(14)? + stat_field(15)?) / TICKS_PER_SECOND)
}

fn start_time_s() -> Option<f64> {
    let booted = fs::read_to_string("/proc/stat").ok()?;
    let booted_s: f64 = booted.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(booted_s + stat_field(22)? / TICKS_PER_SECOND)
}

/// A field of `/proc/self/stat`, numbered as in its manual page. The second may hold spaces, but no `)` behind its own.
fn stat_field(number: usize) -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number.checked_sub(3)?)?.parse().ok()
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kibibytes.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
}

fn open_fds() -> Option<f64> {
    // One of them is the folder being read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn figures_of_this_process_are_plausible() {
        let memory = vec![1_u8; 64 << 20];
        assert!(resident_bytes().unwrap() > memory.len() as f64);
        assert!(open_fds().unwrap() >= 3.0);
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age_s = now_s - start_time_s().unwrap();
        assert!((-2.0..3600.0).contains(&age_s), "{age_s} s old");
    }

    #[test]
    fn processor_time_is_in_seconds() {
        let (began, before_s) = (Instant::now(), cpu_s().unwrap());
        while cpu_s().unwrap() - before_s < 0.2 {
            assert!(began.elapsed().as_secs() < 60, "60 s of work are less than 0.2 s of processor time");
        }
        let most_s =
            began.elapsed().as_secs_f64() * std::thread::available_parallelism().unwrap().get() as f64;
        assert!(cpu_s().unwrap() - before_s <= most_s + 0.1);
    }
}
