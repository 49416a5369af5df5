//! What must be there after a crash, and what may.
//!
//! A partition's operations stand in its log in the order in which they were applied, so what a crash leaves of
//! it is the state behind a prefix of them: one that has everything that was acknowledged. Partitions that share
//! a log share the prefix as well. What a batch does to one partition is one step of it.

use std::collections::{BTreeMap, VecDeque};

/// Keys and values.
pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// What one operation sets (`Some`) and removes (`None`) in one partition, at once.
pub(super) type Step = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// One partition: what it holds for certain, and what came behind that.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The state that cannot be lost any more.
    durable: Model,
    /// The steps behind it, with their numbers in the order of all partitions.
    later: VecDeque<(u64, Step)>,
    /// The state behind all steps.
    pub(super) current: Model,
}

impl History {
    pub(super) fn push(&mut self, number: u64, step: Step) {
        apply(&mut self.current, &step);
        self.later.push_back((number, step));
    }

    /// The steps up to that number are durable.
    pub(super) fn acknowledge(&mut self, number: u64) {
        while let Some((_, step)) = self.later.pop_front_if(|(later, _)| *later <= number) {
            apply(&mut self.durable, &step);
        }
    }

    /// The last step that may be lost yet and has touched the key.
    pub(super) fn last_touch(&self, key: &[u8]) -> Option<u64> {
        let touches = |step: &Step| step.iter().any(|(other, _)| other == key);
        self.later.iter().rev().find(|(_, step)| touches(step)).map(|(number, _)| *number)
    }

    /// The number of the last step that may be lost yet.
    pub(super) fn last(&self) -> Option<u64> {
        self.later.back().map(|(number, _)| *number)
    }

    fn difference(&self, found: &Model) -> String {
        let keys: std::collections::BTreeSet<_> = self.durable.keys().chain(found.keys()).collect();
        let differing = keys.into_iter().filter(|&key| self.durable.get(key) != found.get(key));
        let short = |value: Option<&Vec<u8>>| {
            value.map(|value| format!("{} bytes {:?}", value.len(), &value[..value.len().min(4)]))
        };
        let text = |key: &Vec<u8>| {
            let (wanted, found) = (short(self.durable.get(key)), short(found.get(key)));
            format!("{}: {found:?} instead of {wanted:?}", key.escape_ascii())
        };
        differing.map(text).collect::<Vec<_>>().join("; ")
    }
}

fn apply(model: &mut Model, step: &Step) {
    for (key, value) in step {
        match value {
            Some(value) => drop(model.insert(key.clone(), value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

/// Compares what a recovery has found in the partitions of one log with what may be there, and takes it for
/// durable from now on.
///
/// # Errors
/// What was found is behind no prefix of the steps that has all that was acknowledged.
pub(super) fn settle(mut partitions: Vec<(&mut History, Model)>) -> Result<(), String> {
    let differs = |(history, found): &(&mut History, Model)| history.durable != *found;
    let mut differing: Vec<bool> = partitions.iter().map(differs).collect();
    let differences = || -> Vec<String> {
        let of = |(history, found): &(&mut History, Model)| history.difference(found);
        partitions.iter().map(of).filter(|text| !text.is_empty()).collect()
    };
    let at_first = if differing.contains(&true) { differences().join("; ") } else { String::new() };
    let mut skipped = 0;
    while differing.contains(&true) {
        let first = |(history, _): &(&mut History, Model)| history.later.front().map(|(number, _)| *number);
        let next = (0..partitions.len()).filter_map(|index| Some((first(&partitions[index])?, index))).min();
        let Some((number, index)) = next else {
            return Err(format!(
                "no prefix of the {skipped} operations since the last acknowledged one leaves this state. Where it \
                 differs from what was acknowledged: {at_first}"
            ));
        };
        partitions[index].0.acknowledge(number);
        differing[index] = differs(&partitions[index]);
        skipped += 1;
    }
    for (history, found) in partitions {
        *history = History { durable: found.clone(), later: VecDeque::new(), current: found };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Step {
        vec![(key.into(), Some(b"1".to_vec()))]
    }

    fn holding(keys: &[&str]) -> Model {
        keys.iter().map(|key| (key.as_bytes().to_vec(), b"1".to_vec())).collect()
    }

    /// Two partitions: `a`, `c` and `e` go to the first, `b` and `d` to the second; `a` is acknowledged.
    fn histories() -> [History; 2] {
        let mut histories = [History::default(), History::default()];
        for (number, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            histories[number % 2].push(number as u64, put(key));
        }
        histories.iter_mut().for_each(|history| history.acknowledge(0));
        histories
    }

    fn settles(first: &[&str], second: &[&str], shared: bool) -> bool {
        let [mut one, mut two] = histories();
        let (one, two) = ((&mut one, holding(first)), (&mut two, holding(second)));
        match shared {
            true => settle(vec![one, two]).is_ok(),
            false => settle(vec![one]).is_ok() && settle(vec![two]).is_ok(),
        }
    }

    #[test]
    fn a_prefix_with_all_that_was_acknowledged_is_accepted() {
        for shared in [true, false] {
            assert!(settles(&["a"], &[], shared));
            assert!(settles(&["a", "c"], &["b"], shared));
            assert!(settles(&["a", "c", "e"], &["b", "d"], shared));
        }
    }

    #[test]
    fn what_was_acknowledged_must_be_there_and_nothing_may_be_skipped() {
        for shared in [true, false] {
            assert!(!settles(&[], &[], shared));
            assert!(!settles(&["a", "e"], &["b"], shared));
            assert!(!settles(&["a"], &["d"], shared));
        }
    }

    #[test]
    fn partitions_of_one_log_share_the_prefix() {
        assert!(settles(&["a", "c", "e"], &[], false));
        assert!(!settles(&["a", "c", "e"], &[], true));
    }
}
