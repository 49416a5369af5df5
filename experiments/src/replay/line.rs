//! One line of an input file becomes a [`Request`], or an error that says where and what was expected.

use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Request, Verb};
use crate::error::{Error, Result};

/// Longer lines are refused instead of held in memory.
const MAX_LINE_BYTES: u64 = 16 << 20;

fn bad(file: &str, line: u64, what: impl std::fmt::Display) -> Error {
    Error::Usage(format!("{file}, line {line}: {what}"))
}

fn verb(text: &str) -> Result<Verb, String> {
    match text {
        "put" => Ok(Verb::Put),
        "get" => Ok(Verb::Get),
        "delete" => Ok(Verb::Delete),
        other => Err(format!("field `op` is `{other}`, expected put, get or delete")),
    }
}

fn request(op: &str, table: String, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<Request, String> {
    let verb = verb(op)?;
    if table.is_empty() {
        return Err("field `table` is empty, expected a table's name".to_string());
    }
    if key.is_empty() {
        return Err("field `key` is empty, expected a key".to_string());
    }
    let value = match (verb, value) {
        (Verb::Put, None) => return Err("field `value` is missing, a put needs one".to_string()),
        (Verb::Put, Some(value)) => value,
        _ => Vec::new(),
    };
    Ok(Request { verb, table, key, value })
}

/// JSON lines; empty lines are skipped.
pub(super) fn json_lines(source: impl Read, file: String) -> impl Iterator<Item = Result<Request>> {
    let mut reader = BufReader::with_capacity(1 << 16, source);
    let mut text = Vec::new();
    let mut number = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            text.clear();
            number += 1;
            let read = (&mut reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut text);
            let line = match read {
                Ok(0) => None,
                Ok(_) if text.len() as u64 > MAX_LINE_BYTES => {
                    Some(Err(format!("longer than {MAX_LINE_BYTES} bytes, expected one operation a line")))
                }
                Ok(_) if text.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(_) => Some(json_line(&text)),
                Err(cause) => Some(Err(format!("cannot be read: {cause}"))),
            };
            ended = !matches!(line, Some(Ok(_)));
            return line.map(|line| line.map_err(|what| bad(&file, number, what)));
        }
        None
    })
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    op: Option<&'a RawValue>,
    #[serde(borrow)]
    table: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

fn json_line(text: &[u8]) -> Result<Request, String> {
    let fields: Fields<'_> = serde_json::from_slice(text).map_err(|cause| {
        let what = cause.to_string();
        let what = what.split(" at line").next().unwrap_or_default();
        format!(
            "column {}: {what}, expected one object {{\"op\":...,\"table\":...,\"key\":...,\"value\":...}}",
            cause.column()
        )
    })?;
    let string = |name: &str, field: Option<&RawValue>| {
        let raw = field.ok_or_else(|| format!("field `{name}` is missing, expected a string"))?.get();
        serde_json::from_str::<String>(raw).map_err(|_| {
            let shown: String = raw.chars().take(40).collect();
            format!("field `{name}` is {shown}, expected a string")
        })
    };
    let value = fields.value.map(|raw| {
        // A string's text; any other value as it stands there, so that not a byte of a document changes.
        serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_string()).into_bytes()
    });
    let (op, table, key) =
        (string("op", fields.op)?, string("table", fields.table)?, string("key", fields.key)?);
    request(&op, table, key.into_bytes(), value)
}

/// CSV with a header.
pub(super) fn csv(source: impl Read, file: String) -> Result<impl Iterator<Item = Result<Request>>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let header = reader.headers().map_err(|cause| bad(&file, 1, cause))?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim() == name);
    let required = |name: &str| {
        column(name).ok_or_else(|| {
            bad(&file, 1, format!("the header has no column `{name}`, expected op,table,key,value"))
        })
    };
    let columns = [required("op")?, required("table")?, required("key")?];
    let value = column("value");
    let mut ended = false;
    Ok(reader.into_records().map_while(move |record| {
        if ended {
            return None;
        }
        let line = match record {
            Err(cause) => {
                let line = cause.position().map_or(0, csv::Position::line);
                Err(bad(&file, line, cause))
            }
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                csv_record(&record, columns, value).map_err(|what| bad(&file, line, what))
            }
        };
        ended = line.is_err();
        Some(line)
    }))
}

