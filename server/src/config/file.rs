//! Files of settings: TOML, or JSON where the name says so. Every error names file, line and key.

use std::fs;
use std::path::Path;

use super::{ConfigError, settings};

/// Settings of a file as `(name, text, place)`, and warnings.
#[derive(Debug, Default)]
pub(super) struct FileSettings {
    pub(super) values: Vec<(&'static str, String, String)>,
    pub(super) warnings: Vec<String>,
}

/// What only concerns a cluster: existing files may say it, and one node has no use for it.
const OF_A_CLUSTER: [&str; 6] = [
    "replication_n",
    "read_quorum",
    "write_quorum",
    "virtual_nodes",
    "heartbeat_interval_ms",
    "failure_timeout_ms",
];

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<FileSettings, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|cause| ConfigError(format!("cannot read the configuration {}: {cause}", path.display())))?;
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    parse(&path.display().to_string(), &text, json)
}

fn parse(file: &str, text: &str, json: bool) -> Result<FileSettings, ConfigError> {
    let table: toml::Table = if json {
        serde_json::from_str(text).map_err(|cause| ConfigError(format!("{file}: {cause}")))?
    } else {
        toml::from_str(text).map_err(|cause| ConfigError(located(file, text, &cause)))?
    };
    let mut settings = FileSettings::default();
    for (key, value) in table {
        let place = format!("{file}, line {}, `{key}`", line_of(text, &key));
        settings.take(&key, scalar(&value, &place)?, place)?;
    }
    Ok(settings)
}

/// A TOML error on one line: the file, the line, what stands on its left side, and what was expected.
pub(super) fn located(file: &str, text: &str, cause: &toml::de::Error) -> String {
    let message = cause.message().trim().replace('\n', ", ");
    let Some(before) = cause.span().and_then(|span| text.get(..span.start)) else {
        return format!("{file}: {message}");
    };
    let line = before.matches('\n').count();
    let key = text.lines().nth(line).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    match key {
        Some(key) => format!("{file}, line {}, `{key}`: {message}", line + 1),
        None => format!("{file}, line {}: {message}", line + 1),
    }
}

impl FileSettings {
    fn take(&mut self, key: &str, text: String, place: String) -> Result<(), ConfigError> {
        let (name, text) = match key {
            "partition_count" => ("partitions", text),
            "buffer_pool_size" => {
                let pages: Option<u64> = text.parse().ok();
                let bytes = pages.and_then(|pages| pages.checked_mul(tree::PAGE_BYTES as u64));
                let bytes =
                    bytes.ok_or_else(|| ConfigError(format!("{place}: {text:?} is no number of pages")))?;
                ("pool", bytes.to_string())
            }
            _ if OF_A_CLUSTER.contains(&key) => {
                self.warnings.push(format!("{place} is ignored: this node serves alone"));
                return Ok(());
            }
            _ => match settings::find(key) {
                Some(setting) => (setting.name, text),
                None if key == "seed_nodes" => ("seed_nodes", text),
                None => {
                    return Err(ConfigError(format!(
                        "{place} is no setting; `hedgehogdb --help` lists them all"
                    )));
                }
            },
        };
        if let Some((_, _, other)) = self.values.iter().find(|(known, ..)| *known == name) {
            return Err(ConfigError(format!("{place} says again what {other} says: keep one of them")));
        }
        self.values.push((name, text, place));
        Ok(())
    }
}

/// A value as a flag would spell it.
fn scalar(value: &toml::Value, place: &str) -> Result<String, ConfigError> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        toml::Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| scalar(item, place)).collect();
            Ok(items?.join(","))
        }
        _ => Err(ConfigError(format!("{place}: expected a text, a whole number, true or false"))),
    }
}

/// The line that sets a key, counted from 1: the first one where the key stands by itself before `=` or `:`.
fn line_of(text: &str, key: &str) -> usize {
    let sets = |line: &str| {
        line.match_indices(key).any(|(at, _)| {
            let before = line[..at].trim_end_matches(['"', '\'']).trim_end();
            let after = line[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
            (before.is_empty() || before.ends_with(['{', ',', '[']))
                && after.starts_with(['=', ':', ']', '.'])
        })
    };
    text.lines().position(sets).map_or(1, |line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_json_files_are_understood() {
        let text = "{\n  \"partition_count\": 4,\n  \"buffer_pool_size\": 1024,\n  \"replication_n\": 3,\n \
                    \"heartbeat_interval_ms\": 1000\n}";
        let read = parse("node.json", text, true).unwrap();
        let values: Vec<_> = read.values.iter().map(|(name, text, _)| (*name, text.as_str())).collect();
        assert!(values.contains(&("partitions", "4")) && values.contains(&("pool", "4194304")), "{values:?}");
        assert_eq!(read.warnings.len(), 2);
        assert!(
            read.warnings.iter().any(|warning| warning.starts_with("node.json, line 4, `replication_n`"))
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_file_and_line() {
        let toml = parse("n.toml", "bind = \"127.0.0.1:1\"\n\nmax_bodi = \"1MiB\"\n", false).unwrap_err();
        assert!(toml.0.starts_with("n.toml, line 3, `max_bodi` is no setting"), "{toml}");
        let json = parse("n.json", "{\"bind\": \"a:1\",\n \"binds\": 2}", true).unwrap_err();
        assert!(json.0.starts_with("n.json, line 2, `binds` is no setting"), "{json}");
        let section = parse("n.toml", "[limits]\nmax_body = 1\n", false).unwrap_err();
        assert!(section.0.starts_with("n.toml, line 1, `limits`"), "{section}");
    }

    #[test]
    fn what_is_said_twice_is_refused() {
        let error = parse("n.json", "{\"partitions\": 4,\n\"partition_count\": 5}", true).unwrap_err();
        assert!(error.0.contains("partition") && error.0.contains("again"), "{error}");
    }

    #[test]
    fn broken_files_say_where() {
        let toml = parse("n.toml", "bind = \n", false).unwrap_err();
        assert!(toml.0.starts_with("n.toml, line 1, `bind`: "), "{toml}");
        let json = parse("n.json", "{\"bind\": }", true).unwrap_err();
        assert!(json.0.starts_with("n.json: ") && json.0.contains("line 1"), "{json}");
        for nonsense in ["null", "[]", "7", "{\"pool\": null}", "{\"pool\": {\"a\": 1}}", "{\"pool\": 1e400}"]
        {
            parse("n.json", nonsense, true).unwrap_err();
        }
    }
}
