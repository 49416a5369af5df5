//! The description of the interface, which is a file beside the sources and is checked against the routes.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// OpenAPI 3.1.
const DOCUMENT: &str = include_str!("../openapi.json");

pub(super) async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_names_the_routes_and_no_others() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, calls)| {
                let methods = calls.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let routed: BTreeSet<_> =
            crate::routes::listed().iter().map(|(method, path)| format!("{method} {path}")).collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn the_description_asks_for_the_roles_that_the_guard_asks_for() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        for (method, path) in crate::routes::listed() {
            let call = &document["paths"][path][method.as_str().to_lowercase()];
            let needs = crate::guard::operation::of(&method, Some(path)).needs;
            assert_eq!(call["x-role"], needs.map_or("open", |role| role.name()), "{method} {path}");
            assert_eq!(call["security"].is_array(), needs.is_some(), "{method} {path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let (mut rest, mut found) = (vec![&document], 0);
        while let Some(value) = rest.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(reference) = members.get("$ref") {
                        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{pointer}");
                        found += 1;
                    }
                    rest.extend(members.values());
                }
                Value::Array(items) => rest.extend(items),
                _ => {}
            }
        }
        assert!(found > 50, "only {found} references were looked at");
    }
}
