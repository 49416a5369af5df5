//! Opening a log: find its end, cut what a crash has torn, refuse what damage has broken.
//!
//! Records are read from the beginning of the segment that holds the checkpoint's redo LSN, until the first
//! position p where there is no valid record. That is either the end of the log or a hole in it:
//!
//! - A flush that a power loss has cut leaves any subset of its sectors, so valid records may well stand
//!   behind p. But nothing behind the last durable position had been acknowledged, and a record says how far
//!   the log was durable when it was appended. If none behind p says more than p, then p was never durable
//!   as far as anyone can tell: the tail is torn. It is erased, so that its valid records cannot come back
//!   when later appends happen to end where one of them begins.
//! - A record behind p that says that the log was durable beyond p is a proof that what stood at p was
//!   acknowledged. Then this is damage, and the log is refused, unchanged.
//!
//! One case cannot be told apart: damage in the last group that was flushed, with no record behind it that
//! was appended later. It looks as a torn tail does and is cut like one.
//!
//! What was read but is not proven to be durable is written once more and synced. After the failure of a
//! sync the kernel may show bytes that it will never write; they have to become dirty again.
//!
//! Every step can be cut by another crash and begun again: the damage is judged before the first change, the
//! records before p are never changed, and segments behind the tail's are removed only when the tail is
//! durably erased, a pad that leads to them included.

use crate::record::{self, Body};
use crate::segment::{HEADER_BYTES, Header, Segments};
use crate::{Error, Lsn, Replay};

/// Judges, cuts and syncs a log; answers its end.
pub(crate) fn recover(segments: &Segments, from: Lsn) -> Result<u64, Error> {
    let numbers = segments.numbers()?;
    let first = segments.number_before(from.get());
    if let Some(&number) = numbers.first().filter(|_| !numbers.contains(&first)) {
        // A wrong segment size is the likelier reason, and has a better message.
        segments.check_header(number, &image(segments, number)?)?;
    }
    if !numbers.contains(&first) {
        return Err(Error::Missing { file: segments.path(first), from });
    }
    let tail = find_tail(segments, &numbers, from, first)?;
    refuse_hole(segments, &numbers, &tail, from)?;
    if tail.end < from.get() {
        let reason =
            format!("the last whole record ends at LSN {}, before the checkpoint's {from}", tail.end);
        return Err(tail.corrupt(segments, reason));
    }
    erase_behind(segments, &numbers, &tail)?;
    Ok(tail.end)
}

/// Hands over every record that ends behind `from`; the log ends at `end`.
pub(crate) fn replay(
    segments: &Segments,
    from: Lsn,
    end: u64,
    receive: &mut Replay<'_>,
) -> Result<(), Error> {
    for number in segments.number_before(from.get())..=segments.number_before(end) {
        let image = image(segments, number)?;
        let mut records = Records::new(segments, number, &image);
        for (lsn, payload) in records.by_ref().take_while(|(lsn, _)| *lsn <= end) {
            if lsn > from.get() {
                receive(Lsn::new(lsn), payload)?;
            }
        }
    }
    Ok(())
}

/// The whole of a segment's file.
fn image(segments: &Segments, number: u64) -> Result<Vec<u8>, Error> {
    let file = segments.open(number)?;
    let error = || Error::io("read", segments.path(number));
    let len = file.len().map_err(error())?;
    if len != segments.segment_bytes {
        // Read no more than a header of a file whose size is anything.
        let mut header = vec![0; len.min(HEADER_BYTES) as usize];
        file.read_at(&mut header, 0).map_err(error())?;
        segments.check_header(number, &header)?;
        let reason = format!("the file has {len} bytes instead of {}", segments.segment_bytes);
        return Err(Error::Corrupt { file: segments.path(number), offset: len, reason });
    }
    let mut image = vec![0; len as usize];
    let read = file.read_at(&mut image, 0).map_err(error())?;
    if (read as u64) < len {
        let short = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        return Err(error()(short));
    }
    Ok(image)
}

/// The valid records of a segment from its beginning, up to the first that is not: the position behind each,
/// and its payload.
struct Records<'a> {
    image: &'a [u8],
    start: u64,
    offset: usize,
    /// How far the records say that the log was durable.
    synced: u64,
    /// A pad was met: the log goes on in the next segment.
    padded: bool,
}

