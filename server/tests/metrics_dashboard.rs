//! Every expression of the Grafana dashboard is PromQL, and asks for nothing that a node does not export.
#![cfg(not(feature = "loom"))]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use common::Node;
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

const DASHBOARD: &str = include_str!("../../experiments/observability/dashboards/hedgehogdb-overview.json");

/// What Prometheus itself adds to a series that it scrapes.
const ADDED: [&str; 2] = ["instance", "job"];

#[test]
fn every_expression_names_only_metrics_and_labels_that_a_node_exports() {
    let node = Node::start(&[]);
    node.create_table("users");
    node.put("/api/v1/tables/users/items/a?consistency=strong", "{}");
    let exported = exported_by(&node);
    let expressions = expressions();
    assert!(expressions.len() > 20, "{expressions:#?}");
    for text in expressions {
        let expression = parser::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut asked = Asked::default();
        let Ok(_) = walk_expr(&mut asked, &expression);
        assert!(!asked.metrics.is_empty(), "{text} asks for nothing");
        let mut known: BTreeSet<_> = ADDED.map(str::to_string).into();
        for metric in &asked.metrics {
            let labels = exported.get(metric).unwrap_or_else(|| panic!("{text}: {metric} is not exported"));
            known.extend(labels.iter().cloned());
        }
        let unknown: Vec<_> = asked.labels.difference(&known).collect();
        assert!(unknown.is_empty(), "{text}: no metric in it has {unknown:?}");
    }
}

#[test]
fn the_expressions_that_people_already_use_are_among_them() {
    let expressions = expressions();
    for known in [
        "sum(rate(hedgehog_http_requests_total[1m])) by (operation)",
        "histogram_quantile(0.95, sum(rate(hedgehog_http_request_duration_seconds_bucket[1m])) by (le))",
    ] {
        assert!(expressions.iter().any(|expression| expression == known), "{known}");
    }
}

#[test]
fn the_dashboard_is_the_one_that_links_lead_to_and_every_panel_says_what_it_shows() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert_eq!(dashboard["uid"], "hedgehogdb-overview");
    for panel in panels(&dashboard) {
        let described = !panel["description"].as_str().unwrap_or_default().is_empty();
        assert!(described || panel["type"] == "row", "{}", panel["title"]);
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert!(!target["legendFormat"].as_str().unwrap_or_default().is_empty(), "{}", panel["title"]);
        }
    }
}

/// The metrics that an expression asks for, and the labels that it selects or groups by.
#[derive(Default)]
struct Asked {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl ExprVisitor for Asked {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        match expression {
            Expr::VectorSelector(selector) => self.select(selector),
            Expr::MatrixSelector(range) => self.select(&range.vs),
            Expr::Aggregate(aggregate) => {
                let by = aggregate.modifier.iter().flat_map(|modifier| &modifier.labels().labels);
                self.labels.extend(by.cloned());
            }
            _ => {}
        }
        Ok(true)
    }
}

impl Asked {
    fn select(&mut self, selector: &VectorSelector) {
        self.metrics.extend(selector.name.clone());
        self.labels.extend(selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()));
    }
}

fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().unwrap()
}

fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let targets = panels(&dashboard).iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_string()).collect()
}

/// The series of a node, as soon as the trees' shapes, which are looked at once in some seconds, are among them.
fn exported_by(node: &Node) -> BTreeMap<String, BTreeSet<String>> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = node.get("/metrics").text();
        if text.contains("hedgehog_node_fill_ratio{") {
            return exported(&text);
        }
        assert!(Instant::now() < deadline, "{text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The names of all series, each with the labels that it has.
fn exported(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut exported = BTreeMap::<_, BTreeSet<_>>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
        exported.entry(name.to_string()).or_default().extend(labels.map(|(label, _)| label.to_string()));
    }
    exported
}
