//! The API document against the routes there are, and the pages for people.

use phasic_hub_tests::http::send;
use phasic_hub_tests::hub::{Hub, run, token};

use super::{Fixture, ID, fixture};

#[test]
fn health_pages_and_the_home_page_say_what_they_should() {
    let fixture = fixture();
    let hub = &fixture.hub;
    assert_eq!(hub.get("/healthz").json(), serde_json::json!({"status": "live"}));
    assert_eq!(hub.get("/readyz").json(), serde_json::json!({"status": "ready"}));
    let home = hub.get("/");
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = home.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let base = format!("http://{}/registry.json", hub.address());
    assert!(home.text().contains(&base) && home.text().contains(ID) && !home.text().contains("<script"));
}

#[test]
fn every_route_is_documented_and_every_documented_route_answers() {
    let fixture = fixture();
    let Fixture { hub, model, data } = &*fixture;
    let admin =
        ["token", "create", "--name", "all", "--scope", "admin", "--data", data.path().to_str().unwrap()];
    let admin = String::from_utf8(run(&admin).stdout).unwrap();
    let authorization = format!("Bearer {}", admin.trim());
    let authorization = [("Authorization", authorization.as_str())];
    let document = hub.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        let target = path
            .replace("{name}", &format!("{}.bin", model.hash))
            .replace("{id}", "none")
            .replace("{number}", "987654321")
            .replace("{hash}", &model.hash)
            .replace("{owner}/{repo}/{reference}", "o/r/master");
        for (method, operation) in
            operations.as_object().unwrap().iter().filter(|(method, _)| *method != "get")
        {
            // What these do has tests of its own; here they say, as documented, that nothing is no request.
            let answer = send(hub.address(), &method.to_uppercase(), &target, &authorization, b"{}");
            // But for tasks and passes, which are begun without being told anything.
            let begins = answer.status == 202 && path.starts_with("/v1/admin/")
                || answer.status == 200 && path == "/v1/mirror/sync";
            assert!(begins || matches!(answer.status, 400 | 404 | 422), "{method} {path}: {answer:?}");
            assert!(operation["responses"].get(answer.status.to_string()).is_some(), "{method} {path}");
        }
        if operations.get("get").is_none() {
            continue;
        }
        let answer = hub.request("GET", &target, &authorization);
        if ["{id}", "{digest}", "{number}"].iter().any(|what| path.contains(what)) {
            assert_eq!(answer.status, 404, "{path}");
            assert_ne!(answer.json()["code"], "route_not_found", "{path}");
            assert!(operations["get"]["responses"].get("404").is_some(), "{path}");
            continue;
        }
        assert_eq!(answer.status, 200, "{path}");
        let documented = operations["get"]["responses"]["200"]["content"].as_object().unwrap();
        let content_type = answer.header("content-type").unwrap().split(';').next().unwrap();
        assert!(documented.contains_key(content_type), "{path}: {content_type}");
    }
}

#[test]
fn whatever_nonsense_is_sent_the_answer_is_one_that_is_documented() {
    let data = tempfile::tempdir().unwrap();
    let small = "65536";
    let settings =
        [("http_max_body_bytes", small), ("models_max_body_bytes", small), ("rate_per_second", "0")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let authorization = format!("Bearer {}", token(data.path(), "admin"));
    let authorization = ("Authorization", authorization.as_str());
    let document = hub.get("/openapi.json").json();
    let long = vec![b' '; 70_000];
    let (mut answers, mut refusals) = (0, 0);
    for (path, operations) in document["paths"].as_object().unwrap() {
        for name in ["%ff", "a%20b", "none", "7"] {
            let target: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { name } else { part })
                .collect::<Vec<_>>()
                .join("/");
            for query in ["", "?limit=x&cursor=%ff&after=x&state=x&private=x&all=x&paths=x&nonsense=1"] {
                for (method, operation) in operations.as_object().unwrap() {
                    for body in [&b""[..], b"[", b"{}", &long] {
                        if method == "get" && !body.is_empty() {
                            continue;
                        }
                        let method = method.to_uppercase();
                        let target = format!("{target}{query}");
                        // Bodies that are not empty say their length by themselves.
                        let headers = [authorization, ("Content-Length", "0")];
                        let headers = &headers[..if body.is_empty() { 2 } else { 1 }];
                        let answer = send(hub.address(), &method, &target, headers, body);
                        let documented = &operation["responses"][answer.status.to_string()];
                        let told = format!("{method} {target} with {} bytes: {}", body.len(), answer.status);
                        assert!(documented.is_object(), "{told}");
                        if answer.status >= 400 {
                            let code = answer.json()["code"].as_str().unwrap().to_owned();
                            let about = documented["description"].as_str().unwrap();
                            assert!(
                                about.contains(&format!("`{code}`")),
                                "{told} {code}, documented: {about}"
                            );
                            refusals += 1;
                        }
                        answers += 1;
                    }
                }
            }
        }
    }
    assert!(answers > 500 && refusals > answers / 2, "{refusals} of {answers}");
}

