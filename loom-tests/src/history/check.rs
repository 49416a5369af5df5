//! The search for an order, and what to say where there is none.

use std::collections::BTreeMap;
use std::fmt;

use super::{Action, If, Operation, Register, ValueId, Write};

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Operations, each key of a batch or a scan counted.
    pub operations: u64,
    /// Registers, each with a history of its own.
    pub registers: u64,
    /// Operations whose outcome nobody knows, or that a crash may have taken back.
    pub open: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.operations += other.operations;
        self.registers += other.registers;
        self.open += other.open;
    }
}

/// No order of the operations on a register explains their answers.
#[derive(Clone)]
pub struct Violation {
    /// The register.
    pub register: Register,
    /// What had happened when the first answer came that cannot be explained, in the order of the calls.
    history: Vec<Operation>,
    crashes: Vec<u64>,
}

/// Lines of a history that a message has at most: what comes before them is rarely of use.
const SHOWN: usize = 60;

pub(super) fn check(operations: &[Operation], crashes: &[u64]) -> Result<Report, Violation> {
    let mut registers: BTreeMap<Register, Vec<Operation>> = BTreeMap::new();
    let mut report = Report::default();
    for operation in operations {
        let operation = as_known(*operation, crashes);
        report.operations += 1;
        report.open += u64::from(operation.returned.is_none());
        registers.entry(operation.register).or_default().push(operation);
    }
    report.registers = registers.len() as u64;
    // One search a register, on this thread: under a model checker there is no other.
    for (register, mut history) in registers {
        history.sort_by_key(|operation| operation.called);
        if !explains(&history, crashes) {
            let history = shortest(&history, crashes);
            return Err(Violation { register, history, crashes: crashes.to_vec() });
        }
    }
    Ok(report)
}

/// The operation without what its client cannot know: whether a write outlived the crash that came after it.
fn as_known(mut operation: Operation, crashes: &[u64]) -> Operation {
    let crashed = (operation.era as usize) < crashes.len();
    if let Action::Write { applied, .. } = &mut operation.action
        && crashed
        && !operation.durable
    {
        operation.returned = None;
        *applied = None;
    }
    operation
}

/// The shortest prefix of the history that has no explanation. Every prefix of one that has an explanation has one.
fn shortest(history: &[Operation], crashes: &[u64]) -> Vec<Operation> {
    let mut ends: Vec<_> = history.iter().filter_map(|operation| operation.returned).collect();
    ends.sort_unstable();
    let until =
        |end: u64| -> Vec<_> { history.iter().filter_map(|&operation| before(operation, end)).collect() };
    let happened = |end: u64| -> Vec<_> { crashes.iter().copied().filter(|&crash| crash < end).collect() };
    let good = ends.partition_point(|&end| explains(&until(end), &happened(end)));
    ends.get(good).map_or_else(|| history.to_vec(), |&end| until(end))
}

/// The operation as it stood when the clock was at `end`.
fn before(mut operation: Operation, end: u64) -> Option<Operation> {
    if operation.called > end {
        return None;
    }
    if operation.returned.is_some_and(|returned| returned > end) {
        operation.returned = None;
        match &mut operation.action {
            Action::Write { applied, .. } => *applied = None,
            Action::Read(_) => return None,
        }
    }
    Some(operation)
}

fn explains(history: &[Operation], crashes: &[u64]) -> bool {
    let crashes = crashes.iter().map(|&at| event(None, at, Some(at), Step::Crash));
    let operations = history.iter().map(|operation| {
        let step = Step::Operation { era: operation.era, action: operation.action };
        event(Some(operation.client), operation.called, operation.returned, step)
    });
    porcupine_rs::check_operations::<Map>(&crashes.chain(operations).collect::<Vec<_>>())
}

fn event(
    client_id: Option<u32>,
    called: u64,
    returned: Option<u64>,
    op: Step,
) -> porcupine_rs::Operation<Map> {
    let return_time = returned.map_or(i64::MAX, u64::cast_signed);
    porcupine_rs::Operation { client_id, call_time: called.cast_signed(), return_time, op, metadata: None }
}

/// One register of a plain map, in a machine whose power fails now and then.
#[derive(Clone, Debug)]
struct Map;

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct State {
    era: u32,
    value: Option<ValueId>,
}

#[derive(Clone, Debug)]
enum Step {
    Operation { era: u32, action: Action },
    Crash,
}

impl porcupine_rs::Model for Map {
    type State = State;
    type Op = Step;
    type Metadata = ();

    fn init() -> State {
        State::default()
    }

    fn step(state: &State, step: &Step) -> (bool, State) {
        match *step {
            Step::Crash => (true, State { era: state.era + 1, value: state.value }),
            // An open operation that comes behind the crash: it never took effect.
            Step::Operation { era, .. } if era != state.era => (true, state.clone()),
            Step::Operation { action: Action::Read(value), .. } => (value == state.value, state.clone()),
            Step::Operation { action: Action::Write { write, applied }, .. } => {
                let holds = write.condition.holds(state.value);
                let value = if holds { write.value } else { state.value };
                (applied.is_none_or(|applied| applied == holds), State { era: state.era, value })
            }
        }
    }
}

impl If {
    fn holds(self, value: Option<ValueId>) -> bool {
        match self {
            If::Always => true,
            If::Absent => value.is_none(),
            If::Present => value.is_some(),
            If::Equals(expected) => value == Some(expected),
        }
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = self.history.iter().max_by_key(|operation| operation.returned) else {
            return write!(f, "register {}: an empty history has no explanation", self.register);
        };
        writeln!(f, "register {}: no order explains the answer of", self.register)?;
        writeln!(f, "  {last}")?;
        let hidden = self.history.len().saturating_sub(SHOWN);
        writeln!(
            f,
            "after these calls ({hidden} earlier ones not shown), power losses at {:?}:",
            self.crashes
        )?;
        self.history[hidden..].iter().try_for_each(|operation| writeln!(f, "  {operation}"))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let returned = self.returned.map_or("open".to_string(), |returned| returned.to_string());
        write!(f, "client {:>2} [{:>6}, {returned:>6}] ", self.client, self.called)?;
        match self.action {
            Action::Read(None) => f.write_str("reads nothing"),
            Action::Read(Some(value)) => write!(f, "reads {value:#x}"),
            Action::Write { write: Write { condition, value }, applied } => {
                match value {
                    Some(value) => write!(f, "sets {value:#x}")?,
                    None => f.write_str("removes")?,
                }
                match condition {
                    If::Equals(expected) => write!(f, " if {expected:#x}")?,
                    condition => write!(f, " if {condition:?}")?,
                }
                f.write_str(match applied {
                    Some(true) => ": applied",
                    Some(false) => ": not applied",
                    None => ": unknown",
                })
            }
        }
    }
}
