//! Where settings come from, in their order: preset, file, environment, flags.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Deserialize;

use super::settings::{SETTINGS, Setting};
use super::{Access, Config, ConfigError, file, settings};

/// What a command line asks for.
#[derive(Debug)]
pub enum Loaded {
    /// To serve with these settings; the warnings should be shown.
    Serve(Box<Config>, Vec<String>),
    /// To print this and be done: help, version, or the effective settings.
    Print(String),
}

const PRESETS: [(&str, &str); 4] = [
    ("baseline", include_str!("../../../experiments/presets/baseline.toml")),
    ("option1", include_str!("../../../experiments/presets/option1.toml")),
    ("option2", include_str!("../../../experiments/presets/option2.toml")),
    ("option4", include_str!("../../../experiments/presets/option4.toml")),
];

/// Variables of the same prefix that belong to `hedgehogctl`.
const OF_OTHERS: [&str; 3] = ["HEDGEHOG_URL", "HEDGEHOG_TOKEN", "HEDGEHOG_CA"];

const AFTER_HELP: &str = "\
Every setting can also be given by an environment variable (--max-body: HEDGEHOG_MAX_BODY) and in a file \
(max_body = \"1MiB\"; JSON where its name ends in .json). Flags win over the environment, the environment over the \
file, the file over the preset. Single dashes (-bind) are taken as well.";

/// The effective settings by a command line (without the program's name) and an environment.
///
/// # Errors
/// A setting that is unknown or cannot be, with its place; settings that contradict each other.
pub fn load(
    arguments: impl IntoIterator<Item = String>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let matches = match command().try_get_matches_from(arguments.into_iter().map(with_two_dashes)) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return Err(ConfigError(one_message(&error))),
        Err(help) => return Ok(Loaded::Print(help.to_string())),
    };
    let mut environment: BTreeMap<String, String> =
        environment.into_iter().filter(|(name, _)| name.starts_with("HEDGEHOG_")).collect();
    let given = Given::collect(&matches, &mut environment)?;
    let mut warnings = given.warnings;
    warnings.extend(unknown_variables(&environment));
    let mut config = Config::default();
    apply_preset(&mut config, given.texts.get("preset"))?;
    for (name, (text, place)) in &given.texts {
        apply(&mut config, name, text, place)?;
    }
    if let Some(path) = &config.tokens {
        let (access, more) = Access::read(path)?;
        config.access = access;
        warnings.extend(more);
    }
    config.check()?;
    if matches.get_flag("print-config") {
        return Ok(Loaded::Print(config.to_toml()));
    }
    warnings.extend(standing_warnings(&config));
    Ok(Loaded::Serve(Box::new(config), warnings))
}

/// Texts by setting, each with the place it is from: what wins has replaced the rest.
struct Given {
    texts: BTreeMap<&'static str, (String, String)>,
    warnings: Vec<String>,
}

impl Given {
    fn collect(
        matches: &ArgMatches,
        environment: &mut BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let mut given = Given { texts: BTreeMap::new(), warnings: Vec::new() };
        let variable = environment.remove("HEDGEHOG_CONFIG").filter(|path| !path.is_empty());
        if let Some(path) = matches.get_one::<String>("config").cloned().or(variable) {
            let file = file::read(Path::new(&path))?;
            given.warnings = file.warnings;
            given.texts.extend(file.values.into_iter().map(|(name, text, place)| (name, (text, place))));
        }
        let names = SETTINGS.iter().map(|setting| (setting.name, setting.flag(), setting.variable()));
        let seeds = ("seed_nodes", "seed-nodes", "HEDGEHOG_SEED_NODES".to_string());
        for (name, flag, variable) in names.chain([seeds]) {
            if let Some(text) = environment.remove(&variable) {
                given.texts.insert(name, (text, variable));
            }
            if let Some(text) = matches.get_one::<String>(flag) {
                given.texts.insert(name, (text.clone(), format!("--{flag}")));
            }
        }
        if let Some((seeds, place)) = given.texts.remove("seed_nodes")
            && !seeds.is_empty()
        {
            let message = "this build serves one node and cannot join others: leave it empty";
            return Err(ConfigError(format!("{place}: {message} (it says {seeds:?})")));
        }
        Ok(given)
    }
}

fn apply(config: &mut Config, name: &str, text: &str, place: &str) -> Result<(), ConfigError> {
    let Some(setting) = settings::find(name) else {
        return Err(ConfigError(format!("{place}: {name} is no setting")));
    };
    (setting.set)(config, text).map_err(|reason| ConfigError(format!("{place}: {reason}")))
}

