//! `redirect`: sends clients elsewhere (plugins-auth-traffic.md §4.6).

use std::sync::Arc;

use bytes::Bytes;
use kong_plugin::context::Access;
use kong_plugin::{Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::Record;
use serde::Deserialize;

/// Configuration of `redirect`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Status of the answer.
    #[kong(required, default = 301, between(100, 599))]
    pub status_code: u16,
    /// URL to send clients to.
    #[kong(required, kind = "url")]
    pub location: String,
    /// Keep the path and the query of the request instead of those of `location`.
    #[kong(default = false)]
    pub keep_incoming_path: Option<bool>,
}

/// See the module.
pub struct Redirect {
    status: u16,
    location: Bytes,
    /// What stands before and after path and query, when those come from the request.
    around: Option<(String, String)>,
}

impl PluginDefinition for Redirect {
    const NAME: &'static str = "redirect";
    const PRIORITY: i32 = 779;
    const PHASES: Phases = Phases::ACCESS;

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let around = config
            .keep_incoming_path
            .unwrap_or(false)
            .then(|| around(&config.location));
        Ok(Redirect {
            status: config.status_code,
            location: Bytes::from(config.location),
            around,
        })
    }
}

/// Scheme and authority, and the fragment with its `#`.
fn around(location: &str) -> (String, String) {
    let (rest, fragment) = match location.split_once('#') {
        Some((rest, fragment)) => (rest, format!("#{fragment}")),
        None => (location, String::new()),
    };
    let authority_at = rest.find("://").map_or(0, |at| at + 3);
    let (scheme, after) = rest.split_at(authority_at);
    let end = after.find(['/', '?']).unwrap_or(after.len());
    (
        format!("{}{}", scheme.to_ascii_lowercase(), after.split_at(end).0),
        fragment,
    )
}

/// Appends what a URL cannot hold in escaped form.
fn push_escaped(out: &mut Vec<u8>, text: &[u8], unsafe_bytes: &[u8]) {
    for &byte in text {
        if byte <= b' ' || byte >= 0x7f || unsafe_bytes.contains(&byte) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
}

impl Plugin for Redirect {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let location = match &self.around {
            None => self.location.clone(),
            Some((before, after)) => {
                let mut location = before.clone().into_bytes();
                push_escaped(&mut location, &cx.path, b"\"#<>?^`{}");
                if let Some(query) = cx.query.as_ref().filter(|query| !query.is_empty()) {
                    location.push(b'?');
                    push_escaped(&mut location, query, b"\"#<>'");
                }
                location.extend_from_slice(after.as_bytes());
                Bytes::from(location)
            }
        };
        let response = LocalResponse::text(self.status, Bytes::from_static(b"redirecting"));
        Step::respond(response.header(Bytes::from_static(b"Location"), location))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_plugin::testing::TestNode;
    use kong_plugin::{LocalBody, kind};
    use serde_json::json;

    #[test]
    fn clients_are_sent_to_the_location() {
        let node = TestNode::new(vec![kind::<Redirect>()]);
        for (location, keeps, target, expected) in [
            (
                "https://example.com/there?x=1",
                false,
                "/some?y=2",
                "https://example.com/there?x=1",
            ),
            (
                "https://example.com/some_path?foo=bar",
                true,
                "/status/200?keep=this",
                "https://example.com/status/200?keep=this",
            ),
            (
                "https://example.com/some_path?foo=bar",
                true,
                "/plain",
                "https://example.com/plain",
            ),
            (
                "https://example.com/some_path?foo=bar",
                true,
                "/plain?",
                "https://example.com/plain",
            ),
            ("https://example.com", true, "/", "https://example.com/"),
            (
                "https://u:p@example.com:1/x#part",
                true,
                "/y",
                "https://u:p@example.com:1/y#part",
            ),
            ("HTTPS://example.com?x", true, "/ü", "https://example.com/%C3%BC"),
        ] {
            let plan = node.plan_of(&[("redirect", json!({"location": location, "keep_incoming_path": keeps}))]);
            let run = node.run(&plan, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(run.status(), 301);
            assert_eq!(run.local_header("location").as_deref(), Some(expected));
            assert!(matches!(&run.local().unwrap().body, LocalBody::Text(text) if text == "redirecting"));
        }
    }

    #[test]
    fn locations_are_urls() {
        let node = TestNode::new(vec![kind::<Redirect>()]);
        for location in ["https:///x", "/x"] {
            let errors = node
                .configuration("redirect", json!({"location": location}))
                .unwrap_err();
            assert_eq!(
                errors,
                json!({"config": {"location": "missing host in url"}}),
                "{location}"
            );
        }
    }
}
