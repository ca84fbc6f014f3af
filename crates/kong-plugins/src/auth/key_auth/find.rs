//! Where the key is, and how it is hidden.

use std::borrow::Cow;

use kong_plugin::PluginError;
use kong_plugin::arguments::{self, Encoding};
use kong_plugin::body::{BodyKind, Multipart, parameters};
use kong_plugin::context::Access;
use serde_json::Value;

use super::{KeyAuth, KeyText, copy};

/// What one name gave.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Nothing there.
    Nothing,
    /// Something that is neither text nor a list (`?apikey`).
    Other,
    /// More than one value.
    Duplicate,
    /// A key, possibly empty.
    Key(KeyText),
}

/// A configured name.
pub(super) struct KeyName {
    name: String,
    /// A name with `_` is also found as a header written with `-`.
    dashed: Option<String>,
}

impl KeyName {
    pub(super) fn new(name: &str) -> Self {
        KeyName {
            name: name.to_owned(),
            dashed: name.contains('_').then(|| name.replace('_', "-")),
        }
    }

    pub(super) fn in_head(&self, cx: &Access<'_>, in_header: bool, in_query: bool) -> Found {
        let mut found = Found::Nothing;
        if in_header {
            found = of_values(cx.headers().get_all(&self.name).map(|v| Some(Cow::Borrowed(v))));
            if let (Found::Nothing, Some(dashed)) = (&found, &self.dashed) {
                found = of_values(cx.headers().get_all(dashed).map(|v| Some(Cow::Borrowed(v))));
            }
        }
        if found == Found::Nothing
            && in_query
            && let Some(query) = &cx.query
        {
            let values = arguments::arguments(query)
                .filter(|a| *a.name == *self.name.as_bytes())
                .map(|a| a.value);
            found = of_values(values);
        }
        found
    }

    pub(super) fn in_body(&self, body: &serde_json::Map<String, Value>) -> Found {
        match body.get(&self.name) {
            None | Some(Value::Null | Value::Bool(false)) => Found::Nothing,
            Some(Value::String(text)) => Found::Key(KeyText::from_slice(text.as_bytes())),
            Some(Value::Array(_) | Value::Object(_)) => Found::Duplicate,
            Some(_) => Found::Other,
        }
    }

    /// Removes the name from headers and query.
    pub(super) fn hide_in_head(&self, cx: &mut Access<'_>) {
        cx.remove_header(&self.name);
        let Some(query) = cx.query.clone() else { return };
        if arguments::arguments(&query).any(|a| *a.name == *self.name.as_bytes()) {
            let mut rest = Vec::with_capacity(query.len());
            for argument in arguments::arguments(&query).filter(|a| *a.name != *self.name.as_bytes()) {
                push_pair(
                    &mut rest,
                    &argument.name,
                    argument.value.as_deref().unwrap_or_default(),
                    Encoding::Form,
                );
            }
            cx.set_query(Some(rest.into()));
        }
    }

    /// The body without the name; `None`: it is not in there, or the body is of no known kind.
    fn without(&self, content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
        match BodyKind::of(content_type)? {
            BodyKind::Form => {
                let mut rest = Vec::with_capacity(body.len());
                for argument in arguments::arguments(body).filter(|a| *a.name != *self.name.as_bytes()) {
                    match &argument.value {
                        Some(value) => push_pair(&mut rest, &argument.name, value, Encoding::Percent),
                        None => {
                            separate(&mut rest);
                            arguments::encode_into(&mut rest, &argument.name, Encoding::Percent);
                        }
                    }
                }
                Some(rest)
            }
            BodyKind::Json => {
                let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else {
                    return None;
                };
                object.remove(&self.name)?;
                Some(Value::Object(object).to_string().into_bytes())
            }
            BodyKind::Multipart => {
                let mut multipart = Multipart::parse(content_type, body)?;
                multipart
                    .parts
                    .retain(|part| part.name().as_deref() != Some(&self.name));
                Some(multipart.to_bytes())
            }
        }
    }
}

impl KeyAuth {
    /// Looks into headers, query and body, and hides what was found.
    pub(super) async fn find_everywhere(&self, cx: &mut Access<'_>) -> Result<Found, PluginError> {
        let content_type = cx.header("content-type").unwrap_or_default().to_owned();
        // A body that does not fit into memory is not looked into.
        let body = match BodyKind::of(&content_type) {
            Some(_) => cx.read_body().await.map_err(PluginError::new)?,
            None => None,
        };
        let members = body
            .as_ref()
            .and_then(|body| parameters(&content_type, body))
            .unwrap_or_default();
        for name in &self.names {
            let mut found = name.in_head(cx, self.config.key_in_header, self.config.key_in_query);
            if found == Found::Nothing {
                found = name.in_body(&members);
            }
            if matches!(found, Found::Key(_)) && self.config.hide_credentials {
                name.hide_in_head(cx);
                if members.contains_key(&name.name)
                    && let Some(rest) = body.as_ref().and_then(|body| name.without(&content_type, body))
                {
                    cx.set_body(rest);
                }
            }
            if !matches!(found, Found::Nothing | Found::Other) {
                return Ok(found);
            }
        }
        Ok(Found::Nothing)
    }
}

fn of_values<'a>(mut values: impl Iterator<Item = Option<Cow<'a, [u8]>>>) -> Found {
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(_), Some(_)) => Found::Duplicate,
        (Some(Some(value)), None) => Found::Key(copy(&value)),
        (Some(None), None) => Found::Other,
    }
}

fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b'&');
    }
}

fn push_pair(out: &mut Vec<u8>, name: &[u8], value: &[u8], encoding: Encoding) {
    separate(out);
    arguments::encode_into(out, name, encoding);
    out.push(b'=');
    arguments::encode_into(out, value, encoding);
}
