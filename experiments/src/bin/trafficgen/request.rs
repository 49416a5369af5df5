//! Requests as bytes, built from parts that were prepared once.

use std::io::Write;

use experiments::traffic::Table;

use crate::target::Target;

/// The parts of all requests that do not change.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    /// For each target: what stands before `/api/v1`, and the `Host` line with all lines of the user's own.
    nodes: Vec<(String, String)>,
    put_query: String,
    query: String,
}

impl Requests {
    /// `headers` are whole lines, each with its line end; `query` is what follows the question mark in every request
    /// to an item, `put_suffix` what puts have besides.
    pub(crate) fn new(targets: &[Target], headers: &str, query: &str, put_suffix: &str) -> Requests {
        let mark = |query: String| if query.is_empty() { query } else { format!("?{query}") };
        let both = [query, put_suffix].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
        let node = |target: &Target| {
            (target.base.clone(), format!(" HTTP/1.1\r\nHost: {}\r\n{headers}", target.authority))
        };
        Requests {
            nodes: targets.iter().map(node).collect(),
            put_query: mark(both.join("&")),
            query: mark(query.to_string()),
        }
    }

    /// Replaces `request` by a put of `document`.
    pub(crate) fn put(&self, node: usize, table: Table, key: &[u8], document: &[u8], request: &mut Vec<u8>) {
        self.item(b"PUT ", node, table, key, &self.put_query, request);
        request.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        // Writing to a vector cannot fail.
        let _ = write!(request, "{}\r\n\r\n", document.len());
        request.extend_from_slice(document);
    }

    /// Replaces `request` by a get.
    pub(crate) fn get(&self, node: usize, table: Table, key: &[u8], request: &mut Vec<u8>) {
        self.item(b"GET ", node, table, key, &self.query, request);
        request.extend_from_slice(b"\r\n");
    }

    /// Replaces `request` by a delete.
    pub(crate) fn delete(&self, node: usize, table: Table, key: &[u8], request: &mut Vec<u8>) {
        self.item(b"DELETE ", node, table, key, &self.query, request);
        request.extend_from_slice(b"\r\n");
    }

    /// A request outside the measured ones: to `path`, which begins with `/api/v1`, with a JSON body or none.
    pub(crate) fn call(&self, node: usize, method: &str, path: &str, body: Option<&str>) -> Vec<u8> {
        let (base, headers) = &self.nodes[node];
        let body = body.map_or_else(String::new, |body| {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        });
        let end = if body.is_empty() { "\r\n" } else { "" };
        format!("{method} {base}{path}{headers}{end}{body}").into_bytes()
    }

    /// The request line and the headers that all have. The keys of the traffic need no escaping.
    fn item(&self, method: &[u8], node: usize, table: Table, key: &[u8], query: &str, request: &mut Vec<u8>) {
        let (base, headers) = &self.nodes[node];
        request.clear();
        let table = table.name().as_bytes();
        let parts = [
            method,
            base.as_bytes(),
            b"/api/v1/tables/",
            table,
            b"/items/",
            key,
            query.as_bytes(),
            headers.as_bytes(),
        ];
        parts.iter().for_each(|part| request.extend_from_slice(part));
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn requests() -> Requests {
        let targets = ["http://127.0.0.1:8081".parse().unwrap(), "http://proxy:80/b".parse().unwrap()];
        Requests::new(&targets, "Authorization: Bearer t\r\n", "consistency=strong", "dry_run=true")
    }

    #[test]
    fn a_put_has_its_query_its_headers_and_its_length() {
        let mut bytes = vec![1, 2, 3];
        requests().put(0, Table::Users, b"user-1000", b"{\"a\":1}", &mut bytes);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "PUT /api/v1/tables/users/items/user-1000?consistency=strong&dry_run=true HTTP/1.1\r\n\
             Host: 127.0.0.1:8081\r\nAuthorization: Bearer t\r\nContent-Type: application/json\r\n\
             Content-Length: 7\r\n\r\n{\"a\":1}"
        );
    }

    #[test]
    fn gets_and_deletes_have_no_body_and_the_targets_path() {
        let mut bytes = Vec::new();
        requests().get(1, Table::Orders, b"order-1000", &mut bytes);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "GET /b/api/v1/tables/orders/items/order-1000?consistency=strong HTTP/1.1\r\n\
             Host: proxy:80\r\nAuthorization: Bearer t\r\n\r\n"
        );
        requests().delete(1, Table::Orders, b"order-1000", &mut bytes);
        assert!(bytes.starts_with(b"DELETE /b/api/v1/") && bytes.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn without_a_query_there_is_no_question_mark() {
        let requests = Requests::new(&["http://x:1".parse().unwrap()], "", "", "");
        let mut bytes = Vec::new();
        requests.put(0, Table::Products, b"prod-100", b"{}", &mut bytes);
        assert!(bytes.starts_with(b"PUT /api/v1/tables/products/items/prod-100 HTTP/1.1\r\n"));
    }
}
