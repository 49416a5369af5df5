//! Ten thousand crash points, and the proof that the simulator sees what is lost.
//!
//! The simulations are those of the program `simulate`, which runs them in a process of their own; a million take
//! one command, and a violation prints the one that repeats it.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use std::process::{Command, Output};

use loom_tests::simulation::{Decisions, Settings, Simulation, fuzz};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulate")).args(arguments).output().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_at_ten_thousand_crash_points() {
    let output = simulate(&["--crashes", "10000", "--seed", "1", "--threads", "1"]);
    let (figures, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{figures}");
    assert!(output.status.success(), "{figures}{errors}");
    assert!(figures.contains("power loss, in recovery") && figures.contains("violations"));
}

#[test]
fn a_seed_does_the_same_every_time() {
    let run = || simulate(&["--crashes", "500", "--seed", "77", "--threads", "1"]).stdout;
    assert_eq!(run(), run());
}

#[test]
fn a_disk_that_lies_about_syncs_is_noticed() {
    let settings = Settings { lying_disk: true, ..Settings::default() };
    let noticed = |seed: &u64| Simulation::run(&mut Decisions::from_seed(*seed), &settings).is_err();
    let noticed = (0..40).filter(noticed).count();
    println!("{noticed} of 40 simulations on a disk that lies end in a violation");
    assert!(noticed >= 30, "{noticed}");
}

#[test]
fn simulations_of_any_bytes_end_without_a_violation() {
    for seed in 0..300_u64 {
        let mut decisions = Decisions::from_seed(seed);
        let len = decisions.below(600);
        let bytes: Vec<_> = (0..len).map(|_| decisions.below(256) as u8).collect();
        fuzz(&bytes);
        fuzz(&vec![bytes.first().copied().unwrap_or(0); len as usize]);
    }
}

#[test]
fn the_stored_inputs_of_the_fuzzer_end_without_a_violation() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/operations");
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!inputs.is_empty(), "{folder} is empty");
    inputs.iter().for_each(|input| fuzz(&std::fs::read(input).unwrap()));
    println!("{} stored inputs", inputs.len());
}
