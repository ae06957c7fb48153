//! The API document as a page for people: every route, parameter, body, answer and example, every type, every problem.
//! Made of the document alone, so that neither knows more than the other. No scripts, nothing from elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use phasic_hub_api::ProblemCode;
use serde_json::Value;

use super::document::api_document_json;
use super::fixed::Fixed;
use super::html::{STYLE, escape, inline, prose};

/// What references to types begin with.
const TYPES: &str = "#/components/schemas/";

/// This API as a page: every route with its parameters, bodies, answers, problems and an example, and every type.
///
/// ```text
/// curl -s http://127.0.0.1:8787/api
/// ```
#[utoipa::path(
    get,
    path = "/api",
    tag = "operations",
    responses(
        (status = 200, description = "HTML without scripts", content_type = "text/html", body = String),
        (status = 304, description = "The client has it"),
    )
)]
pub(super) async fn api_page(headers: HeaderMap) -> Response<Body> {
    static PAGE: LazyLock<Fixed> = LazyLock::new(|| {
        let document = serde_json::from_str(&api_document_json()).unwrap_or_default();
        Fixed::page(page(&document))
    });
    PAGE.answer(&headers)
}

fn page(document: &Value) -> String {
    let info = &document["info"];
    let title = escape(text(&info["title"]));
    let sections = sections(document);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}: API</title>\n<style>{STYLE}</style>\n\
         <h1>{title}: API</h1>\n<p><a href=\"/\">This hub</a> · <a href=\"/openapi.json\">openapi.json</a> · \
         <a href=\"#types\">Types</a> · <a href=\"#problems\">Problems</a>\n{about}{contents}{routes}{types}{problems}</html>\n",
        about = prose(text(&info["description"])),
        contents = sections.iter().map(|(contents, _)| contents.as_str()).collect::<String>(),
        routes = sections.iter().map(|(_, routes)| routes.as_str()).collect::<String>(),
        types = types(&document["components"]["schemas"]),
        problems = problems(),
    )
}

/// For each tag a list of links, and its routes.
fn sections(document: &Value) -> Vec<(String, String)> {
    let tags = document["tags"].as_array().into_iter().flatten();
    let section = |tag: &Value| {
        let name = escape(text(&tag["name"]));
        let about = inline(text(&tag["description"]));
        let mut contents = format!("<h2>{name}</h2>\n<p>{about}\n<ul>\n");
        let mut routes = String::new();
        for (path, method, operation) in operations(document) {
            if operation["tags"][0] != tag["name"] {
                continue;
            }
            let (name, anchor) = (escape(&format!("{method} {path}")), anchor(&method, path));
            let summary = inline(text(&operation["summary"]));
            // Writing to a string cannot fail.
            let _ = writeln!(contents, "<li><a href=\"#{anchor}\"><code>{name}</code></a> {summary}");
            let _ = writeln!(routes, "<h3 id=\"{anchor}\"><code>{name}</code></h3>\n<p>{summary}");
            routes += &route(operation);
        }
        contents += "</ul>\n";
        (contents, routes)
    };
    tags.map(section).collect()
}

/// Every operation of the document, in its order.
fn operations(document: &Value) -> impl Iterator<Item = (&str, String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.to_uppercase(), operation))
    })
}

/// What a link to an operation leads to.
fn anchor(method: &str, path: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    format!("{}{}", method.to_lowercase(), path.chars().map(plain).collect::<String>())
}

fn route(operation: &Value) -> String {
    let mut html = prose(text(&operation["description"]));
    html += &asks_for(operation);
    let rows = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
        let must = if parameter["required"] == true { "required" } else { "" };
        [
            format!("<code>{}</code>", escape(text(&parameter["name"]))),
            escape(text(&parameter["in"])),
            kind(&parameter["schema"]),
            must.to_owned(),
            inline(text(&parameter["description"])),
        ]
    });
    html += &table("Parameters", rows);
    let body = &operation["requestBody"];
    if !body.is_null() {
        let must = if body["required"] == true { "" } else { ", or none" };
        let about = inline(text(&body["description"]));
        let _ = writeln!(html, "<p><b>Body</b>: {}{must}. {about}", contents(body));
    }
    let answers = operation["responses"].as_object().into_iter().flatten();
    let rows = answers
        .map(|(status, answer)| [escape(status), inline(text(&answer["description"])), contents(answer)]);
    html + &table("Answers", rows)
}

/// What an operation asks for, in a sentence.
fn asks_for(operation: &Value) -> String {
    let scope = escape(text(&operation["x-access"]));
    match (scope.as_str(), operation["x-access-of-id"] == true) {
        ("open", _) => "<p>Asks for no token.\n".to_owned(),
        ("read", _) => {
            "<p>Asks for the scope <code>read</code>, or for no token where everybody may read.\n".to_owned()
        }
        (scope, false) => format!("<p>Asks for the scope <code>{scope}</code>.\n"),
        (scope, true) => format!("<p>Asks for the scope <code>{scope}</code>, with a token for the id.\n"),
    }
}

