//! Changes to request bodies.

use kong_plugin::body::{Multipart, Part};
use serde_json::{Map, Value};

use super::parameters::Parameters;
use super::rules::Rendered;
use crate::transform::json_body::{append, is_truthy};

/// The body after the rules; `None`: it goes on byte for byte.
pub(super) fn transform(content_type: &str, body: &[u8], remove: &[String], rules: &Rendered) -> Option<Vec<u8>> {
    let kind = content_type.to_ascii_lowercase();
    if kind.contains("application/json") {
        json(body, remove, rules)
    } else if kind.contains("multipart/form-data") {
        multipart(content_type, body, remove, rules)
    } else if kind.contains("application/x-www-form-urlencoded") {
        form(body, remove, rules)
    } else {
        None
    }
}

fn json(body: &[u8], remove: &[String], rules: &Rendered) -> Option<Vec<u8>> {
    let mut is_changed = false;
    let mut object = match body.is_empty() {
        true => Map::new(),
        false => match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => object,
            _ => return None,
        },
    };
    if !body.is_empty() {
        for name in remove {
            object.remove(name);
            is_changed = true;
        }
        for (old, new) in &rules.rename {
            if is_truthy(object.get(old))
                && let Some(value) = object.remove(old)
            {
                object.insert(new.clone(), value);
                is_changed = true;
            }
        }
        for (name, value) in &rules.replace {
            if is_truthy(object.get(name)) {
                object.insert(name.clone(), value.clone().into());
                is_changed = true;
            }
        }
    }
    for (name, value) in &rules.add {
        if !is_truthy(object.get(name)) {
            object.insert(name.clone(), value.clone().into());
            is_changed = true;
        }
    }
    for (name, value) in &rules.append {
        append(&mut object, name, value.clone().into());
        is_changed = true;
    }
    is_changed.then(|| Value::Object(object).to_string().into_bytes())
}

fn form(body: &[u8], remove: &[String], rules: &Rendered) -> Option<Vec<u8>> {
    let before = Parameters::parse(body);
    let mut parameters = before.clone();
    apply(&mut parameters, remove, rules);
    (parameters != before).then(|| parameters.to_bytes())
}

/// Applies rules to the parameters of a query or a form.
pub(super) fn apply(parameters: &mut Parameters, remove: &[String], rules: &Rendered) {
    for name in remove {
        parameters.remove(name);
    }
    for (old, new) in &rules.rename {
        parameters.rename(old, new);
    }
    for (name, value) in &rules.replace {
        if parameters.has(name) {
            parameters.set(name, value.clone());
        }
    }
    for (name, value) in &rules.add {
        if !parameters.has(name) {
            parameters.set(name, value.clone());
        }
    }
    for (name, value) in &rules.append {
        parameters.append(name, value.clone());
    }
}

/// A part of its own making, or one of the request's.
enum Piece<'a> {
    Received(Part<'a>),
    Made { name: String, content: Vec<u8> },
}

impl Piece<'_> {
    fn is(&self, name: &str) -> bool {
        match self {
            Piece::Received(part) => part.name().as_deref() == Some(name),
            Piece::Made { name: own, .. } => own == name,
        }
    }

    fn content(&self) -> Vec<u8> {
        match self {
            Piece::Received(part) => part.content.to_vec(),
            Piece::Made { content, .. } => content.clone(),
        }
    }
}

fn multipart(content_type: &str, body: &[u8], remove: &[String], rules: &Rendered) -> Option<Vec<u8>> {
    let parsed = Multipart::parse(content_type, body)?;
    let mut pieces: Vec<Piece<'_>> = parsed.parts.into_iter().map(Piece::Received).collect();
    let mut is_changed = false;
    let position = |pieces: &[Piece<'_>], name: &str| pieces.iter().position(|piece| piece.is(name));
    for (old, new) in &rules.rename {
        if let Some(at) = position(&pieces, old) {
            let content = pieces.remove(at).content();
            pieces.retain(|piece| !piece.is(new));
            pieces.push(Piece::Made {
                name: new.clone(),
                content,
            });
            is_changed = true;
        }
    }
    for name in remove {
        let before = pieces.len();
        pieces.retain(|piece| !piece.is(name));
        is_changed |= pieces.len() != before;
    }
    for (name, value) in &rules.replace {
        if let Some(at) = position(&pieces, name) {
            pieces.remove(at);
            pieces.push(Piece::Made {
                name: name.clone(),
                content: value.clone().into_bytes(),
            });
            is_changed = true;
        }
    }
    for (name, value) in &rules.add {
        if position(&pieces, name).is_none() {
            pieces.push(Piece::Made {
                name: name.clone(),
                content: value.clone().into_bytes(),
            });
            is_changed = true;
        }
    }
    is_changed.then(|| assemble(&parsed.boundary, &pieces))
}

fn assemble(boundary: &str, pieces: &[Piece<'_>]) -> Vec<u8> {
    let made: Vec<(Vec<u8>, Vec<u8>)> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Received(part) => (part.headers.to_vec(), part.content.to_vec()),
            Piece::Made { name, content } => (
                format!("Content-Disposition: form-data; name=\"{name}\"").into_bytes(),
                content.clone(),
            ),
        })
        .collect();
    let parts = made
        .iter()
        .map(|(headers, content)| Part { headers, content })
        .collect();
    Multipart {
        boundary: boundary.to_owned(),
        parts,
    }
    .to_bytes()
}
