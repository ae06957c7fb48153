//! The settings in force, without what is secret in them.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::config::Config;
use crate::http::Services;
use crate::http::error::{ApiError, failed};

/// The settings in force, defaults included, without secrets.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/admin/settings -H "Authorization: Bearer $ADMIN"
/// ```
#[utoipa::path(
    get,
    path = "/v1/admin/settings",
    tag = "admin",
    responses((status = 200, description = "As in hub.toml", body = Object))
)]
pub(in crate::http) async fn settings(State(services): State<Services>) -> Result<Json<Value>, ApiError> {
    Ok(Json(in_force(&services.config).map_err(failed)?))
}

fn in_force(config: &Config) -> Result<Value, serde_json::Error> {
    let mut settings = serde_json::to_value(config)?;
    leave_out_secrets(&mut settings);
    Ok(settings)
}

/// Whatever is called a secret is one, whoever adds it to the settings; so is what an address says before its `@`.
fn leave_out_secrets(value: &mut Value) {
    const LEFT_OUT: &str = "(left out)";
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let is_secret = ["token", "secret", "password", "authorization"]
                    .into_iter()
                    .any(|word| name.to_ascii_lowercase().contains(word));
                let is_set = member.as_str().is_some_and(|text| !text.is_empty());
                if is_secret && is_set {
                    *member = LEFT_OUT.into();
                } else {
                    leave_out_secrets(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_secrets),
        Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://")
                && let Some((_, place)) = rest.split_once('@')
            {
                *text = format!("{scheme}://{LEFT_OUT}@{place}");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let mut settings = json!({
            "upstreams": [{"url": "https://user:pass@hub.example/x", "bearer_token": "t"}],
            "password": "", "listen": "127.0.0.1:8787", "limit": 3
        });
        super::leave_out_secrets(&mut settings);
        assert_eq!(
            settings,
            json!({
                "upstreams": [{"url": "https://(left out)@hub.example/x", "bearer_token": "(left out)"}],
                "password": "", "listen": "127.0.0.1:8787", "limit": 3
            })
        );
    }
}
