//! What a request is: its name in metrics, who may do it, and which limits do not concern it.

use axum::http::Method;

use crate::config::Role;

/// A kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Operation {
    /// As metrics name it.
    pub name: &'static str,
    /// The role that it takes; none means that everybody may.
    pub needs: Option<Role>,
    /// Whether it is answered however many requests are in flight: a probe must tell a busy node from a dead one.
    pub always_admitted: bool,
    /// Whether it may take longer than the request time-out, because it touches the whole database.
    pub long: bool,
    /// Whether it changes something, so that without an answer nobody knows whether it has.
    pub writes: bool,
    /// Whether the token may stand in the query, as browsers cannot send headers with an event stream.
    pub token_in_query: bool,
}

const READ: Operation = Operation {
    name: "other",
    needs: Some(Role::Read),
    always_admitted: false,
    long: false,
    writes: false,
    token_in_query: false,
};
const WRITE: Operation = Operation { needs: Some(Role::Write), writes: true, ..READ };
const PROBE: Operation = Operation { needs: None, always_admitted: true, ..READ };
const OPEN: Operation = Operation { needs: None, ..READ };

/// Judges a request by its method and by the route that the router has chosen for it: what the router does and what
/// is allowed cannot differ. A method or route that is unknown here takes the role that its method does.
pub fn of(method: &Method, route: Option<&str>) -> Operation {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let by_method = if reads { READ } else { WRITE };
    let named = |name| Operation { name, ..by_method };
    let admin = |long| Operation { needs: Some(Role::Admin), long, ..by_method };
    let Some(route) = route else { return by_method };
    match route {
        "/api/v1/tables/{table}/items/{key}" => match *method {
            Method::PUT => named("put_item"),
            Method::DELETE => named("delete_item"),
            _ if reads => named("get_item"),
            _ => by_method,
        },
        "/api/v1/tables/{table}/batch" if !reads => named("batch"),
        "/api/v1/tables/{table}/items" if reads => named("scan_items"),
        "/api/v1/tables/{table}/count" if reads => named("table_count"),
        "/api/v1/tables/{table}" if *method == Method::DELETE => named("delete_table"),
        "/api/v1/tables" if reads => named("list_tables"),
        "/api/v1/tables" if *method == Method::POST => named("create_table"),
        "/api/v1/events" if reads => Operation { token_in_query: true, ..READ },
        "/api/v1/config" => admin(false),
        "/api/v1/check" | "/api/v1/backup" | "/api/v1/restore" => admin(true),
        "/api/v1/cluster/nodes" if !reads => admin(false),
        "/livez" | "/readyz" if reads => PROBE,
        "/metrics" if reads => Operation { always_admitted: true, ..READ },
        "/" | "/api/v1/health" if reads => OPEN,
        _ if reads && route.starts_with("/assets/") => OPEN,
        _ => by_method,
    }
}

/// The method as metrics name it.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes;

    #[test]
    fn operations_have_the_names_that_dashboards_know() {
        let items = "/api/v1/tables/{table}/items/{key}";
        for (method, route, name) in [
            (Method::PUT, items, "put_item"),
            (Method::GET, items, "get_item"),
            (Method::DELETE, items, "delete_item"),
            (Method::GET, "/api/v1/tables/{table}/items", "scan_items"),
            (Method::GET, "/api/v1/tables/{table}/count", "table_count"),
            (Method::GET, "/api/v1/tables", "list_tables"),
            (Method::POST, "/api/v1/tables", "create_table"),
            (Method::DELETE, "/api/v1/tables/{table}", "delete_table"),
            (Method::POST, "/api/v1/tables/{table}/batch", "batch"),
            (Method::GET, "/api/v1/stats", "other"),
        ] {
            assert!(routes::listed().contains(&(method.clone(), route)), "{method} {route} is no route");
            assert_eq!(of(&method, Some(route)).name, name);
        }
    }

    #[test]
    fn every_route_that_changes_something_takes_more_than_reading() {
        let open = ["/livez", "/readyz", "/api/v1/health"];
        for (method, route) in routes::listed() {
            let needs = of(&method, Some(route)).needs;
            if method == Method::GET {
                assert_eq!(needs.is_none(), open.contains(&route), "{method} {route}: {needs:?}");
            } else {
                assert!(needs >= Some(Role::Write), "{method} {route}: {needs:?}");
            }
        }
        assert_eq!(of(&Method::DELETE, Some("/metrics")).needs, Some(Role::Write));
        assert_eq!(of(&Method::PATCH, None).needs, Some(Role::Write));
    }

    #[test]
    fn what_concerns_the_whole_database_is_for_admins() {
        for (method, route) in [
            (Method::POST, "/api/v1/backup"),
            (Method::POST, "/api/v1/restore"),
            (Method::GET, "/api/v1/config"),
            (Method::GET, "/api/v1/check"),
            (Method::POST, "/api/v1/cluster/nodes"),
        ] {
            assert!(routes::listed().contains(&(method.clone(), route)), "{method} {route} is no route");
            assert_eq!(of(&method, Some(route)).needs, Some(Role::Admin), "{method} {route}");
            assert_eq!(of(&Method::HEAD, Some("/api/v1/backup")).needs, Some(Role::Admin));
        }
    }
}
