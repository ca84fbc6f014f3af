//! The rules of an instance, parsed once.

use kong_plugin::{Exchange, PluginError};

use super::config::Config;
use super::evaluate::Environment;
use super::template::Template;
use crate::transform::entry::{pairs, split};

/// A name and the value to give it.
pub(super) type Rule = (String, Template);

/// Rules of one kind of thing (headers, query, body), in their order.
pub(super) struct Rules {
    pub(super) remove: Vec<String>,
    pub(super) rename: Vec<Rule>,
    pub(super) replace: Vec<Rule>,
    pub(super) add: Vec<Rule>,
    pub(super) append: Vec<Rule>,
}

/// The rules with their values for one request.
pub(super) struct Rendered {
    pub(super) rename: Vec<(String, String)>,
    pub(super) replace: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    pub(super) append: Vec<(String, String)>,
}

fn parse(entries: &[String]) -> Result<Vec<Rule>, PluginError> {
    let parse = |(name, value): (String, String)| match Template::parse(&value) {
        Ok(template) => Ok((name, template)),
        Err(error) => Err(PluginError(format!(
            "failed to compile the template {value}, error:{error}"
        ))),
    };
    pairs(entries).into_iter().map(parse).collect()
}

/// Entries of a header list: an empty value is a value.
fn parse_headers(entries: &[String]) -> Result<Vec<Rule>, PluginError> {
    let filled: Vec<String> = entries
        .iter()
        .map(|entry| match split(entry) {
            (name, None) => format!("{name}: "),
            _ => entry.clone(),
        })
        .collect();
    parse(&filled)
}

impl Rules {
    pub(super) fn of_headers(config: &Config) -> Result<Self, PluginError> {
        Ok(Rules {
            remove: config
                .remove
                .headers
                .iter()
                .map(|entry| split(entry).0.to_owned())
                .collect(),
            rename: parse(&config.rename.headers)?,
            replace: parse_headers(&config.replace.headers)?,
            add: parse_headers(&config.add.headers)?,
            append: parse_headers(&config.append.headers)?,
        })
    }

    pub(super) fn of_query(config: &Config) -> Result<Self, PluginError> {
        Ok(Rules {
            remove: config.remove.querystring.clone(),
            rename: parse(&config.rename.querystring)?,
            replace: parse(&config.replace.querystring)?,
            add: parse(&config.add.querystring)?,
            append: parse(&config.append.querystring)?,
        })
    }

    pub(super) fn of_body(config: &Config) -> Result<Self, PluginError> {
        Ok(Rules {
            remove: config.remove.body.clone(),
            rename: parse(&config.rename.body)?,
            replace: parse(&config.replace.body)?,
            add: parse(&config.add.body)?,
            append: parse(&config.append.body)?,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.remove.is_empty()
            && [&self.rename, &self.replace, &self.add, &self.append]
                .iter()
                .all(|rules| rules.is_empty())
    }

    pub(super) fn render(&self, environment: &Environment, exchange: &Exchange) -> Result<Rendered, PluginError> {
        let render = |rules: &[Rule]| {
            let render = |(name, template): &Rule| Ok((name.clone(), template.render(environment, exchange)?));
            rules.iter().map(render).collect::<Result<Vec<_>, PluginError>>()
        };
        Ok(Rendered {
            rename: render(&self.rename)?,
            replace: render(&self.replace)?,
            add: render(&self.add)?,
            append: render(&self.append)?,
        })
    }
}
