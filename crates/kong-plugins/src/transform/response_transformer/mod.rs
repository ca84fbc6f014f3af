//! `response-transformer`: changes what the client gets (plugins-transform-observe.md §8.2).
//!
//! On the request path: only JSON bodies, and only with rules for them, are held back and parsed.

mod json;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kong_message::HeaderBlock;
use kong_plugin::context::{BodyFilter, HeaderFilter};
use kong_plugin::{Instance, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::{Choice, Record};
use serde::Deserialize;

use self::json::JsonRules;
use super::entry::{check_header, check_header_pair, pairs, split};

/// Configuration of `response-transformer`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// What to remove, by name.
    pub remove: Remove,
    /// What to rename, as `old:new`.
    pub rename: Rename,
    /// What to replace where it is present, as `name:value`.
    pub replace: Values,
    /// What to add where it is absent, as `name:value`.
    pub add: Values,
    /// What to add in any case, as `name:value`.
    pub append: Values,
}

/// Names.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Remove {
    /// Members of a JSON body.
    #[kong(required, default = [])]
    pub json: Vec<String>,
    /// Headers.
    #[kong(required, default = [])]
    pub headers: Vec<String>,
}

/// Pairs of names.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Rename {
    /// Members of a JSON body.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$"))]
    pub json: Vec<String>,
    /// Headers.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$", custom = check_header_pair))]
    pub headers: Vec<String>,
}

/// Names and values.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Values {
    /// Members of a JSON body.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$"))]
    pub json: Vec<String>,
    /// Types of the values of `json`, by position; strings where none is given.
    #[kong(required, default = [])]
    pub json_types: Vec<JsonType>,
    /// Headers.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$", custom = check_header))]
    pub headers: Vec<String>,
}

/// Type of a value in a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
pub enum JsonType {
    /// `true` for the text `true`, else `false`.
    Boolean,
    /// A number; a text that is none skips the rule.
    Number,
    /// Text.
    String,
}

/// See the module.
pub struct ResponseTransformer {
    remove: Vec<String>,
    rename: Vec<(String, String)>,
    replace: Vec<(String, String)>,
    add: Vec<(String, String)>,
    append: Vec<(String, String)>,
    json: JsonRules,
}

/// A body that is held back until its end.
#[derive(Default)]
struct Held(BytesMut);

impl PluginDefinition for ResponseTransformer {
    const NAME: &'static str = "response-transformer";
    const PRIORITY: i32 = 800;
    const PHASES: Phases = Phases::HEADER_FILTER.with(Phases::BODY_FILTER);

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let trimmed = |entries: &[String]| {
            pairs(entries)
                .into_iter()
                .map(|(name, value)| (name, value.trim().to_owned()))
                .collect()
        };
        Ok(ResponseTransformer {
            remove: config
                .remove
                .headers
                .iter()
                .map(|entry| split(entry).0.to_owned())
                .collect(),
            rename: trimmed(&config.rename.headers),
            replace: trimmed(&config.replace.headers),
            add: trimmed(&config.add.headers),
            append: trimmed(&config.append.headers),
            json: JsonRules::new(&config),
        })
    }
}

/// `application/json` or `application/*+json`, in any member of a list.
fn is_json(content_type: &str) -> bool {
    content_type.split(',').any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    })
}

impl Plugin for ResponseTransformer {
    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        // Rules look at the Content-Type before they change it.
        let holds = !self.json.is_empty() && cx.response_header("content-type").is_some_and(is_json);
        if let Some(headers) = cx.response_headers_mut() {
            self.change(headers);
        }
        if holds {
            cx.remove_header("content-length");
            cx.set_state(Held::default());
        }
        Step::CONTINUE
    }

    fn body_filter(&self, cx: &mut BodyFilter<'_>, chunk: &mut Bytes, last: bool) -> Result<(), PluginError> {
        let Some(Held(held)) = cx.state_mut::<Held>() else {
            return Ok(());
        };
        held.extend_from_slice(chunk);
        *chunk = Bytes::new();
        if last {
            let whole = std::mem::take(held).freeze();
            *chunk = match self.json.transform(&whole) {
                Some(changed) => Bytes::from(changed),
                None => {
                    if !whole.is_empty() {
                        tracing::warn!("[response-transformer] body transform failed: failed parsing json body");
                    }
                    whole
                }
            };
        }
        Ok(())
    }
}

impl ResponseTransformer {
    fn change(&self, headers: &mut HeaderBlock) {
        // Presence is judged by what there was before the first step.
        let was_there = |headers: &HeaderBlock, list: &[(String, String)]| -> Vec<bool> {
            list.iter().map(|(name, _)| headers.contains(name)).collect()
        };
        let (replaced, added) = (was_there(headers, &self.replace), was_there(headers, &self.add));
        let renamed: Vec<Vec<Vec<u8>>> = self
            .rename
            .iter()
            .map(|(old, _)| headers.get_all(old).map(<[u8]>::to_vec).collect())
            .collect();
        for name in &self.remove {
            headers.remove(name);
        }
        for ((old, new), values) in self.rename.iter().zip(renamed) {
            if values.is_empty() || new.is_empty() {
                continue;
            }
            headers.remove(new);
            for value in values {
                headers.append(new, value);
            }
            if !old.eq_ignore_ascii_case(new) {
                headers.remove(old);
            }
        }
        for ((name, value), is_there) in self.replace.iter().zip(replaced) {
            if is_there {
                headers.set(name, value);
            }
        }
        for ((name, value), is_there) in self.add.iter().zip(added) {
            if !is_there {
                headers.set(name, value);
            }
        }
        for (name, value) in &self.append {
            headers.append(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