/// A preset as `experiments/presets` spells it; what is the experiments' own is not taken over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    #[serde(rename = "description")]
    _description: String,
    settings: toml::Table,
}

fn apply_preset(config: &mut Config, given: Option<&(String, String)>) -> Result<(), ConfigError> {
    let (name, place) = match given {
        Some((name, place)) => (name.as_str(), place.as_str()),
        None => ("option4", "preset"),
    };
    let embedded = PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_string());
    let text = match embedded {
        Some(text) => text,
        None if name.ends_with(".toml") => fs::read_to_string(name)
            .map_err(|cause| ConfigError(format!("{place}: cannot read the preset {name}: {cause}")))?,
        None => {
            let known = PRESETS.map(|(known, _)| known).join(", ");
            let message = format!("unknown preset {name:?}: known are {known}; or give a .toml file");
            return Err(ConfigError(format!("{place}: {message}")));
        }
    };
    let preset: Preset =
        toml::from_str(&text).map_err(|cause| ConfigError(file::located(name, &text, &cause)))?;
    for (key, value) in &preset.settings {
        let place = format!("preset {name}, `{key}`");
        let text = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
        match key.as_str() {
            "pool_bytes" => apply(config, "pool", &text, &place)?,
            "sync" => apply(config, "no_sync", if text == "true" { "false" } else { "true" }, &place)?,
            "engine" | "partitions" | "commit" | "wait" | "log_scope" | "page_images" => {
                apply(config, key, &text, &place)?;
            }
            _ => return Err(ConfigError(format!("{place}: a preset of a node cannot say this"))),
        }
    }
    Ok(())
}

fn unknown_variables(rest: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    let unknown = rest.keys().filter(|name| !OF_OTHERS.contains(&name.as_str()));
    unknown.map(|name| format!("the environment variable {name} is no setting and is ignored"))
}

fn standing_warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.no_sync {
        warnings.push("no_sync is set: acknowledged writes may be lost in a crash".to_string());
    }
    if config.allow_public_without_protection {
        let missing = if config.access.is_open() { "tokens" } else { "TLS" };
        if config.access.is_open() || config.tls_cert.is_none() {
            warnings.push(format!("allow_public_without_protection is set, and there is no {missing}"));
        }
    }
    warnings
}

fn command() -> Command {
    let defaults = Config::default().to_json();
    let command = Command::new("hedgehogdb")
        .version(env!("CARGO_PKG_VERSION"))
        .about("One node of HedgehogDB: a durable, page-latched B+ tree over HTTP, with a dashboard")
        .after_help(AFTER_HELP)
        .no_binary_name(true)
        .args_override_self(true)
        .arg(Arg::new("config").long("config").value_name("FILE").help("Settings from a TOML or JSON file"))
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print the effective settings as TOML and exit"),
        )
        .arg(Arg::new("seed-nodes").long("seed-nodes").value_name("NODES").hide(true));
    command.args(SETTINGS.iter().map(|setting| argument(setting, &defaults)))
}

fn argument(setting: &'static Setting, defaults: &serde_json::Value) -> Arg {
    let default = match &defaults[setting.name] {
        serde_json::Value::String(text) if setting.value.is_some() => format!(" [default: {text}]"),
        serde_json::Value::Number(number) => format!(" [default: {number}]"),
        _ => String::new(),
    };
    let argument = Arg::new(setting.flag())
        .long(setting.flag())
        .help_heading(setting.group)
        .help(format!("{}{default}", setting.help));
    match setting.value {
        Some(value) => argument.value_name(value),
        None => argument
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

/// `-bind` as `--bind`: existing scripts write flags with one dash. Only known flags are changed, so that a value
/// that begins with a dash stays what it is.
fn with_two_dashes(argument: String) -> String {
    let Some(name) = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
        return argument;
    };
    let flag = name.split_once('=').map_or(name, |(flag, _)| flag);
    let known = ["config", "print-config", "seed-nodes", "help", "version"];
    if known.contains(&flag) || SETTINGS.iter().any(|setting| setting.flag() == flag) {
        return format!("--{name}");
    }
    argument
}

/// A usage error of clap's without its prefix, so that all errors look alike.
fn one_message(error: &clap::Error) -> String {
    error.to_string().trim_start_matches("error: ").trim_end().to_string()
}
