//! `request-transformer`: changes what the service gets (plugins-transform-observe.md §8.1).
//!
//! Values are parsed once per instance; on the request path a value without `$(…)` costs a copy.

mod bodies;
pub mod config;
mod evaluate;
mod expression;
mod parameters;
mod rules;
mod template;

use std::sync::Arc;

use bytes::Bytes;
use kong_plugin::context::Access;
use kong_plugin::{Action, Instance, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult, Step};
use kong_schema::ALL_PROTOCOLS;

use self::config::Config;
use self::evaluate::Environment;
use self::parameters::Parameters;
use self::rules::{Rendered, Rules};
use self::template::Template;

/// Methods that the proxy can send.
const METHODS: [&str; 15] = [
    "GET",
    "HEAD",
    "PUT",
    "POST",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
];

/// See the module.
pub struct RequestTransformer {
    method: Option<String>,
    uri: Option<Template>,
    headers: Rules,
    query: Rules,
    body: Rules,
}

impl PluginDefinition for RequestTransformer {
    const NAME: &'static str = "request-transformer";
    const PRIORITY: i32 = 801;
    const PHASES: Phases = Phases::ACCESS;
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let uri = config.replace.uri.as_deref().map(Template::parse).transpose();
        Ok(RequestTransformer {
            uri: uri.map_err(|error| PluginError(format!("failed to compile replace.uri: {error}")))?,
            headers: Rules::of_headers(&config)?,
            query: Rules::of_query(&config)?,
            body: Rules::of_body(&config)?,
            method: config.http_method,
        })
    }
}

impl Plugin for RequestTransformer {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let environment = Environment::default();
        // Bodies are waited for only where a rule needs one.
        let needs_body = !self.body.is_empty() || self.method.as_deref().is_some_and(drops_form);
        if needs_body {
            return Step::wait(async move {
                self.change_uri(cx, &environment)?;
                self.change_method(cx).await?;
                self.change_headers(cx, &environment)?;
                self.change_body(cx, &environment).await?;
                self.change_query(cx, &environment)?;
                PluginResult::Ok(Action::Continue)
            });
        }
        Step::Ready(self.change_head(cx, &environment).map(|()| Action::Continue))
    }
}

/// Methods whose form parameters go into the query.
fn drops_form(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "TRACE")
}

impl RequestTransformer {
    fn change_head(&self, cx: &mut Access<'_>, environment: &Environment) -> Result<(), PluginError> {
        self.change_uri(cx, environment)?;
        if let Some(method) = &self.method {
            set_method(cx, method)?;
        }
        self.change_headers(cx, environment)?;
        self.change_query(cx, environment)
    }

    fn change_uri(&self, cx: &mut Access<'_>, environment: &Environment) -> Result<(), PluginError> {
        let Some(template) = &self.uri else { return Ok(()) };
        let path = template.render(environment, cx)?;
        if !path.starts_with('/') {
            return Err(PluginError(format!(
                "replace.uri gives '{path}', which does not start with '/'"
            )));
        }
        if let Some(upstream) = cx.upstream_mut() {
            upstream.path = escape(&path);
        }
        Ok(())
    }

    async fn change_method(&self, cx: &mut Access<'_>) -> Result<(), PluginError> {
        let Some(method) = &self.method else { return Ok(()) };
        set_method(cx, method)?;
        let is_form = cx
            .header("content-type")
            .is_some_and(|kind| kind.to_ascii_lowercase().contains("application/x-www-form-urlencoded"));
        if drops_form(method)
            && is_form
            && let Some(body) = cx.read_body().await.map_err(PluginError::new)?
        {
            let mut query = Parameters::parse(cx.query.as_deref().unwrap_or_default());
            query.merge(Parameters::parse(&body));
            set_query(cx, &query);
        }
        Ok(())
    }

    fn change_headers(&self, cx: &mut Access<'_>, environment: &Environment) -> Result<(), PluginError> {
        let rules = &self.headers;
        if rules.is_empty() {
            return Ok(());
        }
        let is_host = |name: &str| name.eq_ignore_ascii_case("host");
        for name in rules.remove.iter().filter(|name| !is_host(name)) {
            cx.remove_header(name);
        }
        for (old, new) in &rules.rename {
            let new = new.render(environment, cx)?;
            if *old != new && !is_host(old) && !is_host(&new) {
                rename_header(cx, old, &new);
            }
        }
        for (name, value) in &rules.replace {
            let value = value.render(environment, cx)?;
            if is_host(name) {
                if let Some(upstream) = cx.upstream_mut() {
                    upstream.host_header = Some(Bytes::from(value));
                }
            } else if cx.headers().contains(name) {
                cx.set_header(name, filled(&value));
            }
        }
        for (name, value) in rules.add.iter().filter(|(name, _)| !is_host(name)) {
            let value = value.render(environment, cx)?;
            if !cx.headers().contains(name) {
                cx.set_header(name, filled(&value));
            }
        }
        for (name, value) in rules.append.iter().filter(|(name, _)| !is_host(name)) {
            let value = value.render(environment, cx)?;
            cx.add_header(name, filled(&value));
        }
        Ok(())
    }

    async fn change_body(&self, cx: &mut Access<'_>, environment: &Environment) -> Result<(), PluginError> {
        if self.body.is_empty() {
            return Ok(());
        }
        let Some(content_type) = cx.header("content-type").map(str::to_owned) else {
            return Ok(());
        };
        let body = match cx.read_body().await.map_err(PluginError::new)? {
            Some(body) => body,
            None => {
                tracing::warn!("[request-transformer] a body too large for memory is treated as empty");
                Bytes::new()
            }
        };
        let rules = self.body.render(environment, cx)?;
        if let Some(body) = bodies::transform(&content_type, &body, &self.body.remove, &rules) {
            cx.set_body(body);
        }
        Ok(())
    }

    fn change_query(&self, cx: &mut Access<'_>, environment: &Environment) -> Result<(), PluginError> {
        if self.query.is_empty() {
            return Ok(());
        }
        let rules: Rendered = self.query.render(environment, cx)?;
        let mut query = Parameters::parse(cx.query.as_deref().unwrap_or_default());
        bodies::apply(&mut query, &self.query.remove, &rules);
        set_query(cx, &query);
        Ok(())
    }
}

fn set_method(cx: &mut Access<'_>, method: &str) -> Result<(), PluginError> {
    match METHODS.contains(&method) && cx.set_method(method) {
        true => Ok(()),
        false => Err(PluginError(format!(
            "http_method '{method}' is not a method that can be sent"
        ))),
    }
}

fn set_query(cx: &mut Access<'_>, query: &Parameters) {
    let text = query.to_bytes();
    cx.set_query((!text.is_empty()).then(|| Bytes::from(text)));
}

/// An empty header value would mean its absence.
fn filled(value: &str) -> &str {
    if value.is_empty() { " " } else { value }
}

fn rename_header(cx: &mut Access<'_>, old: &str, new: &str) {
    let values: Vec<Vec<u8>> = cx.headers().get_all(old).map(<[u8]>::to_vec).collect();
    if values.is_empty() {
        return;
    }
    cx.remove_header(old);
    cx.remove_header(new);
    for value in values {
        cx.add_header(new, value);
    }
}

/// A path as it can stand in a request line; existing escapes stay.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'()*+,/:;=?@[]-_.~%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
