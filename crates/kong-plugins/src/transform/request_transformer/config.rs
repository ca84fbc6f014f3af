//! Configuration of `request-transformer`.

use kong_schema::Record;
use serde::Deserialize;
use serde_json::Value;

use super::template::Template;
use crate::transform::entry::{check_header, check_header_pair, split};

/// Configuration of `request-transformer`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Method to use for the service.
    #[kong(matches = "^%u+$")]
    pub http_method: Option<String>,
    /// What to remove, by name.
    pub remove: Remove,
    /// What to rename, as `old:new`.
    pub rename: Rename,
    /// What to replace where it is present, as `name:value`.
    pub replace: Replace,
    /// What to add where it is absent, as `name:value`.
    pub add: Values,
    /// What to add in any case, as `name:value`.
    pub append: Values,
}

/// Names.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Remove {
    /// Members of a form, JSON or multipart body.
    #[kong(required, default = [])]
    pub body: Vec<String>,
    /// Headers.
    #[kong(required, default = [], elements(custom = check_header))]
    pub headers: Vec<String>,
    /// Query arguments.
    #[kong(required, default = [])]
    pub querystring: Vec<String>,
}

/// Pairs of names.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Rename {
    /// Members of the body.
    #[kong(required, default = [], elements(custom = check_value))]
    pub body: Vec<String>,
    /// Headers.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$", custom = check_header_pair))]
    pub headers: Vec<String>,
    /// Query arguments.
    #[kong(required, default = [], elements(custom = check_value))]
    pub querystring: Vec<String>,
}

/// Names and values, and the path.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Replace {
    /// Members of the body.
    #[kong(required, default = [], elements(custom = check_value))]
    pub body: Vec<String>,
    /// Headers; `host` is that of the service.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$", custom = check_header))]
    pub headers: Vec<String>,
    /// Query arguments.
    #[kong(required, default = [], elements(custom = check_value))]
    pub querystring: Vec<String>,
    /// Path to use for the service.
    pub uri: Option<String>,
}

/// Names and values.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Values {
    /// Members of the body.
    #[kong(required, default = [], elements(custom = check_value))]
    pub body: Vec<String>,
    /// Headers.
    #[kong(required, default = [], elements(matches = "^[^:]+:.*$", custom = check_header))]
    pub headers: Vec<String>,
    /// Query arguments.
    #[kong(required, default = [], elements(custom = check_value))]
    pub querystring: Vec<String>,
}

/// Validator of an entry whose value is a template.
fn check_value(value: &Value) -> Result<(), Value> {
    let (name, value) = split(value.as_str().unwrap_or_default());
    let Some(value) = value else {
        return Err(format!("key '{name}' has no value").into());
    };
    match Template::parse(value) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("value '{value}' is not in supported format, error:{error}").into()),
    }
}
