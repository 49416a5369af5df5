//! One check: a test target of the workspace, built with a fault and run within a time limit.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A test target.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    /// Beside `mutants`, separated by commas.
    pub(crate) features: &'static str,
    /// The name of the integration test; the library's own tests if empty.
    pub(crate) target: &'static str,
}

/// How a check ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    Failed {
        /// Those that failed, or that it did not end.
        tests: String,
    },
}

impl Check {
    /// Builds the target with the fault, and runs those of its tests whose names contain `test`.
    ///
    /// # Errors
    /// The target cannot be built: that is no verdict on the fault.
    pub(crate) fn run(
        &self,
        root: &Path,
        fault: Option<&str>,
        test: &str,
        limit: Duration,
    ) -> Result<Outcome, String> {
        let built = self.command(root, fault, &["--no-run"]).output().map_err(cannot("run cargo"))?;
        if !built.status.success() {
            let output = String::from_utf8_lossy(&built.stderr);
            return Err(format!("{} does not build with the fault {fault:?}:\n{output}", self.name));
        }
        let mut command = self.command(root, fault, &["--", "--test-threads", "1"]);
        command.args((!test.is_empty()).then_some(test)).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own, so that cargo and the test that it runs can be ended together.
        let mut child = command.process_group(0).spawn().map_err(cannot("run cargo"))?;
        let mut stdout = child.stdout.take().ok_or("no output")?;
        let reader = thread::spawn(move || {
            let mut output = Vec::new();
            let _ = stdout.read_to_end(&mut output);
            String::from_utf8_lossy(&output).into_owned()
        });
        let passed = wait(&mut child, limit)?;
        let output = reader.join().map_err(|_| "the output cannot be read")?;
        if passed == Some(true) {
            return if ran_a_test(&output) { Ok(Outcome::Passed) } else { Err(self.ran_nothing(test)) };
        }
        Ok(Outcome::Failed { tests: failed(&output, passed.is_none(), limit) })
    }

    fn command(&self, root: &Path, fault: Option<&str>, more: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(root).args(["test", "--quiet", "-p", self.package, "--features"]);
        command.arg(["mutants", self.features].join(",").trim_end_matches(','));
        match self.target {
            "" => command.arg("--lib"),
            target => command.args(["--test", target]),
        };
        command.args(more).env_remove("PLANTED_FAULT").envs(fault.map(|name| ("PLANTED_FAULT", name)));
        command
    }

    fn ran_nothing(&self, test: &str) -> String {
        format!("{} has no test whose name contains {test:?}: the list of faults is wrong", self.name)
    }
}

fn cannot(what: &str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("cannot {what}: {error}")
}

/// Whether the child ended well; `None` where it did not end in time.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<bool>, String> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().map_err(cannot("wait for cargo"))? {
            return Ok(Some(status.success()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    stop(child)?;
    Ok(None)
}

/// Ends the child's group.
fn stop(child: &mut Child) -> Result<(), String> {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.kill();
    child.wait().map(drop).map_err(cannot("wait for cargo"))
}

/// `--quiet` still prints how many tests passed.
fn ran_a_test(output: &str) -> bool {
    output.lines().any(|line| line.starts_with("test result: ok.") && !line.contains(" 0 passed"))
}

fn failed(output: &str, hung: bool, limit: Duration) -> String {
    let names: Vec<_> = failures(output).collect();
    match (names.is_empty(), hung) {
        (false, _) => names.join(", "),
        (true, true) => format!("did not end in {} s", limit.as_secs()),
        // An abort: a panic while panicking, or a stack overflow.
        (true, false) => "the test process died".to_string(),
    }
}

/// The names in the list of failures that ends the output of a test.
fn failures(output: &str) -> impl Iterator<Item = String> {
    let list = output.rsplit("failures:\n").next().filter(|_| output.contains("failures:\n"));
    let lines = list.unwrap_or_default().lines().take_while(|line| line.starts_with("    "));
    lines.map(|line| line.trim().to_string())
}