/// The media types of a body or an answer, with their types.
fn contents(holder: &Value) -> String {
    let contents = holder["content"].as_object().into_iter().flatten();
    let one = |(media, content): (&String, &Value)| {
        let kind = kind(&content["schema"]);
        let media = format!("<code>{}</code>", escape(media));
        if kind.is_empty() { media } else { format!("{kind} as {media}") }
    };
    contents.map(one).collect::<Vec<_>>().join(", ")
}

/// A table under a title; nothing where it has no rows.
fn table<const N: usize>(title: &str, rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.map(|row| format!("<tr><td>{}\n", row.join("<td>"))).collect();
    let rows = rows.concat();
    if rows.is_empty() { rows } else { format!("<p><b>{title}</b>\n<table>\n{rows}</table>\n") }
}

fn types(schemas: &Value) -> String {
    let mut html = "<h2 id=\"types\">Types</h2>\n".to_owned();
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        let name = escape(name);
        let about = prose(text(&schema["description"]));
        let _ = writeln!(html, "<h3 id=\"type-{name}\"><code>{name}</code></h3>\n{about}{}", shape(schema));
    }
    html
}

/// What a type is made of.
fn shape(schema: &Value) -> String {
    let members = members(schema);
    if members.is_empty() {
        return format!("<p>{}\n", kind(schema));
    }
    table("Members", members.into_iter())
}

/// The members of an object, or of all objects it is made of.
fn members(schema: &Value) -> Vec<[String; 4]> {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let inherited = parts.clone().filter_map(|part| part["$ref"].as_str()).map(|reference| {
        let all = format!("all of {}", link(reference));
        [String::new(), all, String::new(), String::new()]
    });
    let own = std::iter::once(schema).chain(parts).flat_map(|part| {
        let must = part["required"].as_array().cloned().unwrap_or_default();
        let members = part["properties"].as_object().into_iter().flatten();
        members.map(move |(name, member)| {
            let must = if must.iter().any(|one| one == name) { "required" } else { "" };
            let about = member["description"]
                .as_str()
                .or_else(|| member["oneOf"].as_array()?.iter().find_map(|one| one["description"].as_str()));
            [
                format!("<code>{}</code>", escape(name)),
                kind(member),
                must.to_owned(),
                inline(about.unwrap_or_default()),
            ]
        })
    });
    inherited.chain(own).collect()
}

/// A type in a few words, with links to those that have a name.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return link(reference);
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().map(|word| format!("<code>{}</code>", escape(&word.to_string())));
        return words.collect::<Vec<_>>().join(" or ");
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(kinds) = schema[choice].as_array() {
            return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if schema["type"] == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    let properties = schema["properties"].as_object();
    if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
        let members = properties
            .iter()
            .map(|(name, member)| format!("<code>{}</code>: {}", escape(name), kind(member)));
        return format!("object of {}", members.collect::<Vec<_>>().join(", "));
    }
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).map(escape).collect::<Vec<_>>().join(" or "),
        kind => escape(text(kind)),
    }
}

/// A link to a type with a name.
fn link(reference: &str) -> String {
    let name = escape(reference.strip_prefix(TYPES).unwrap_or(reference));
    format!("<a href=\"#type-{name}\"><code>{name}</code></a>")
}

fn problems() -> String {
    let rows = ProblemCode::ALL.iter().map(|code| {
        [format!("<code>{}</code>", code.as_str()), code.status().to_string(), escape(code.title())]
    });
    format!("<h2 id=\"problems\">Problems</h2>\n{}", table("Codes, with the status each comes with", rows))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use phasic_hub_api::ProblemCode;

    use super::{api_document_json, operations, page};

    /// What stands between `before` and the next quote, everywhere.
    fn all<'a>(html: &'a str, before: &str) -> HashSet<&'a str> {
        html.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn the_page_has_every_route_parameter_answer_and_type_and_every_link_leads_somewhere() {
        let document = serde_json::from_str(&api_document_json()).unwrap();
        let html = page(&document);
        let mut seen = 0;
        for (path, method, operation) in operations(&document) {
            let heading = format!("\"><code>{method} {path}</code></h3>");
            let at = html.find(&heading).unwrap_or_else(|| panic!("{method} {path}"));
            let section = html[at + heading.len()..].split("<h3").next().unwrap();
            assert!(section.contains("<pre>") && section.contains("curl "), "{method} {path} has an example");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let cell = format!("<td><code>{}</code><td>", parameter["name"].as_str().unwrap());
                assert!(section.contains(&cell), "{method} {path}: {cell}");
            }
            for status in operation["responses"].as_object().unwrap().keys() {
                assert!(section.contains(&format!("<td>{status}<td>")), "{method} {path}: {status}");
            }
            assert!(operation["requestBody"].is_null() || section.contains("<b>Body</b>"), "{method} {path}");
            seen += 1;
        }
        assert_eq!(seen, crate::http::ROUTES.len());
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(html.contains(&format!("id=\"type-{name}\"")), "{name}");
        }
        for code in ProblemCode::ALL {
            assert!(html.contains(&format!("<td><code>{}</code><td>{}", code.as_str(), code.status())));
        }
        let (links, anchors) = (all(&html, "href=\"#"), all(&html, "id=\""));
        assert_eq!(links.difference(&anchors).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("href=\"http"));
    }
}
