//! Faults that can be planted when the crates are compiled, to show that the tests catch them.
//!
//! A fault is an expression `planted!("its-name")` at the place where a programmer could have got it wrong. It is
//! `false` at compile time unless the feature `mutants` is on and the environment variable `PLANTED_FAULT` has
//! that name while the crate is compiled. `loom-tests` has the list, and the command that tries them all.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` is for tests: no release carries planted faults");

/// Whether the fault of that name is planted in the crate that asks.
#[doc(hidden)]
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        const { cfg!(feature = "mutants") && $crate::mutant::is_named(option_env!("PLANTED_FAULT"), $name) }
    };
}

/// Whether `planted` is `name`.
#[doc(hidden)]
pub const fn is_named(planted: Option<&str>, name: &str) -> bool {
    let Some(planted) = planted else { return false };
    let (planted, name) = (planted.as_bytes(), name.as_bytes());
    let mut at = 0;
    while at < planted.len() && at < name.len() && planted[at] == name[at] {
        at += 1;
    }
    at == planted.len() && at == name.len()
}
