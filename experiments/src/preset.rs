//! Presets: configurations as TOML data, and the variants that the command line makes of them.
//!
//! A preset file holds a `description` and, under `[settings]`, one line a setting (see `presets/*.toml`); `pool_bytes`, `sync` and
//! `sync_delay_us` may be left out. Overrides with several values make a run for each of them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::settings::{Override, Settings};

const EMBEDDED: [(&str, &str); 4] = [
    ("baseline", include_str!("../presets/baseline.toml")),
    ("option1", include_str!("../presets/option1.toml")),
    ("option2", include_str!("../presets/option2.toml")),
    ("option4", include_str!("../presets/option4.toml")),
];

/// A named configuration.
#[derive(Clone, Debug)]
pub(crate) struct Preset {
    /// The embedded name, or the file's stem.
    pub(crate) name: String,
    /// One sentence.
    pub(crate) description: String,
    /// Its settings.
    pub(crate) settings: Settings,
}

/// A preset with overrides applied: what a run is labelled with and what it runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Variant {
    /// `baseline`, or `baseline+engine=coupled`.
    pub(crate) label: String,
    /// The preset it is made of.
    pub(crate) preset: String,
    /// The effective settings.
    pub(crate) settings: Settings,
}

/// The names of the embedded presets, in the order in which they are compared by default.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

/// Finds an embedded preset by name, or reads a TOML file where `name` is a path.
pub(crate) fn load(name: &str) -> Result<Preset> {
    if let Some((name, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
        return parse(name, &format!("preset {name}"), text);
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(Error::Usage(format!(
            "unknown preset `{name}`: known are {known}; or give the path of a preset's .toml file"
        )));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Error::Usage(format!("cannot read preset file `{name}`: {cause}")))?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    parse(stem, name, &text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    description: String,
    settings: Settings,
}

fn parse(name: &str, source: &str, text: &str) -> Result<Preset> {
    let file: File = toml::from_str(text).map_err(|cause| Error::Usage(located(source, text, &cause)))?;
    if file.settings.partitions == 0 {
        return Err(Error::Usage(format!("{source}: `partitions` is 0, expected at least 1")));
    }
    Ok(Preset { name: name.to_string(), description: file.description, settings: file.settings })
}

/// A TOML error on one line: the file, the line, what stands on its left side, and what was expected.
fn located(source: &str, text: &str, cause: &toml::de::Error) -> String {
    let message = cause.message().replace('\n', ", ");
    let Some(before) = cause.span().and_then(|span| text.get(..span.start)) else {
        return format!("{source}: {message}");
    };
    let line = before.matches('\n').count();
    let setting = text.lines().nth(line).and_then(|line| line.split_once('=')).map(|(name, _)| name.trim());
    match setting {
        Some(setting) => format!("{source}, line {}, `{setting}`: {message}", line + 1),
        None => format!("{source}, line {}: {message}", line + 1),
    }
}

/// Every preset with every combination of overrides: each of `axes` is one setting with its values.
pub(crate) fn variants(presets: &[Preset], axes: &[Vec<Override>]) -> Vec<Variant> {
    let mut variants: Vec<Variant> = presets
        .iter()
        .map(|preset| Variant {
            label: preset.name.clone(),
            preset: preset.name.clone(),
            settings: preset.settings.clone(),
        })
        .collect();
    for axis in axes.iter().filter(|axis| !axis.is_empty()) {
        variants = variants.iter().flat_map(|variant| axis.iter().map(|value| variant.with(value))).collect();
    }
    for variant in &mut variants {
        variant.settings = variant.settings.clone().normalized();
    }
    let mut seen = std::collections::BTreeSet::new();
    variants.retain(|variant| seen.insert(variant.label.clone()));
    variants
}

impl Variant {
    /// This variant with one more override.
    pub(crate) fn with(&self, value: &Override) -> Variant {
        let mut settings = self.settings.clone();
        value.apply(&mut settings);
        Variant { label: format!("{}+{}", self.label, value.label()), preset: self.preset.clone(), settings }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use tree::{Engine, Wait};

    use super::*;

    const GOOD: &str = include_str!("../presets/option4.toml");

    #[test]
    fn every_embedded_preset_parses() {
        for name in names() {
            let preset = load(name).unwrap();
            assert!(preset.settings.sync, "{name} must be durable");
            assert_eq!(preset.settings.pool_bytes, 512 << 20);
        }
    }

    #[test]
    fn unknown_preset_names_the_known_ones() {
        let message = load("option9").unwrap_err().to_string();
        assert!(message.contains("option9") && message.contains("baseline") && message.contains("option4"));
    }

    #[test]
    fn unknown_setting_names_file_line_and_setting() {
        let text = format!("{GOOD}\npartitoins = 4\n");
        let message = parse("mine", "mine.toml", &text).unwrap_err().to_string();
        assert!(message.contains("mine.toml, line ") && message.contains("partitoins"), "{message}");
    }

    #[test]
    fn wrong_value_names_file_line_and_what_was_expected() {
        let text = GOOD.replace("\"greedy\"", "\"eager\"");
        let message = parse("mine", "mine.toml", &text).unwrap_err().to_string();
        assert!(message.contains("mine.toml") && message.contains("eager"), "{message}");
        assert!(message.contains("window") && message.contains("commit"), "{message}");
    }

    #[test]
    fn missing_setting_is_named() {
        let text = GOOD.replace("wait = \"after-release\"", "");
        let message = parse("mine", "mine.toml", &text).unwrap_err().to_string();
        assert!(message.contains("wait"), "{message}");
    }

    #[test]
    fn syntax_error_is_one_line_with_its_place() {
        let message = parse("mine", "mine.toml", "description = \n").unwrap_err().one_line();
        assert!(message.starts_with("mine.toml, line 1, `description`: "), "{message}");
    }

    #[test]
    fn overrides_multiply_and_label_the_variants() {
        let presets = [load("baseline").unwrap(), load("option4").unwrap()];
        let engines = vec![Override::Engine(Engine::Mutex), Override::Engine(Engine::Coupled)];
        let variants = variants(&presets, &[engines, vec![], vec![Override::Partitions(2)]]);
        let labels: Vec<_> = variants.iter().map(|variant| variant.label.as_str()).collect();
        assert_eq!(labels.len(), 4);
        assert_eq!(labels[1], "baseline+engine=coupled+partitions=2");
        assert_eq!(variants[1].settings.partitions, 2);
    }

    #[test]
    fn without_sync_nothing_waits_under_the_lock() {
        let variants = variants(&[load("baseline").unwrap()], &[vec![Override::NoSync]]);
        assert_eq!(variants[0].settings.wait, Wait::AfterRelease);
        assert!(variants[0].settings.durability().starts_with("none"));
    }
}