impl<'a> Records<'a> {
    fn new(segments: &Segments, number: u64, image: &'a [u8]) -> Records<'a> {
        let start = segments.start(number);
        Records { image, start, offset: HEADER_BYTES as usize, synced: 0, padded: false }
    }

    /// Whether what follows may stand in the next segment.
    fn complete(&self) -> bool {
        self.padded || self.image.len() - self.offset < record::HEADER_BYTES
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<(u64, &'a [u8])> {
        if self.padded {
            return None;
        }
        let record = record::parse(self.image, self.offset, self.start + self.offset as u64)?;
        self.synced = self.synced.max(record.synced);
        match record.body {
            Body::Pad => {
                self.padded = true;
                None
            }
            Body::Payload(payload) => {
                self.offset += record::framed_len(payload.len());
                Some((self.start + self.offset as u64, payload))
            }
        }
    }
}

/// Where the valid records end.
#[derive(Debug)]
struct Tail {
    /// The position behind the last valid record.
    end: u64,
    /// Where the first invalid record is looked for: the segment, and the offset in it.
    broken: (u64, u64),
    /// Up to here, the records themselves prove that the log was durable.
    proven: u64,
}

impl Tail {
    fn corrupt(&self, segments: &Segments, reason: String) -> Error {
        Error::Corrupt { file: segments.path(self.broken.0), offset: self.broken.1, reason }
    }
}

fn find_tail(segments: &Segments, numbers: &[u64], from: Lsn, first: u64) -> Result<Tail, Error> {
    let begin = segments.start(first) + HEADER_BYTES;
    let mut tail = Tail { end: begin, broken: (first, HEADER_BYTES), proven: from.get() };
    for number in first.. {
        tail.broken = (number, HEADER_BYTES);
        if !numbers.contains(&number) {
            break;
        }
        let image = image(segments, number)?;
        if segments.check_header(number, &image)? == Header::Unused {
            tail.broken.1 = 0;
            if number == first {
                // It was flushed to before anyone could ask for its records. Appends would go behind this header.
                return Err(tail.corrupt(segments, "it has not the header that it once had".into()));
            }
            break;
        }
        let mut records = Records::new(segments, number, &image);
        for (end, _) in records.by_ref() {
            tail.end = end;
        }
        tail.proven = tail.proven.max(records.synced);
        if !records.complete() {
            tail.broken.1 = records.offset as u64;
            break;
        }
        if records.padded && !numbers.contains(&(number + 1)) {
            return Err(Error::Missing { file: segments.path(number + 1), from });
        }
    }
    Ok(tail)
}

/// Looks behind the tail for a record that proves that the log was once durable beyond it.
fn refuse_hole(segments: &Segments, numbers: &[u64], tail: &Tail, from: Lsn) -> Result<(), Error> {
    for &number in numbers.iter().filter(|&&number| number >= tail.broken.0) {
        let image = image(segments, number)?;
        let start = segments.start(number);
        let begin = if number == tail.broken.0 { tail.broken.1.max(HEADER_BYTES) } else { HEADER_BYTES };
        for offset in (begin as usize..image.len()).step_by(8) {
            let proof = record::parse(&image, offset, start + offset as u64);
            if let Some(record) =
                proof.filter(|record| record.synced > tail.end && !planted!("hole-cut-as-tail"))
            {
                if !numbers.contains(&tail.broken.0) {
                    return Err(Error::Missing { file: segments.path(tail.broken.0), from });
                }
                let reason = format!(
                    "there is no whole record, but the one at byte {offset} of {} was written when the log was \
                     durable up to LSN {}",
                    segments.path(number),
                    record.synced
                );
                return Err(tail.corrupt(segments, reason));
            }
        }
    }
    Ok(())
}

/// Makes what is before the tail durable and what is behind it unreadable, in an order that can be cut.
fn erase_behind(segments: &Segments, numbers: &[u64], tail: &Tail) -> Result<(), Error> {
    let last = segments.number_before(tail.end);
    let proven = if planted!("unproven-tail-trusted") { tail.end } else { tail.proven };
    let unproven = segments.number_before(proven).min(last);
    for number in unproven..=last {
        let mut image = image(segments, number)?;
        if number == last && !planted!("torn-tail-kept") {
            image[(tail.end - segments.start(number)) as usize..].fill(0);
        }
        let begin = proven.saturating_sub(segments.start(number));
        // The header as well, where nothing in this segment is proven.
        let begin = if begin <= HEADER_BYTES { 0 } else { begin };
        let file = segments.open(number)?;
        let path = segments.path(number);
        let rest = image.get(begin as usize..).unwrap_or_default();
        file.write_at(rest, begin).map_err(Error::io("write", path.clone()))?;
        segments.sync(&*file, || path)?;
    }
    // The sync of the folder makes the names of the segments that stay as durable as their bytes.
    for &number in numbers.iter().filter(|&&number| number > last) {
        segments.remove(number)?;
    }
    for number in segments.unfinished()? {
        segments.remove_unfinished(number)?;
    }
    segments.sync_dir()
}
