use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wal::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let secs: f64 = a[2].parse().unwrap();
    let policy: CommitPolicy = a[1].parse().unwrap();
    for t in a[3..].iter().map(|s| s.parse::<usize>().unwrap()) {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let log = Log::create(
            Arc::new(DirStorage::open(dir.path()).unwrap()),
            "b",
            Options { commit: policy, max_bytes: 8 << 30, ..Options::default() },
        )
        .unwrap();
        let begin = Instant::now();
        let end = begin + Duration::from_secs_f64(secs);
        let lat = std::sync::Mutex::new(Vec::new());
        thread::scope(|s| {
            for _ in 0..t {
                s.spawn(|| {
                    let mut l = Vec::new();
                    while Instant::now() < end {
                        let b = Instant::now();
                        let lsn = log.append(&[7; 200]).unwrap();
                        log.wait(lsn).unwrap();
                        l.push(b.elapsed().as_nanos() as u32);
                    }
                    lat.lock().unwrap().extend(l);
                });
            }
        });
        let e = begin.elapsed().as_secs_f64();
        let s = log.stats();
        let mut l = lat.into_inner().unwrap();
        l.sort_unstable();
        println!(
            "{policy} threads {t:3}: {:8.0}/s group {:.1} served {:.1} flush {:.0}us p50 {}us p99 {}us p999 {}us max {}us",
            s.appends as f64 / e,
            s.appends as f64 / s.groups as f64,
            s.served as f64 / s.groups as f64,
            e * 1e6 / s.groups as f64,
            l[l.len() / 2] / 1000,
            l[l.len() * 99 / 100] / 1000,
            l[l.len() * 999 / 1000] / 1000,
            l.last().unwrap() / 1000
        );
    }
}
