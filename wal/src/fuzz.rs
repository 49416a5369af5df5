//! Fuzz targets: whatever the bytes, reading them ends, without a panic, in what they say or in an error.
//!
//! Each target is a plain function, so that libFuzzer (`loom-tests/fuzz`) and the ordinary tests run the same
//! body. A mutator does not guess checksums: where one would stop all that it tries, the body makes it right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::record::{self, Body};
use crate::segment::HEADER_BYTES;
use crate::{CommitPolicy, Error, Log, Lsn, MemoryStorage, Options, Storage};

/// Small segments, so that a short input fills several of them.
const SEGMENT_BYTES: u64 = 2 * HEADER_BYTES;
const NAME: &str = "wal";

/// Names and bytes of a log's files.
type Files = BTreeMap<String, Vec<u8>>;

/// A segment's image: `position u64 | image`. The record at each offset is read as it is, and then with its
/// position and checksums made right; what is read then is what a record of these fields is.
pub fn record(data: &[u8]) {
    let (position, image) = take::<8>(data);
    let position = u64::from_le_bytes(position);
    for offset in 0..=image.len() + 1 {
        let _ = record::parse(image, offset, position.wrapping_add(offset as u64));
    }
    let mut sealed = image.to_vec();
    for offset in (0..image.len()).step_by(8) {
        let lsn = position.wrapping_add(offset as u64);
        let Some(len) = seal(&mut sealed, offset, lsn) else { continue };
        let read = record::parse(&sealed, offset, lsn);
        let (synced, _) = take::<8>(&sealed[offset + 16..]);
        assert_eq!(read.is_some(), u64::from_le_bytes(synced) <= lsn, "the checksum is right");
        let Some(read) = read else { continue };
        let mut written = Vec::new();
        match read.body {
            Body::Pad => record::push_pad(&mut written, lsn, read.synced),
            Body::Payload(payload) => {
                record::push(&mut written, lsn, read.synced, payload, record::payload_crc(payload));
            }
        }
        assert_eq!(written, sealed[offset..offset + len]);
    }
}

/// A log: `first number u64 | from u16 | { number u8 | flags u8 | len u16 | bytes } ...`, where `from` counts
/// from the beginning of the first number's segment, and each file has the number of the first one and its own.
/// The flags say whether the bytes are the whole file or what follows a right header, whether they get
/// right positions and checksums, and whether the file has its full size.
///
/// A log that opens takes records, and opens again with the old and the new ones. One that is refused is left
/// as it was.
pub fn segments(data: &[u8]) {
    let (first, rest) = take::<8>(data);
    let (from, rest) = take::<2>(rest);
    let first = u64::from_le_bytes(first);
    let from = Lsn::new(first.wrapping_mul(SEGMENT_BYTES).wrapping_add(u16::from_le_bytes(from).into()));
    let folder = folder(&files(first, rest));
    let before = read_files(&folder);
    let mut records = Vec::new();
    let Ok(log) = open(&folder, from, &mut records) else {
        assert_eq!(read_files(&folder), before, "a log that is refused is not changed");
        return;
    };
    assert!(records.is_sorted_by(|(lower, _), (higher, _)| lower < higher), "records come in order");
    assert!(records.iter().all(|&(lsn, _)| from < lsn && lsn <= log.end()));
    // Enough of them to turn a segment.
    for len in [0, 1, 1000, 2000, 3000] {
        let payload = vec![len as u8; len];
        match log.append(&payload) {
            Ok(lsn) => records.push((lsn, payload)),
            Err(error) => panic!("an open log refuses a record: {error}"),
        }
    }
    log.close().expect("memory takes everything");
    let mut again = Vec::new();
    let log = open(&folder, from, &mut again).expect("a log that was closed opens");
    assert!(again == records, "{} records became {}", records.len(), again.len());
    assert_eq!(log.end(), records.last().expect("some were appended").0);
}

