//! Settings: their names, and their ranges.

use super::{TINY, disk, take};
use crate::{CommitPolicy, DatabaseOf, Engine, LogScope, Maintenance, Options, Wait};

/// `partitions u32 | pool_bytes u64 | log_max_bytes u64 | log_segment_bytes u64 | lines of text`, where a line may be
/// the name of an engine, a wait, a log scope or a commit policy. A name that is read is written as it was, and
/// with settings that pass, a database works.
pub fn options(data: &[u8]) {
    let (partitions, rest) = take::<4>(data);
    let (pool_bytes, rest) = take::<8>(rest);
    let (log_max_bytes, rest) = take::<8>(rest);
    let (log_segment_bytes, text) = take::<8>(rest);
    let mut options = Options {
        partitions: u32::from_le_bytes(partitions),
        pool_bytes: u64::from_le_bytes(pool_bytes) as usize,
        log_max_bytes: u64::from_le_bytes(log_max_bytes),
        log_segment_bytes: u64::from_le_bytes(log_segment_bytes),
        maintenance: Maintenance::Inline,
        ..Options::default()
    };
    for line in String::from_utf8_lossy(text).lines() {
        // What this line names replaces what the options have.
        fn read<T: std::str::FromStr + ToString>(line: &str, option: &mut T) {
            if let Ok(value) = line.parse::<T>() {
                assert_eq!(value.to_string(), line);
                *option = value;
            }
        }
        read::<Engine>(line, &mut options.engine);
        read::<Wait>(line, &mut options.wait);
        read::<LogScope>(line, &mut options.log_scope);
        if let Ok(policy) = line.parse::<CommitPolicy>() {
            assert_eq!(policy.to_string().parse::<CommitPolicy>().ok(), Some(policy));
        }
    }
    let _ = options.validate(crate::PAGE_BYTES);
    // Larger ones are right, too, but take long to fill.
    if options.validate(TINY).is_err()
        || options.partitions > 4
        || options.pool_bytes > 1 << 20
        || options.log_segment_bytes > 256 << 10
    {
        return;
    }
    let disk = disk::SmallDisk::new(&disk::Files::new());
    let database = DatabaseOf::<TINY>::open_on(disk.clone(), options.clone()).expect("the options are right");
    let table = database.create_table("t").expect("the name is free");
    for n in 0..20_u8 {
        table.put(&[n], &[n; 40]).and_then(|commit| commit.wait()).expect("the disk has room");
    }
    drop((table, database));
    let database = DatabaseOf::<TINY>::open_on(disk, options).expect("the options are the same");
    assert_eq!(database.table("t").expect("it was made").count().expect("it is sound"), 20);
}
