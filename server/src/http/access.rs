//! What each route asks for: the one place where that is said.
//!
//! `guard` refuses whatever has no line here, and a test holds this table against the API document, which carries the
//! same words: a route without a line can neither be reached nor committed.

use crate::auth::Scope;

/// What a request to a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing at all, whatever the settings.
    Open,
    /// A token of this scope, or nothing where `access.anonymous` lets everybody in.
    Scoped(Scope),
    /// The same, and the token must be for the id in the path.
    OfId(Scope),
}

impl Access {
    /// The scope that is asked for, if any.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Open => None,
            Self::Scoped(scope) | Self::OfId(scope) => Some(scope),
        }
    }
}

/// Method, path as the router has it, what it needs, and what it costs of the caller's rate. HEAD is as GET.
pub const ROUTES: &[(&str, &str, Access, u32)] = &[
    ("GET", "/", Access::Open, 1),
    ("GET", "/healthz", Access::Open, FREE),
    ("GET", "/readyz", Access::Open, FREE),
    ("GET", "/openapi.json", Access::Open, 1),
    ("GET", "/api", Access::Open, 1),
    ("GET", "/metrics", Access::Scoped(Scope::Read), 1),
    ("GET", "/registry.json", Access::Scoped(Scope::Read), 1),
    ("GET", "/{owner}/{repo}/{reference}/registry.json", Access::Scoped(Scope::Read), 1),
    ("GET", "/artifacts/{name}", Access::Scoped(Scope::Read), 1),
    ("GET", "/{owner}/{repo}/{reference}/artifacts/{name}", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/computes", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/computes/{id}", Access::Scoped(Scope::Read), 1),
    ("PUT", "/v1/computes/{id}", Access::OfId(Scope::Publish), PUBLISH),
    ("PATCH", "/v1/computes/{id}", Access::OfId(Scope::Publish), CHANGE),
    ("DELETE", "/v1/computes/{id}", Access::OfId(Scope::Publish), CHANGE),
    ("GET", "/v1/computes/{id}/revisions", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/computes/{id}/verification", Access::Scoped(Scope::Read), 1),
    ("POST", "/v1/computes/{id}/verification", Access::OfId(Scope::Compute), CHANGE),
    ("POST", "/v1/evaluate", Access::Scoped(Scope::Compute), COMPUTE),
    ("GET", "/v1/tokens", Access::Scoped(Scope::Admin), 1),
    ("POST", "/v1/tokens", Access::Scoped(Scope::Admin), CHANGE),
    ("DELETE", "/v1/tokens/{id}", Access::Scoped(Scope::Admin), CHANGE),
    ("GET", "/v1/audit", Access::Scoped(Scope::Admin), 1),
    ("POST", "/v1/admin/scrub", Access::Scoped(Scope::Admin), CHANGE),
    ("POST", "/v1/admin/gc", Access::Scoped(Scope::Admin), CHANGE),
    ("POST", "/v1/admin/backup", Access::Scoped(Scope::Admin), CHANGE),
    ("GET", "/v1/admin/tasks", Access::Scoped(Scope::Admin), 1),
    ("GET", "/v1/admin/tasks/{id}", Access::Scoped(Scope::Admin), 1),
    ("GET", "/v1/admin/pins", Access::Scoped(Scope::Admin), 1),
    ("PUT", "/v1/admin/pins/{digest}", Access::Scoped(Scope::Admin), CHANGE),
    ("DELETE", "/v1/admin/pins/{digest}", Access::Scoped(Scope::Admin), CHANGE),
    ("GET", "/v1/admin/quarantine", Access::Scoped(Scope::Admin), CHANGE),
    ("DELETE", "/v1/admin/quarantine/{digest}", Access::Scoped(Scope::Admin), CHANGE),
    ("PUT", "/v1/admin/computes/{id}/variant", Access::Scoped(Scope::Admin), CHANGE),
    ("GET", "/v1/admin/settings", Access::Scoped(Scope::Admin), 1),
    ("POST", "/v1/graphs", Access::Scoped(Scope::Compute), COMPUTE),
    ("GET", "/v1/graphs/{hash}", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/graphs/{hash}/definitions", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/graphs/{hash}/computes", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/graphs/{hash}/artifacts", Access::Scoped(Scope::Read), 1),
    ("POST", "/v1/eliminations", Access::Scoped(Scope::Compute), COMPUTE),
    ("GET", "/v1/mirror", Access::Scoped(Scope::Read), SCAN),
    ("POST", "/v1/mirror/sync", Access::Scoped(Scope::Admin), CHANGE),
    ("GET", "/v1/mirror/passes", Access::Scoped(Scope::Read), SCAN),
    ("GET", "/v1/mirror/passes/{number}", Access::Scoped(Scope::Admin), 1),
    ("GET", "/v1/mirror/passes/{number}/faults", Access::Scoped(Scope::Admin), 1),
    ("GET", "/v1/mirror/passes/{number}/changes", Access::Scoped(Scope::Admin), 1),
    ("GET", "/v1/mirror/quarantine", Access::Scoped(Scope::Admin), 1),
    ("POST", "/v1/mirror/quarantine/{number}", Access::Scoped(Scope::Admin), CHANGE),
    ("GET", "/v1/jobs", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/jobs/{id}", Access::Scoped(Scope::Read), 1),
    ("DELETE", "/v1/jobs/{id}", Access::Scoped(Scope::Compute), CHANGE),
    ("GET", "/v1/jobs/{id}/events", Access::Scoped(Scope::Read), 1),
    ("GET", "/v1/blobs/sha256/{digest}", Access::Scoped(Scope::Read), 1),
    ("PUT", "/v1/blobs/sha256/{digest}", Access::Scoped(Scope::Publish), CHANGE),
    ("GET", "/v1/blobs/sha256/{digest}/upload", Access::Scoped(Scope::Publish), 1),
    ("DELETE", "/v1/blobs/sha256/{digest}/upload", Access::Scoped(Scope::Publish), CHANGE),
];

/// What is asked by probes and must always be answered.
pub(super) const FREE: u32 = 0;

/// What keeps processors busy.
const COMPUTE: u32 = 10;

/// What writes to the disk.
const CHANGE: u32 = 10;

/// What reads, decodes, makes anew and stores a file, and renders the registry.
const PUBLISH: u32 = 50;

/// What the query of a route costs at least: whatever chooses among all computes may read all of them. No index spares that:
/// what a caller does not see is passed over first, so that the time an answer takes says nothing about it.
pub(super) fn of_query(path: &str, query: Option<&str>) -> u32 {
    let names = query.unwrap_or_default().split('&').filter_map(|pair| pair.split('=').next());
    let prices = names.map(|name| match name {
        "" | "cursor" | "limit" => 0,
        "origin" => SCAN_COLUMNS,
        "domain" | "model_type" | "status" | "tag" => SCAN_ENTRIES,
        // The text of each is searched. A name that is written in another way may mean the same.
        _ => SCAN,
    });
    if path == "/v1/computes" { prices.max().unwrap_or(0) } else { 0 }
}

/// What reads a whole table, and every text in it: three milliseconds for a thousand computes.
const SCAN: u32 = 50;

/// What reads one text of every entry: half as long.
const SCAN_ENTRIES: u32 = 25;

/// What leaves entries unread: half a millisecond for a thousand.
const SCAN_COLUMNS: u32 = 10;

/// Bytes of a body that cost one point more.
pub(super) const BYTES_PER_POINT: u64 = 256 << 10;

/// How long a body may be. Those of models and those of files have limits of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLimit {
    /// `http.max_body_bytes`.
    Usual,
    /// `models.max_body_bytes`.
    Model,
    /// `uploads.max_blob_bytes`.
    File,
}

/// Which limit the bodies of a route have.
pub(super) fn body_limit(path: &str) -> BodyLimit {
    match path {
        "/v1/evaluate" | "/v1/graphs" | "/v1/eliminations" => BodyLimit::Model,
        "/v1/blobs/sha256/{digest}" => BodyLimit::File,
        _ => BodyLimit::Usual,
    }
}

/// What a token costs that opens nothing: guessing is slow.
pub(super) const REFUSED: u32 = 20;

/// Need and cost of a route; `None` for one that is not there.
pub fn required(method: &str, path: &str) -> Option<(Access, u32)> {
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES
        .iter()
        .find(|(known, at, ..)| *known == method && *at == path)
        .map(|&(_, _, access, cost)| (access, cost))
}

/// The methods a path answers, as the `Allow` header has them; empty for a path that is not there.
pub(super) fn allowed(path: &str) -> String {
    let methods = ROUTES.iter().filter(|(_, at, ..)| *at == path);
    let methods: Vec<_> =
        methods.map(|(method, ..)| if *method == "GET" { "GET,HEAD" } else { method }).collect();
    methods.join(",")
}

#[cfg(test)]
mod tests {
    use super::{Access, ROUTES, SCAN, SCAN_COLUMNS, SCAN_ENTRIES, allowed, of_query, required};
    use crate::auth::Scope;

    #[test]
    fn every_route_of_the_api_document_has_its_line_and_no_line_is_idle() {
        let document: serde_json::Value = serde_json::from_str(&crate::http::api_document_json()).unwrap();
        let mut documented = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                documented.push((method.to_uppercase(), path.clone()));
            }
        }
        let mut declared: Vec<_> =
            ROUTES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
        documented.sort();
        declared.sort();
        assert_eq!(documented, declared);
    }

    /// Method and path of every route as the source of the router has them: the router itself cannot be asked.
    fn routed() -> Vec<(String, String)> {
        let source = include_str!("mod.rs");
        let mut routed = Vec::new();
        for call in source.split(".route(").skip(1) {
            let mut texts = call.splitn(3, '"');
            let (path, rest) = (texts.nth(1).unwrap(), texts.next().unwrap());
            // To the parenthesis that closes the call.
            let mut depth = 1;
            let end = rest.find(|sign| {
                depth += match sign {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                depth == 0
            });
            let handlers = &rest[..end.unwrap()];
            for method in ["get", "post", "put", "patch", "delete"] {
                let begins = |at: usize| !handlers[..at].ends_with(|before: char| before.is_alphanumeric());
                let count =
                    handlers.match_indices(&format!("{method}(")).filter(|(at, _)| begins(*at)).count();
                assert!(count <= 1, "{path} has two handlers of {method}");
                if count == 1 {
                    routed.push((method.to_uppercase(), path.to_owned()));
                }
            }
        }
        routed
    }

    #[test]
    fn the_router_has_the_routes_of_the_table_and_no_other() {
        let mut declared: Vec<_> =
            ROUTES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
        let mut routed = routed();
        declared.sort();
        routed.sort();
        assert_eq!(routed, declared);
    }

    #[test]
    fn what_reads_whole_tables_costs_what_it_takes() {
        for query in [
            "search=king",
            "limit=1&search=king&origin=local",
            "cursor=a&%74ag=x",
            "tag=x&whatever",
            "+search=a",
        ] {
            assert_eq!(of_query("/v1/computes", Some(query)), SCAN, "{query}");
        }
        for query in ["tag=x", "cursor=a&tag=x&origin=local", "status=served", "model_type=a", "domain="] {
            assert_eq!(of_query("/v1/computes", Some(query)), SCAN_ENTRIES, "{query}");
        }
        assert_eq!(of_query("/v1/computes", Some("limit=5&origin=mirror")), SCAN_COLUMNS);
        for query in [None, Some(""), Some("cursor=a&limit=5")] {
            assert_eq!(of_query("/v1/computes", query), 0, "{query:?}");
        }
        assert_eq!(of_query("/v1/jobs", Some("state=done")), 0);
        for path in ["/v1/mirror", "/v1/mirror/passes"] {
            assert_eq!(required("GET", path), Some((Access::Scoped(Scope::Read), SCAN)), "{path}");
        }
    }

    #[test]
    fn a_head_is_as_a_get() {
        assert_eq!(required("HEAD", "/healthz"), Some((Access::Open, 0)));
        assert_eq!(required("GET", "/v1/audit"), Some((Access::Scoped(Scope::Admin), 1)));
        assert_eq!(required("POST", "/healthz"), None);
        assert_eq!((allowed("/v1/tokens").as_str(), allowed("/nowhere").as_str()), ("GET,HEAD,POST", ""));
    }
}
