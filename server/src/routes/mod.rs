//! The interface: which call does what.
//!
//! | file | calls |
//! |---|---|
//! | `tables.rs` | tables and their counts |
//! | `items.rs` | one item: put, get, delete |
//! | `scan.rs` | items of a table, streamed |
//! | `batch.rs` | several operations at once |
//! | `node.rs` | the node, and the cluster as a single node is one |
//! | `figures.rs` | metrics, snapshots, server-sent events |
//! | `backup.rs` | check, backup, restore |
//! | `openapi.rs` | the description of all of them |

mod backup;
mod batch;
mod figures;
mod items;
mod node;
mod openapi;
mod request;
mod scan;
mod tables;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::routing::{MethodFilter, on};

use crate::app::App;
use crate::dashboard;
use crate::error::ApiError;

/// Routes under construction, and the list of them that the description is checked against.
struct Routes {
    router: Router<App>,
    listed: Vec<(Method, &'static str)>,
}

impl Routes {
    fn on<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = match method {
            Method::PUT => MethodFilter::PUT,
            Method::POST => MethodFilter::POST,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        self.router = self.router.route(path, on(filter, handler));
        self.listed.push((method, path));
        self
    }
}

fn routes() -> Routes {
    let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    Routes { router: Router::new(), listed: Vec::new() }
        .on(post.clone(), "/api/v1/tables", tables::create)
        .on(get.clone(), "/api/v1/tables", tables::list)
        .on(delete.clone(), "/api/v1/tables/{table}", tables::remove)
        .on(get.clone(), "/api/v1/tables/{table}/count", tables::count)
        .on(get.clone(), "/api/v1/tables/{table}/items", scan::scan)
        .on(post.clone(), "/api/v1/tables/{table}/batch", batch::batch)
        .on(put, "/api/v1/tables/{table}/items/{key}", items::put)
        .on(get.clone(), "/api/v1/tables/{table}/items/{key}", items::get)
        .on(delete, "/api/v1/tables/{table}/items/{key}", items::delete)
        .on(get.clone(), "/api/v1/cluster/status", node::status)
        .on(get.clone(), "/api/v1/cluster/nodes", node::nodes)
        .on(post.clone(), "/api/v1/cluster/nodes", node::add)
        .on(get.clone(), "/api/v1/cluster/table-counts", node::table_counts)
        .on(get.clone(), "/api/v1/health", node::health)
        .on(get.clone(), "/livez", node::health)
        .on(get.clone(), "/readyz", node::ready)
        .on(get.clone(), "/api/v1/config", node::config)
        .on(get.clone(), "/metrics", figures::metrics)
        .on(get.clone(), "/api/v1/stats", figures::stats)
        .on(get.clone(), "/api/v1/events", figures::events)
        .on(get.clone(), "/api/v1/check", backup::check)
        .on(post.clone(), "/api/v1/backup", backup::backup)
        .on(post, "/api/v1/restore", backup::restore)
        .on(get, "/api/v1/openapi.json", openapi::document)
}

/// All calls of a node, without the middleware.
pub fn router(app: App) -> Router {
    let all = routes().router.merge(dashboard::routes());
    all.fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(app)
}

/// Every call of the interface: methods and paths, as the router knows them.
pub fn listed() -> Vec<(Method, &'static str)> {
    routes().listed
}

async fn unknown(uri: Uri) -> ApiError {
    ApiError::not_found(format!(
        "there is nothing at {:?}; /api/v1/openapi.json lists what there is",
        uri.path()
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} is not a method of {:?}", uri.path());
    ApiError::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, message)
}
