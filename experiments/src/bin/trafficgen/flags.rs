//! Flags with one dash, as existing scripts write them: `-write-stress-p95-limit 300`, `-urls=a,b`, `-stress=true`.

/// The arguments as the parser wants them: long flags with two dashes. `switches` are the flags without a value; a
/// value that is given to one all the same, `=true` or `=false`, is obeyed.
pub(crate) fn normalised(
    arguments: impl IntoIterator<Item = String>,
    switches: &[&str],
) -> impl Iterator<Item = String> {
    arguments.into_iter().filter_map(move |argument| {
        let Some(name) = long_name(&argument) else { return Some(argument) };
        match name.split_once('=') {
            Some((switch, "true")) if switches.contains(&switch) => Some(format!("--{switch}")),
            Some((switch, "false")) if switches.contains(&switch) => None,
            _ => Some(format!("--{name}")),
        }
    })
}

/// What follows the dashes of a long flag. One letter alone is a short flag, and a digit begins a number.
fn long_name(argument: &str) -> Option<&str> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    (name.len() > 1 && name.starts_with(|first: char| first.is_ascii_alphabetic())).then_some(name)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::normalised;

    fn normal(arguments: &str) -> String {
        let arguments = arguments.split(' ').map(str::to_string);
        normalised(arguments, &["stress", "closed"]).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn long_flags_get_their_second_dash() {
        assert_eq!(
            normal("-write-stress -urls http://a,http://b"),
            "--write-stress --urls http://a,http://b"
        );
        assert_eq!(normal("--duration=5s -duration=5s"), "--duration=5s --duration=5s");
    }

    #[test]
    fn short_flags_numbers_and_values_stay_as_they_are() {
        assert_eq!(normal("-h -V - -- -5 -0.5 a-b x"), "-h -V - -- -5 -0.5 a-b x");
    }

    #[test]
    fn switches_may_say_true_or_false() {
        assert_eq!(normal("-stress=true -closed=false x"), "--stress x");
        assert_eq!(normal("-path-suffix=true"), "--path-suffix=true");
    }
}
