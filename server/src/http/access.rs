//! Which scope each route asks for: the one place where that is said.
//!
//! A test holds this table against the API document, so that a route without a line here cannot be.

use crate::auth::Scope;

/// What a request to a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing at all, whatever the settings.
    Open,
    /// A token of this scope, or nothing where the operator lets everybody in.
    Scoped(Scope),
}

/// Method, path as the router has it, and what it needs. HEAD is as GET.
pub const ROUTES: &[(&str, &str, Access)] = &[
    ("GET", "/", Access::Open),
    ("GET", "/healthz", Access::Open),
    ("GET", "/readyz", Access::Open),
    ("GET", "/openapi.json", Access::Open),
    ("GET", "/metrics", Access::Scoped(Scope::Read)),
    ("GET", "/registry.json", Access::Scoped(Scope::Read)),
    ("GET", "/{owner}/{repo}/{reference}/registry.json", Access::Scoped(Scope::Read)),
    ("GET", "/artifacts/{name}", Access::Scoped(Scope::Read)),
    ("GET", "/{owner}/{repo}/{reference}/artifacts/{name}", Access::Scoped(Scope::Read)),
    ("POST", "/v1/evaluate", Access::Scoped(Scope::Compute)),
];

/// What a route needs; `None` for one that is not there.
pub fn required(method: &str, path: &str) -> Option<Access> {
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES.iter().find(|(known, at, _)| *known == method && *at == path).map(|&(_, _, access)| access)
}

#[cfg(test)]
mod tests {
    use super::{Access, ROUTES, required};
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
            ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        documented.sort();
        declared.sort();
        assert_eq!(documented, declared);
    }

    #[test]
    fn a_head_is_as_a_get() {
        assert_eq!(required("HEAD", "/healthz"), Some(Access::Open));
        assert_eq!(required("POST", "/v1/evaluate"), Some(Access::Scoped(Scope::Compute)));
        assert_eq!(required("POST", "/healthz"), None);
    }
}