#[test]
fn the_page_of_the_api_is_found_from_everywhere_and_needs_nothing_from_elsewhere() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let page = hub.get("/api");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for (path, operations) in hub.get("/openapi.json").json()["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            assert!(
                page.text().contains(&format!("<code>{} {path}</code>", method.to_uppercase())),
                "{path}"
            );
        }
    }
    assert!(!page.text().contains("<script"));
    assert!(hub.get("/").text().contains("href=\"/api\""));
    assert!(hub.get("/nowhere").json()["detail"].as_str().unwrap().contains("GET /api"));
    for path in ["/api", "/openapi.json"] {
        let tag = hub.get(path).header("etag").unwrap().to_owned();
        assert_eq!(hub.request("GET", path, &[("If-None-Match", &tag)]).status, 304, "{path}");
    }
}

#[test]
fn the_document_says_which_parameters_a_list_takes() {
    let fixture = fixture();
    let (hub, admin) = (&fixture.hub, token(fixture.data.path(), "admin"));
    let document = hub.get("/openapi.json").json();
    let is_invalid = |target: &str| {
        let answer = hub.get_as(&admin, target);
        answer.status == 400 && answer.json()["code"] == "invalid_request"
    };
    let (mut limits, mut digests) = (0, 0);
    for (path, operations) in document["paths"].as_object().unwrap() {
        let some = "0".repeat(64);
        let path = path.replace("{id}", ID).replace("{number}", "1").replace("{hash}", &some);
        let path =
            path.replace("{owner}/{repo}/{reference}", "a/b/c").replace("{name}", &format!("{some}.bin"));
        for parameter in operations["get"]["parameters"].as_array().into_iter().flatten() {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let refused = |value: &str| is_invalid(&format!("{path}?{name}={value}"));
            if name == "limit" {
                limits += 1;
                let (least, most) =
                    (schema["minimum"].as_i64().unwrap(), schema["maximum"].as_i64().unwrap());
                for value in [least, most] {
                    assert!(!refused(&value.to_string()), "{path}: {value}");
                }
                for value in [least - 1, most + 1] {
                    assert!(refused(&value.to_string()), "{path}: {value}");
                }
            }
            if name == "cursor" && schema["type"] == "integer" {
                assert!(schema["minimum"] == 0 && !refused("0") && refused("-1"), "{path}");
            }
            if schema["pattern"] == "^[0-9a-f]{64}$" && parameter["in"] == "query" {
                digests += 1;
                assert!(!refused(&some) && refused("0") && refused(&"F".repeat(64)), "{path}: {name}");
            }
        }
    }
    assert_eq!((limits, digests), (15, 7));
}

#[test]
fn the_document_says_where_a_body_may_be_left_out() {
    let fixture = fixture();
    let (hub, admin) = (&fixture.hub, token(fixture.data.path(), "admin"));
    let document = hub.get("/openapi.json").json();
    let mut optional = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let body = &operation["requestBody"];
            if !body["content"]["application/json"].is_object() {
                continue;
            }
            let target =
                path.replace("{digest}", &"0".repeat(64)).replace("{id}", "nobodys").replace("{number}", "1");
            let bearer = format!("Bearer {admin}");
            let answer = hub.request(&method.to_uppercase(), &target, &[("authorization", &bearer)]);
            let is_invalid = answer.status == 400 && answer.json()["code"] == "invalid_request";
            assert_eq!(is_invalid, body["required"] == true, "{method} {path}: {}", answer.text());
            optional.extend(Some(path.clone()).filter(|_| !is_invalid));
        }
    }
    assert_eq!(optional, ["/v1/admin/backup", "/v1/admin/gc", "/v1/admin/pins/{digest}", "/v1/mirror/sync"]);
}
