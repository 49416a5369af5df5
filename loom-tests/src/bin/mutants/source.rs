//! The list of faults and the source must agree: a fault that is nowhere planted would only seem to survive, and
//! one that is not listed would never be tried.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::list::Mutant;

/// # Errors
/// A name that only the list or only the source has, or a folder that cannot be read.
pub(crate) fn expect_planted(root: &Path, mutants: &[Mutant]) -> Result<(), String> {
    let mut planted = BTreeSet::new();
    for member in ["wal/src", "tree/src", "cluster/src"] {
        collect(&root.join(member), &mut planted)?;
    }
    let listed: BTreeSet<_> = mutants.iter().map(|mutant| mutant.name.to_string()).collect();
    if listed == planted {
        return Ok(());
    }
    let differ: Vec<_> = listed.symmetric_difference(&planted).cloned().collect();
    Err(format!("the list of faults and the source differ in: {}", differ.join(", ")))
}

fn collect(path: &Path, planted: &mut BTreeSet<String>) -> Result<(), String> {
    let cannot_read = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(cannot_read)? {
            collect(&entry.map_err(cannot_read)?.path(), planted)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("mutant.rs") {
        let text = fs::read_to_string(path).map_err(cannot_read)?;
        let names = text.split("planted!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        planted.extend(names.map(str::to_string));
    }
    Ok(())
}
