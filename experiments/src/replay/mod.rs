//! `--input FILE`: somebody's own operations instead of the roadmap's traffic.
//!
//! Two forms, told apart by the file's name. JSON lines, one object a line, further fields ignored; a string
//! value is stored as its text, any other value as the JSON that stands there:
//!
//! ```text
//! {"op":"put","table":"users","key":"user-1","value":{"name":"Ann"}}
//! {"op":"get","table":"users","key":"user-1"}
//! {"op":"delete","table":"users","key":"user-1"}
//! ```
//!
//! CSV (a name that ends in `.csv`), with a header that names the columns `op,table,key,value` in any order:
//!
//! ```text
//! op,table,key,value
//! put,users,user-1,"{""name"":""Ann""}"
//! ```
//!
//! The file is streamed, never held: once to check every line before anything is measured, then once a trial.
//! Operations on one key keep their order; operations on different keys go to different writers and do not.
//! Memory grows only with the number of distinct keys (about 50 bytes each), for the read-back.

mod line;
mod run;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) use run::run;

use crate::error::{Error, Result};
use crate::interrupt;

/// Tables that a file may name: each is 8 trees and, in some presets, 8 logs.
const MAX_TABLES: usize = 64;
/// Distinct keys are remembered for the read-back; so many cost about a gigabyte.
const MAX_OPERATIONS: u64 = 200_000_000;

/// What a client did.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Stores a value.
    Put,
    /// A strong get.
    Get,
    /// Removes a key.
    Delete,
}

/// One operation of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What.
    pub(crate) verb: Verb,
    /// In which table.
    pub(crate) table: String,
    /// On which key.
    pub(crate) key: Vec<u8>,
    /// The value of a put; empty otherwise.
    pub(crate) value: Vec<u8>,
}

/// A file whose every line was checked.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its operations.
    pub(crate) operations: u64,
    /// The tables that it names.
    pub(crate) tables: Vec<String>,
}

impl Input {
    /// Reads the file once and checks every line. The first bad line is the error: file, line, field, and what
    /// was expected.
    pub(crate) fn check(path: &Path) -> Result<Input> {
        let mut tables = BTreeSet::new();
        let mut operations = 0;
        for request in requests(path)? {
            let request = request?;
            operations += 1;
            if !tables.contains(&request.table) {
                tables.insert(request.table);
            }
            if tables.len() > MAX_TABLES || operations > MAX_OPERATIONS {
                return Err(Error::Usage(format!(
                    "{}: more than {MAX_TABLES} tables or {MAX_OPERATIONS} operations: split the file",
                    path.display()
                )));
            }
            interrupt::check()?;
        }
        if operations == 0 {
            return Err(Error::Usage(format!("{}: holds no operation", path.display())));
        }
        Ok(Input { path: path.to_path_buf(), operations, tables: tables.into_iter().collect() })
    }
}

/// Streams a file's operations.
pub(crate) fn requests(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Request>> + Send>> {
    let name = path.display().to_string();
    let file =
        std::fs::File::open(path).map_err(|cause| Error::Usage(format!("cannot read {name}: {cause}")))?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        Ok(Box::new(line::csv(file, name)?))
    } else {
        Ok(Box::new(line::json_lines(file, name)))
    }
}