/// Settings: `segment_bytes u64 | buffer_bytes u64 | max_bytes u64 | a commit policy as text`. A policy that is
/// read is written as one that is read as the same, and a log of settings that pass can be made.
pub fn wal_options(data: &[u8]) {
    let (segment_bytes, rest) = take::<8>(data);
    let (buffer_bytes, rest) = take::<8>(rest);
    let (max_bytes, text) = take::<8>(rest);
    let policy = String::from_utf8_lossy(text).parse::<CommitPolicy>();
    if let Ok(policy) = &policy {
        assert_eq!(policy.to_string().parse::<CommitPolicy>().ok(), Some(*policy));
    }
    let options = Options {
        segment_bytes: u64::from_le_bytes(segment_bytes),
        buffer_bytes: u64::from_le_bytes(buffer_bytes) as usize,
        max_bytes: u64::from_le_bytes(max_bytes),
        // A policy may wait for seconds, which a fuzzer has not got.
        commit: policy.ok().filter(is_short).unwrap_or(CommitPolicy::Greedy),
        sync: true,
    };
    // Larger ones are right, too, but take long to fill.
    if options.validate().is_err() || options.segment_bytes > 1 << 20 {
        return;
    }
    let folder: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let log = Log::create(Arc::clone(&folder), NAME, options.clone()).expect("the options are right");
    let lsn = log.append(b"payload").expect("an empty log has room");
    log.admit().and_then(|()| log.wait(lsn)).expect("memory takes everything");
    drop(log);
    let mut count = 0;
    let log = Log::open(folder, NAME, options, Lsn::ZERO, &mut |_, _| {
        count += 1;
        Ok(())
    });
    assert_eq!((log.expect("the options are the same").end(), count), (lsn, 1));
}

fn is_short(policy: &CommitPolicy) -> bool {
    match policy {
        CommitPolicy::Window(time) | CommitPolicy::Immediate(time) => *time <= Duration::from_millis(1),
        CommitPolicy::Greedy => true,
    }
}

/// The first bytes, with zeros for those that lack, and the rest.
fn take<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut taken = [0; N];
    let (front, rest) = data.split_at(data.len().min(N));
    taken[..front.len()].copy_from_slice(front);
    (taken, rest)
}

/// Gives the record at `offset` its position, checksum and alignment, and says how long it is with its frame;
/// `None` if its length leaves no room for it.
fn seal(image: &mut [u8], offset: usize, lsn: u64) -> Option<usize> {
    let found = image.get(offset..)?;
    let (len, synced) = (found.get(4..8)?, found.get(16..record::HEADER_BYTES)?);
    let len = u32::from_le_bytes(len.try_into().ok()?);
    let synced = u64::from_le_bytes(synced.try_into().ok()?);
    let mut sealed = Vec::new();
    if len == record::PAD {
        record::push_pad(&mut sealed, lsn, synced);
    } else {
        let payload = found[record::HEADER_BYTES..].get(..len as usize)?;
        record::push(&mut sealed, lsn, synced, payload, record::payload_crc(payload));
    }
    image[offset..].get_mut(..sealed.len())?.copy_from_slice(&sealed);
    Some(sealed.len())
}

const RAW: u8 = 1;
const AS_IT_IS: u8 = 2;
const SHORT: u8 = 4;

fn files(first: u64, mut data: &[u8]) -> Files {
    let segments = crate::segment::Segments {
        storage: Arc::new(MemoryStorage::new()),
        name: NAME.to_owned(),
        segment_bytes: SEGMENT_BYTES,
        sync: true,
    };
    let mut files = Files::new();
    while !data.is_empty() {
        let ([number, flags], rest) = take::<2>(data);
        let (len, rest) = take::<2>(rest);
        let len = usize::from(u16::from_le_bytes(len)).min(rest.len()).min(SEGMENT_BYTES as usize);
        let bytes = &rest[..len];
        data = &rest[len..];
        let number = first.wrapping_add(number.into());
        let mut image = Vec::new();
        if flags & RAW == 0 {
            segments.push_header(&mut image, number);
        }
        image.extend_from_slice(bytes);
        if flags & SHORT == 0 {
            image.resize(SEGMENT_BYTES as usize, 0);
        }
        let mut offset = HEADER_BYTES as usize;
        let start = number.wrapping_mul(SEGMENT_BYTES);
        while flags & AS_IT_IS == 0
            && let Some(len) = seal(&mut image, offset, start.wrapping_add(offset as u64))
        {
            offset += len;
        }
        files.insert(segments.file_name(number), image);
    }
    files
}

fn folder(files: &Files) -> Arc<dyn Storage> {
    let folder = MemoryStorage::new();
    for (name, bytes) in files {
        let file = folder.create(name).expect("each name is there once");
        file.write_at(bytes, 0).expect("memory takes everything");
    }
    Arc::new(folder)
}

