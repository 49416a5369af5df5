use std::fs;

use super::settings::SETTINGS;
use super::*;

/// A command line's arguments, and environment variables with their values.
type Arguments<'a> = &'a [&'a str];
type Environment<'a> = &'a [(&'a str, &'a str)];

fn loaded(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    load(arguments.iter().map(ToString::to_string), environment)
}

fn served(arguments: &[&str], environment: &[(&str, &str)]) -> (Config, Vec<String>) {
    match loaded(arguments, environment) {
        Ok(Loaded::Serve(config, warnings)) => (*config, warnings),
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn printed(arguments: &[&str]) -> String {
    match loaded(arguments, &[]) {
        Ok(Loaded::Print(text)) => text,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    match loaded(arguments, environment) {
        Err(error) => error.to_string(),
        other => panic!("{arguments:?} {environment:?}: {other:?}"),
    }
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_string();
    (folder, path)
}

#[test]
fn flags_win_over_environment_over_file_over_preset_over_defaults() {
    let (_folder, path) = file("node.toml", "partitions = 3\npreset = \"option1\"\n");
    let from_file = ["--config", path.as_str()];
    let with_flag = ["--config", path.as_str(), "--partitions", "5"];
    let variable = [("HEDGEHOG_PARTITIONS", "4")];
    let cases: [(Arguments, Environment, u32); 6] = [
        (&[], &[], 8),
        (&["--preset", "baseline"], &[], 1),
        (&from_file, &[], 3),
        (&from_file, &variable, 4),
        (&with_flag, &variable, 5),
        (&["--preset", "baseline"], &variable, 4),
    ];
    for (arguments, environment, partitions) in cases {
        let (config, _) = served(arguments, environment);
        assert_eq!(config.partitions, partitions, "{arguments:?} {environment:?}");
    }
    assert_eq!(served(&from_file, &[]).0.engine, Engine::Mutex, "the preset that the file names");
    assert_eq!(served(&from_file, &[("HEDGEHOG_PRESET", "option4")]).0.engine, Engine::Coupled);
}

#[test]
fn existing_flags_with_one_dash_are_understood() {
    let (_folder, path) = file("node.json", "{\"partition_count\": 2, \"write_quorum\": 2}");
    let arguments = [
        "-node-id",
        "node-7",
        "-bind",
        "127.0.0.1:8081",
        "-data-dir=./data/node1",
        "-seed-nodes",
        "",
        "-config",
        &path,
    ];
    let (config, warnings) = served(&arguments, &[]);
    assert_eq!((config.node_id.as_str(), config.bind.as_str()), ("node-7", "127.0.0.1:8081"));
    assert_eq!((config.data_dir.to_str(), config.partitions), (Some("./data/node1"), 2));
    assert!(warnings[0].contains("write_quorum") && warnings[0].contains("ignored"), "{warnings:?}");
}

#[test]
fn a_node_with_seeds_does_not_start() {
    let message = refused(&["-seed-nodes", "127.0.0.1:8081,127.0.0.1:8082"], &[]);
    assert!(message.contains("--seed-nodes") && message.contains("one node"), "{message}");
    assert!(refused(&[], &[("HEDGEHOG_SEED_NODES", "a:1")]).contains("HEDGEHOG_SEED_NODES"));
}

#[test]
fn printed_settings_are_settings_that_can_be_read() {
    let text =
        printed(&["--print-config", "--preset", "baseline", "--pool", "5MiB", "--no-sync", "--max-url=4KiB"]);
    let (_folder, path) = file("node.toml", &text);
    let (config, _) = served(&["--config", &path], &[]);
    assert_eq!(config.to_toml(), text);
    assert_eq!((config.pool, config.max_url, config.no_sync), (5 << 20, 4 << 10, true));
}

#[test]
fn every_setting_can_be_given_in_each_place_and_is_explained() {
    let help = printed(&["--help"]);
    let readme = include_str!("../../README.md");
    for setting in SETTINGS {
        let flag = format!("--{}", setting.flag());
        assert!(help.contains(&flag), "--help lacks {flag}");
        let row = format!("| `{}` |", setting.name);
        assert!(readme.contains(&row), "server/README.md lacks {row}");
        let value = Config::default().to_json()[setting.name].clone();
        let text = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
        if value.is_null() {
            continue;
        }
        let by_flag = format!("{flag}={text}");
        served(&[&by_flag], &[]);
        served(&[], &[(&setting.variable(), &text)]);
        let (_folder, path) = file("node.json", &serde_json::json!({ setting.name: value }).to_string());
        served(&["--config", &path], &[]);
    }
}

#[test]
fn a_bad_value_is_told_with_its_place() {
    let (_folder, path) = file("node.toml", "bind = \"127.0.0.1:0\"\nmax_body = \"1MB\"\n");
    let cases: [(Arguments, Environment, &str); 9] = [
        (&["--config", &path], &[], "node.toml, line 2, `max_body`"),
        (&["--pool", "lots"], &[], "--pool"),
        (&[], &[("HEDGEHOG_ENGINE", "olc")], "HEDGEHOG_ENGINE"),
        (&["--commit", "window:2"], &[], "--commit"),
        (&["--preset", "option9"], &[], "option9"),
        (&["--max-connections", "0"], &[], "--max-connections"),
        (&["--request-timeout", "30"], &[], "--request-timeout"),
        (&["--bind", ":8080"], &[], "bind"),
        (&["--config", "/nowhere/node.toml"], &[], "/nowhere/node.toml"),
    ];
    for (arguments, environment, place) in cases {
        let message = refused(arguments, environment);
        assert!(message.contains(place), "{message}");
    }
    for arguments in [&["--no-such"][..], &["stray"], &["--bind"], &["--no-sync=maybe"]] {
        refused(arguments, &[]);
    }
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    for (arguments, setting) in [
        (["--max-header-bytes", "4KiB"], "max_header_bytes"),
        (["--max-url", "64KiB"], "max_url"),
        (["--max-body-memory", "1MiB"], "max_body_memory"),
        (["--log-max", "1KiB"], "log_max"),
        (["--tls-cert", "a.pem"], "tls_key"),
        (["--otlp-endpoint", "http://name:secret@127.0.0.1:4318"], "must not carry"),
    ] {
        let message = refused(&arguments, &[]);
        assert!(message.contains(setting), "{message}");
    }
}

#[test]
fn a_public_address_needs_tokens_and_tls_or_the_word() {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let tokens = format!("[[token]]\nname = \"a\"\nrole = \"admin\"\nsha256 = \"{digest}\"\n");
    let (_folder, tokens) = file("tokens.toml", &tokens);
    let public = ["--bind", "0.0.0.0:8080"];
    let tls = ["--tls-cert", "c.pem", "--tls-key", "k.pem"];
    let with = |more: &[&'static str]| [&public[..], more].concat();

    let message = refused(&public, &[]);
    assert!(
        message.contains("0.0.0.0:8080") && message.contains("--tokens") && message.contains("--tls-cert")
    );
    assert!(message.contains("--allow-public-without-protection"), "{message}");
    assert!(refused(&with(&tls), &[]).contains("--tokens"));
    let protected = [&public[..], &tls, &["--tokens", &tokens]].concat();
    assert!(!served(&protected, &[]).0.access.is_open());
    let (_, warnings) = served(&with(&["--allow-public-without-protection"]), &[]);
    assert!(
        warnings.iter().any(|warning| warning.contains("there is no tokens") || warning.contains("no TLS"))
    );
    for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
        served(&["--bind", local], &[]);
    }
}

#[test]
fn durability_can_only_be_given_up_in_so_many_words() {
    let (config, warnings) = served(&["--no-sync", "--preset", "baseline"], &[]);
    assert!(!config.options().sync && config.options().wait == Wait::AfterRelease);
    assert!(warnings.iter().any(|warning| warning.contains("may be lost")), "{warnings:?}");
    assert!(config.durability().starts_with("NONE"));
    assert!(served(&[], &[]).0.options().sync);
}

#[test]
#[cfg(not(feature = "loom"))]
fn every_preset_opens_a_database() {
    for preset in ["baseline", "option1", "option2", "option4"] {
        let (config, _) = served(&["--preset", preset, "--pool", "1MiB", "--log-max", "1MiB"], &[]);
        let folder = tempfile::tempdir().unwrap();
        tree::Database::open(folder.path(), config.options()).unwrap().close().unwrap();
    }
}

#[test]
fn a_mistyped_variable_is_told() {
    let (_, warnings) = served(&[], &[("HEDGEHOG_BINDD", "x"), ("HEDGEHOG_URL", "y"), ("PATH", "z")]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("HEDGEHOG_BINDD"));
}