fn csv_record(
    record: &csv::StringRecord,
    [op, table, key]: [usize; 3],
    value: Option<usize>,
) -> Result<Request, String> {
    let field = |name: &str, column: usize| {
        record.get(column).ok_or_else(|| {
            format!("column `{name}` is missing: {} columns, expected at least {}", record.len(), column + 1)
        })
    };
    let value = value.and_then(|column| record.get(column)).map(|value| value.as_bytes().to_vec());
    let (op, table, key) = (field("op", op)?, field("table", table)?, field("key", key)?);
    request(op.trim(), table.to_string(), key.as_bytes().to_vec(), value)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn json(text: &str) -> Vec<Result<Request>> {
        json_lines(text.as_bytes(), "ops.jsonl".to_string()).collect()
    }

    fn comma(text: &str) -> Result<Vec<Request>> {
        csv(text.as_bytes(), "ops.csv".to_string())?.collect()
    }

    fn message(text: &str) -> String {
        json(text).pop().unwrap().unwrap_err().to_string()
    }

    #[test]
    fn both_forms_mean_the_same() {
        let lines = "{\"op\":\"put\",\"table\":\"users\",\"key\":\"a\",\"value\":\"x,y\"}\n\n\
                     {\"op\":\"delete\",\"table\":\"users\",\"key\":\"a\",\"at\":5}\n";
        let lines: Vec<_> = json(lines).into_iter().map(Result::unwrap).collect();
        let columns = comma("table,key,op,value\nusers,a,put,\"x,y\"\nusers,a,delete,\n").unwrap();
        assert_eq!(lines, columns);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn documents_keep_every_byte() {
        let text = r#"{"op":"put","table":"t","key":"k","value":{"b": 1,  "a":[1.50]}}"#;
        assert_eq!(json(text)[0].as_ref().unwrap().value, br#"{"b": 1,  "a":[1.50]}"#);
    }

    #[test]
    fn bad_json_lines_name_file_line_field_and_what_was_expected() {
        let good = r#"{"op":"get","table":"users","key":"a"}"#;
        let third = |line: &str| message(&format!("{good}\n{good}\n{line}\n{good}\n"));
        let expect = |line: &str, parts: &[&str]| {
            let message = third(line);
            assert!(message.starts_with("ops.jsonl, line 3: "), "{message}");
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        };
        expect(r#"{"op":"upsert","table":"u","key":"a"}"#, &["`op`", "upsert", "put, get or delete"]);
        expect(r#"{"op":"get","table":"u"}"#, &["`key`", "missing"]);
        expect(r#"{"op":"get","table":5,"key":"a"}"#, &["`table`", "5", "string"]);
        expect(r#"{"op":"get","table":"","key":"a"}"#, &["`table`", "empty"]);
        expect(r#"{"op":"put","table":"u","key":"a"}"#, &["`value`", "put"]);
        expect(r#"{"op":"get","table":"u","#, &["column", "object"]);
        expect("[1,2]", &["column", "object"]);
    }

    #[test]
    fn nothing_is_read_behind_a_bad_line() {
        let lines = json("oops\n{\"op\":\"get\",\"table\":\"u\",\"key\":\"a\"}\n");
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn bad_csv_names_line_and_column() {
        let header = comma("op,key\nget,a\n").unwrap_err().to_string();
        assert!(header.contains("ops.csv, line 1") && header.contains("`table`"), "{header}");
        let short = comma("op,table,key\nget,users,a\nget,users\n").unwrap_err().to_string();
        assert!(short.contains("ops.csv, line 3") && short.contains("`key`"), "{short}");
        let verb = comma("op,table,key,value\nscan,users,a,\n").unwrap_err().to_string();
        assert!(verb.contains("line 2") && verb.contains("`op`") && verb.contains("scan"), "{verb}");
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(json_lines(&b"\xff\xfe\n"[..], "f".to_string()).next().unwrap().is_err());
        assert!(
            csv(&b"op,table,key\nget,users,\xff\n"[..], "f".to_string()).unwrap().next().unwrap().is_err()
        );
    }
}
