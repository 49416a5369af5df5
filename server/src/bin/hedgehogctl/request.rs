//! A request as commands write it: method, path, query, conditions, body.

use std::fs::File;

use ureq::http::Method;

use crate::cli::Consistency;
use crate::escape::segment;

/// What a request carries.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Nothing.
    None,
    /// A JSON document.
    Json(Vec<u8>),
    /// A tar archive, sent from where the file stands.
    Tar(File),
}

/// A request to the node.
#[derive(Debug)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// Path and query, escaped.
    pub(crate) target: String,
    /// Conditions.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) payload: Payload,
    /// Whether the node may be silent for as long as the work takes.
    pub(crate) patient: bool,
}

impl Request {
    fn new(method: Method, path: impl Into<String>, payload: Payload) -> Request {
        Request { method, target: path.into(), headers: Vec::new(), payload, patient: false }
    }

    /// A `GET`.
    pub(crate) fn get(path: impl Into<String>) -> Request {
        Request::new(Method::GET, path, Payload::None)
    }

    /// A `DELETE`.
    pub(crate) fn delete(path: impl Into<String>) -> Request {
        Request::new(Method::DELETE, path, Payload::None)
    }

    /// A `PUT` of a JSON document.
    pub(crate) fn put(path: impl Into<String>, json: impl Into<Vec<u8>>) -> Request {
        Request::new(Method::PUT, path, Payload::Json(json.into()))
    }

    /// A `POST`.
    pub(crate) fn post(path: impl Into<String>, payload: Payload) -> Request {
        Request::new(Method::POST, path, payload)
    }

    /// Adds `name=value` to the query, escaped.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Request {
        let before = if self.target.contains('?') { '&' } else { '?' };
        self.target += &format!("{before}{name}={}", segment(value));
        self
    }

    /// As [`Request::query`], where there is a value.
    pub(crate) fn query_if(self, name: &str, value: Option<&str>) -> Request {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds `consistency` to the query.
    pub(crate) fn consistency(self, consistency: Consistency) -> Request {
        self.query("consistency", consistency.name())
    }

    /// Adds a header, where there is a value.
    pub(crate) fn header_if(mut self, name: &'static str, value: Option<String>) -> Request {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// Waits as long as the work takes: for calls whose answer begins only when they are done.
    pub(crate) fn patient(mut self) -> Request {
        self.patient = true;
        self
    }
}

/// The path of a table, `rest` behind it.
pub(crate) fn table_path(table: &str, rest: &str) -> String {
    format!("/api/v1/tables/{}{rest}", segment(table))
}

/// The path of an item.
pub(crate) fn item_path(table: &str, key: &str) -> String {
    table_path(table, &format!("/items/{}", segment(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_escaped() {
        let request = Request::get(item_path("a b", "c/d")).query("prefix", "x&y=z").query_if("end", None);
        let request = request.consistency(Consistency::Strong);
        assert_eq!(request.target, "/api/v1/tables/a%20b/items/c%2Fd?prefix=x%26y%3Dz&consistency=strong");
    }
}
