//! Writes `kong.conf.default` and the tables of `docs/configuration.md` from the declarations.

use std::fmt::Write as _;

use crate::property::{Kind, Property, Status};
use crate::server::HONOURED;
use crate::table::SECTIONS;

/// The text of `kong.conf.default`: every property with its meaning and default, commented out.
pub fn sample_file() -> String {
    let mut text = String::from(
        "# Configuration of the gateway. Copy it to kong.conf and uncomment what should differ from its default.\n\
         # Every property can also be set in the environment: KONG_ and its name in capitals. The environment wins.\n\
         # An empty value in the environment unsets a property. A literal # in a value is written \\#.\n\
         # A value of the form {vault://env/name} is looked up in the environment when the node starts.\n\
         #\n\
         # Written by the program from its declarations; do not edit.\n",
    );
    for section in SECTIONS {
        let rule = "#".repeat(100);
        let _ = write!(text, "\n{rule}\n# {}\n", section.title);
        for line in wrap(section.about, 96) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "{rule}\n");
        for property in section.properties {
            let _ = writeln!(text, "#{} = {}", property.name, property.default.unwrap_or_default());
            for line in wrap(&explanation(property), 92) {
                let _ = writeln!(text, "#     {line}");
            }
            text.push('\n');
        }
    }
    text
}

fn explanation(property: &Property) -> String {
    let mut text = property.doc.replace('`', "'");
    if let Kind::Choice(choices) = property.kind {
        let _ = write!(text, " One of: {}.", choices.join(", "));
    }
    if !property.aliases.is_empty() {
        let _ = write!(text, " Also: {}.", property.aliases.join(", "));
    }
    match property.status {
        Status::Effective => {}
        Status::NoEffect(reason) => {
            let _ = write!(text, " Has no effect: {reason}.");
        }
        Status::NotYet(reason) => {
            let _ = write!(text, " Has no effect yet: {reason}.");
        }
        Status::Refused { reason, except } => {
            let _ = write!(text, " The node refuses to start with another value than the default");
            if !except.is_empty() {
                let _ = write!(text, " or {}", except.join(", "));
            }
            let _ = write!(text, ": {reason}.");
        }
    }
    text.replace('`', "'")
}

/// The tables of `docs/configuration.md`: of each property its default, meaning and status.
pub fn tables() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        let _ = write!(text, "\n### {}\n\n", section.title);
        if !section.about.is_empty() {
            let _ = write!(text, "{}\n\n", section.about);
        }
        text.push_str("| Property | Type | Default | Meaning | Status |\n|---|---|---|---|---|\n");
        for property in section.properties {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                property.name,
                kind(property),
                property
                    .default
                    .map_or("–".to_owned(), |default| format!("`{default}`")),
                cell(&meaning(property)),
                cell(&status(property)),
            );
        }
    }
    text.push_str("\n### Server directives that are honoured\n\n");
    text.push_str("| Directive | Contexts, first wins | Sets (default) |\n|---|---|---|\n");
    for (name, contexts, meaning) in HONOURED {
        let _ = writeln!(text, "| `{name}` | {} | {meaning} |", contexts.join(", "));
    }
    text
}

fn kind(property: &Property) -> String {
    match property.kind {
        Kind::Choice(choices) => choices.join(", "),
        kind => kind.name().to_owned(),
    }
}

fn meaning(property: &Property) -> String {
    let mut text = property.doc.to_owned();
    if !property.aliases.is_empty() {
        let _ = write!(text, " Also spelled `{}`.", property.aliases.join("`, `"));
    }
    text
}

fn status(property: &Property) -> String {
    match property.status {
        Status::Effective => "effective".into(),
        Status::NoEffect(reason) => format!("accepted without effect: {reason}"),
        Status::NotYet(reason) => format!("not yet (a warning at start): {reason}"),
        Status::Refused { reason, except: [] } => format!("refused unless the default: {reason}"),
        Status::Refused { reason, except } => {
            format!("refused unless the default or `{}`: {reason}", except.join("`, `"))
        }
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