fn read_files(folder: &Arc<dyn Storage>) -> Files {
    let read = |name: &str| {
        let file = folder.open(name)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_at(&mut bytes, 0)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let names = folder.list().expect("memory can be read");
    names.into_iter().map(|name| (name.clone(), read(&name).expect("memory can be read"))).collect()
}

fn open(folder: &Arc<dyn Storage>, from: Lsn, records: &mut Vec<(Lsn, Vec<u8>)>) -> Result<Log, Error> {
    let options = Options { segment_bytes: SEGMENT_BYTES, max_bytes: u64::MAX, ..Options::default() };
    Log::open(Arc::clone(folder), NAME, options, from, &mut |lsn, payload| {
        records.push((lsn, payload.to_vec()));
        Ok(())
    })
}

#[cfg(test)]
#[path = "../../loom-tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stored_input_and_no_mutation_of_one_panics() {
        corpus::run(&[
            ("record", record, 8_000),
            ("segments", segments, 4_000),
            ("wal_options", wal_options, 4_000),
        ]);
    }

    /// The bytes of the records in a segment of a real log, with how the log became durable in between.
    fn written(payloads: &[&[u8]]) -> Files {
        let folder: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let log = Log::create(Arc::clone(&folder), NAME, options).unwrap();
        for payload in payloads {
            log.wait(log.append(payload).unwrap()).unwrap();
        }
        drop(log);
        read_files(&folder)
    }

    fn used(image: &[u8]) -> &[u8] {
        let zeros = image.iter().rev().take_while(|&&byte| byte == 0).count();
        &image[..(image.len() - zeros).next_multiple_of(8).min(image.len())]
    }

    fn segment(number: u8, flags: u8, bytes: &[u8]) -> Vec<u8> {
        let mut seed = vec![number, flags];
        seed.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        seed.extend_from_slice(bytes);
        seed
    }

    #[test]
    #[ignore = "writes seeds into the corpora"]
    fn seeds_are_written_by_real_logs() {
        let (header, long) = (HEADER_BYTES as usize, [7; 1500]);
        let logs: [&[&[u8]]; 4] = [
            &[],
            &[b"", b"x", b"a payload of some bytes"],
            &[&long, &long, &long, b"turned"],
            &[&[3; 4072], b"full"],
        ];
        let logs = logs.map(written);
        let mut records = Vec::new();
        let mut images = Vec::new();
        for log in &logs {
            let mut whole = vec![0; 10];
            for (number, image) in log.values().enumerate() {
                let bytes = used(&image[header..]);
                let position = number as u64 * SEGMENT_BYTES + HEADER_BYTES;
                records.push([&position.to_le_bytes(), bytes].concat());
                whole.extend(segment(number as u8, 0, bytes));
            }
            images.push(whole);
        }
        // A torn tail, a hole, a spare segment, another number, and a header that is no header.
        let image = logs[1].values().next().unwrap();
        let bytes = used(&image[header..]);
        let (torn, mut hole) = (&bytes[..bytes.len() - 9], bytes.to_vec());
        hole[24..32].fill(0xff);
        for (number, flags, bytes) in [
            (0, AS_IT_IS, torn),
            (0, AS_IT_IS, &hole[..]),
            (0, RAW, &[]),
            (0, RAW, &image[..40]),
            (0, SHORT, bytes),
        ] {
            images.push([&[0; 10][..], &segment(number, flags, bytes)].concat());
        }
        let far = [&(1_u64 << 40).to_le_bytes()[..], &[0, 16], &segment(0, 0, bytes), &segment(1, RAW, &[])]
            .concat();
        images.push(far);
        corpus::store("record", &records);
        corpus::store("segments", &images);
        let numbers = |numbers: [u64; 3]| numbers.map(u64::to_le_bytes).concat();
        let texts =
            ["greedy", "window:1ms", "immediate:50us", "window:2s", "window:", "immediate:99999999999s"];
        let sizes = [[8192, 24, 8192], [65_536, 4096, 1 << 20], [16 << 20, 4 << 20, 1 << 30], [8191, 0, 0]];
        let options = texts.iter().zip(sizes.iter().cycle());
        let options = options.map(|(text, &sizes)| [&numbers(sizes)[..], text.as_bytes()].concat());
        corpus::store("wal_options", &options.collect::<Vec<_>>());
    }
}
