//! Files of one JSON document a line, cut into requests of a size that a node takes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// Lines a request: a flush of the log is shared by all of them, and a failure repeats few.
pub(crate) const LINES: usize = 500;
/// Bytes a request, unless a single line is longer.
const BYTES: usize = 512 << 10;
/// The longest line: a document of 16 MiB with every character escaped has no more.
const LONGEST: u64 = 128 << 20;

/// Lines that go into one request.
#[derive(Debug, Default)]
pub(crate) struct Chunk<T> {
    /// What the lines say.
    pub(crate) entries: Vec<T>,
    /// The number of its first line, from 1.
    pub(crate) first: u64,
    /// The number of its last line.
    pub(crate) last: u64,
    /// Bytes of its lines.
    pub(crate) bytes: usize,
}

/// The file's lines, in chunks. No key is twice in a chunk, because the operations of a request have no order.
pub(crate) struct Chunks<T, P> {
    lines: Box<dyn BufRead>,
    name: String,
    parse: P,
    /// The number of the line read last.
    line: u64,
    /// A line that begins the next chunk, with its length.
    held: Option<(T, String, usize)>,
    /// What is wrong with a line that has been read; told once everything before it is done.
    wrong: Option<Error>,
    done: bool,
}

/// Opens `path`, or stdin for `-`. Returns the size too, where it is known.
///
/// # Errors
/// The file cannot be opened.
pub(crate) fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) =
        file.map_err(|cause| Error::usage(format!("cannot read {}: {cause}", path.display())))?;
    if metadata.is_dir() {
        return Err(Error::usage(format!(
            "{} is a folder, expected a file of one JSON document a line",
            path.display()
        )));
    }
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

impl<T, P: FnMut(&str) -> Result<(T, String), String>> Chunks<T, P> {
    /// Chunks of what `reader` holds from line `from` on. `parse` turns a line into an entry and its key.
    pub(crate) fn new(reader: impl Read + 'static, path: &Path, from: u64, parse: P) -> Result<Chunks<T, P>> {
        let lines: Box<dyn BufRead> = Box::new(BufReader::with_capacity(256 << 10, reader));
        let name = if path.as_os_str() == "-" { "stdin".to_string() } else { path.display().to_string() };
        let mut chunks = Chunks { lines, name, parse, line: 0, held: None, wrong: None, done: false };
        while chunks.line + 1 < from {
            if chunks.read_line()?.is_none() {
                let has = chunks.line;
                return Err(Error::usage(format!(
                    "{} has {has} lines: there is no line {from}",
                    chunks.name
                )));
            }
        }
        Ok(chunks)
    }

    /// The next chunk, or nothing at the end. The lines before a wrong one come first, so that what is said about
    /// it is true: everything before it is done.
    ///
    /// # Errors
    /// A line cannot be read or is not what it should be; the message names file and line.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk<T>>> {
        let mut chunk = Chunk { entries: Vec::new(), first: self.line + 1, last: self.line, bytes: 0 };
        let mut keys = HashSet::new();
        if let Some((entry, key, bytes)) = self.held.take() {
            (chunk.first, chunk.bytes) = (self.line, bytes);
            keys.insert(key);
            chunk.entries.push(entry);
        }
        while chunk.entries.len() < LINES && chunk.bytes < BYTES && self.wrong.is_none() && !self.done {
            match self.entry() {
                Err(error) => self.wrong = Some(error),
                Ok(None) => self.done = true,
                Ok(Some((entry, key, bytes))) => {
                    let full = chunk.bytes + bytes > BYTES && !chunk.entries.is_empty();
                    if full || keys.contains(&key) {
                        self.held = Some((entry, key, bytes));
                        break;
                    }
                    chunk.bytes += bytes;
                    chunk.last = self.line;
                    keys.insert(key);
                    chunk.entries.push(entry);
                }
            }
        }
        // A line that was held over may be alone.
        chunk.last = chunk.last.max(chunk.first);
        match (chunk.entries.is_empty(), self.wrong.take()) {
            (false, wrong) => {
                self.wrong = wrong;
                Ok(Some(chunk))
            }
            (true, Some(error)) => Err(error),
            (true, None) => Ok(None),
        }
    }

    /// The next line that is not blank, parsed.
    fn entry(&mut self) -> Result<Option<(T, String, usize)>> {
        while let Some(text) = self.read_line()? {
            if text.trim().is_empty() {
                continue;
            }
            let bytes = text.len();
            let (entry, key) = (self.parse)(text.trim()).map_err(|why| self.wrong_line(&why))?;
            return Ok(Some((entry, key, bytes)));
        }
        Ok(None)
    }

    fn read_line(&mut self) -> Result<Option<String>> {
        let mut text = Vec::new();
        self.line += 1;
        let read = (&mut self.lines).take(LONGEST).read_until(b'\n', &mut text);
        match read.map_err(|cause| self.wrong_line(&format!("cannot be read: {cause}")))? {
            0 => {
                self.line -= 1;
                Ok(None)
            }
            _ if text.len() as u64 == LONGEST => Err(self.wrong_line("is longer than any item may be")),
            _ => String::from_utf8(text).map(Some).map_err(|_| self.wrong_line("is not UTF-8")),
        }
    }

    fn wrong_line(&self, why: &str) -> Error {
        Error::usage(format!("{}, line {} {why}", self.name, self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Cut = Vec<(u64, u64, Vec<String>)>;

    fn cut(text: &str, from: u64) -> (Cut, Option<Error>) {
        let parse = |line: &str| match line {
            "bad" => Err("is bad".to_string()),
            _ => Ok((line.to_string(), line.to_string())),
        };
        let input = io::Cursor::new(text.to_string().into_bytes());
        let mut chunks = match Chunks::new(input, Path::new("f"), from, parse) {
            Ok(chunks) => chunks,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let mut cut = Vec::new();
        loop {
            match chunks.next() {
                Ok(Some(chunk)) => cut.push((chunk.first, chunk.last, chunk.entries)),
                Ok(None) => return (cut, None),
                Err(error) => return (cut, Some(error)),
            }
        }
    }

    #[test]
    fn a_key_that_comes_again_begins_a_new_request() {
        let (cut, error) = cut("a\nb\n\na\na\n", 1);
        assert!(error.is_none());
        let keys = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
        assert_eq!(cut, [(1, 2, keys("a b")), (4, 4, keys("a")), (5, 5, keys("a"))]);
    }

    #[test]
    fn lines_before_a_wrong_one_come_first_and_the_error_names_it() {
        let (cut, error) = cut("a\nb\nbad\nc\n", 2);
        assert_eq!(cut, [(2, 2, vec!["b".to_string()])]);
        assert_eq!(error.unwrap().message(), Some("f, line 3 is bad"));
    }

    #[test]
    fn no_request_is_larger_than_a_node_takes() {
        let text: String = (0..1_201).map(|n| format!("{n}\n")).collect();
        let sizes: Vec<usize> = cut(&text, 1).0.iter().map(|chunk| chunk.2.len()).collect();
        assert_eq!(sizes, [500, 500, 201]);
        let long: String = (0..3).map(|n| format!("{n}{}\n", "x".repeat(400 << 10))).collect();
        assert_eq!(cut(&long, 1).0.len(), 3);
    }

    #[test]
    fn a_line_past_the_end_is_an_error() {
        assert_eq!(cut("a\n", 3).1.unwrap().message(), Some("f has 1 lines: there is no line 3"));
        assert!(cut("a\n", 2).1.is_none());
    }
}
