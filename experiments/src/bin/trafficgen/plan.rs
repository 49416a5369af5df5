//! The search for the limit: which rate comes next, and when a step has passed.

use serde::Serialize;

/// Part of the offered rate that a step has to achieve.
pub(crate) const ACHIEVED_SHARE: f64 = 0.95;
/// A bisection ends when the lowest failed rate is this close to the highest passed one.
const BISECTED: f64 = 1.05;
/// No node is offered more requests a second than this.
pub(crate) const RATE_LIMIT: f64 = 1_000_000.0;

/// How rates follow each other.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Growth {
    /// By so many requests a second.
    Step(f64),
    /// By this factor.
    Factor(f64),
    /// Doubled until a step fails, then halfway between the highest passed and the lowest failed rate.
    Bisect,
}

/// The rates of a search, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    growth: Growth,
    rate: f64,
    passed: Option<f64>,
    failed: Option<f64>,
}

impl Search {
    /// Begins at `initial` requests a second.
    pub(crate) fn new(growth: Growth, initial: f64) -> Search {
        Search { growth, rate: initial, passed: None, failed: None }
    }

    /// The rate to try now.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// Enters the step's verdict; returns whether there is another one to try.
    pub(crate) fn enter(&mut self, passed: bool) -> bool {
        if passed {
            self.passed = Some(self.rate);
        } else {
            self.failed = Some(self.rate);
        }
        let next = match (self.growth, self.passed, self.failed) {
            (Growth::Step(step), _, None) => Some(self.rate + step),
            (Growth::Factor(factor), _, None) => Some(self.rate * factor),
            (Growth::Bisect, _, None) => Some(self.rate * 2.0),
            (Growth::Bisect, Some(passed), Some(failed)) if failed > passed * BISECTED => {
                Some((passed + failed) / 2.0)
            }
            // The first rate was too high already: look below it.
            (Growth::Bisect, None, Some(failed)) if failed > 1.0 => Some(failed / 2.0),
            _ => None,
        };
        match next.filter(|next| *next <= RATE_LIMIT) {
            Some(next) => {
                self.rate = next;
                true
            }
            None => false,
        }
    }
}

/// What a step has to keep.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rule {
    /// The 95th percentile of the latency in ms, where it is limited.
    pub(crate) p95_limit_ms: Option<f64>,
    /// Share of requests that may fail or time out.
    pub(crate) error_threshold: f64,
}

/// A step's figures as far as the rule looks at them.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Figures {
    /// Requests a second that were due.
    pub(crate) offered: f64,
    /// Requests a second that were done.
    pub(crate) achieved: f64,
    /// The 95th percentile of the latency in ms.
    pub(crate) p95_ms: f64,
    /// Share of requests that failed or timed out.
    pub(crate) error_share: f64,
}

impl Rule {
    /// Why a step has failed; `None` where it has passed.
    pub(crate) fn broken(&self, figures: Figures) -> Option<String> {
        let Figures { offered, achieved, p95_ms, error_share } = figures;
        if error_share > self.error_threshold {
            let (share, limit) = (error_share * 100.0, self.error_threshold * 100.0);
            return Some(format!("{share:.1} % of the requests failed or timed out, more than {limit:.1} %"));
        }
        if achieved < ACHIEVED_SHARE * offered {
            let share = achieved / offered * 100.0;
            return Some(format!("achieved {share:.0} % of what was offered, less than 95 %"));
        }
        match self.p95_limit_ms {
            Some(limit) if p95_ms > limit => {
                Some(format!("p95 of {p95_ms:.0} ms, over the limit of {limit:.0} ms"))
            }
            _ => None,
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    /// The rates tried against a node that manages `limit`.
    fn tried(growth: Growth, initial: f64, limit: f64) -> Vec<f64> {
        let mut search = Search::new(growth, initial);
        let mut rates = vec![search.rate()];
        while search.enter(search.rate() <= limit) {
            rates.push(search.rate());
        }
        rates
    }

    #[test]
    fn steps_and_factors_end_with_the_first_failure() {
        assert_eq!(tried(Growth::Step(25.0), 50.0, 100.0), [50.0, 75.0, 100.0, 125.0]);
        assert_eq!(tried(Growth::Factor(1.5), 100.0, 200.0), [100.0, 150.0, 225.0]);
        assert_eq!(tried(Growth::Step(25.0), 50.0, 10.0), [50.0]);
    }

    #[test]
    fn bisection_comes_within_five_percent_in_few_steps() {
        for limit in [70.0, 1_234.0, 55_555.0] {
            let rates = tried(Growth::Bisect, 50.0, limit);
            let best = rates.iter().copied().filter(|rate| *rate <= limit).fold(0.0, f64::max);
            assert!(best > limit / 1.06, "{limit}: {rates:?}");
            assert!(rates.len() <= 17, "{limit}: {rates:?}");
        }
    }

    #[test]
    fn bisection_looks_below_a_first_rate_that_was_too_high() {
        let rates = tried(Growth::Bisect, 1_000.0, 300.0);
        assert_eq!(rates[..3], [1_000.0, 500.0, 250.0]);
        assert!(rates.last().is_some_and(|last| (280.0..320.0).contains(last)), "{rates:?}");
        assert_eq!(tried(Growth::Bisect, 8.0, 0.0).last(), Some(&1.0));
    }

    #[test]
    fn no_search_goes_past_the_rate_limit() {
        assert!(tried(Growth::Factor(10.0), 1.0, f64::MAX).iter().all(|rate| *rate <= RATE_LIMIT));
    }

    #[test]
    fn a_step_passes_only_where_it_keeps_all_of_the_rule() {
        let rule = Rule { p95_limit_ms: Some(300.0), error_threshold: 0.05 };
        let good = Figures { offered: 1_000.0, achieved: 951.0, p95_ms: 299.0, error_share: 0.05 };
        assert_eq!(rule.broken(good), None);
        let broken = |figures| rule.broken(figures).unwrap();
        assert!(broken(Figures { achieved: 949.0, ..good }).contains("of what was offered"));
        assert!(broken(Figures { p95_ms: 301.0, ..good }).contains("p95"));
        assert!(broken(Figures { error_share: 0.051, ..good }).contains("failed"));
        let unlimited = Rule { p95_limit_ms: None, ..rule };
        assert_eq!(unlimited.broken(Figures { p95_ms: 1e6, ..good }), None);
    }
}
