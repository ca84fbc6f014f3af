//! What consistent hashing goes by in a request (upstream.md §11).

use std::borrow::Cow;

use kong_balancer::hash;
use kong_model::{HashInput, Upstream};
use kong_plugin::Exchange;
use uuid::Uuid;

/// The cookie that keeps a client with its target, to be set on the response.
pub(crate) struct HashCookie {
    name: String,
    line: String,
}

/// The hash that a request of an upstream with consistent hashing is balanced by. A request that lacks the cookie gets
/// one.
pub(crate) fn of(upstream: &Upstream, exchange: &mut Exchange) -> u32 {
    let first = Source {
        input: upstream.hash_on,
        header: upstream.hash_on_header.as_deref(),
        query_arg: upstream.hash_on_query_arg.as_deref(),
        uri_capture: upstream.hash_on_uri_capture.as_deref(),
    };
    let second = Source {
        input: upstream.hash_fallback,
        header: upstream.hash_fallback_header.as_deref(),
        query_arg: upstream.hash_fallback_query_arg.as_deref(),
        uri_capture: upstream.hash_fallback_uri_capture.as_deref(),
    };
    for source in [first, second] {
        if source.input == Some(HashInput::Cookie) {
            return cookie(upstream, exchange);
        }
        if let Some(value) = source.value(exchange) {
            return hash(&value);
        }
    }
    // Nothing to go by: one fixed target.
    hash(b"")
}

struct Source<'a> {
    input: Option<HashInput>,
    header: Option<&'a str>,
    query_arg: Option<&'a str>,
    uri_capture: Option<&'a str>,
}

impl Source<'_> {
    fn value<'e>(&self, exchange: &'e Exchange) -> Option<Cow<'e, [u8]>> {
        match self.input? {
            HashInput::None | HashInput::Cookie => None,
            HashInput::Consumer => {
                let consumer = exchange.consumer.as_ref().map(|consumer| consumer.id.to_string());
                let credential = || exchange.credential.as_ref()?.id.as_ref().map(|id| id.to_string());
                consumer.or_else(credential).map(|id| id.into_bytes().into())
            }
            HashInput::Ip => Some(exchange.client.ip.to_canonical().to_string().into_bytes().into()),
            HashInput::Header => header(exchange, self.header?),
            HashInput::Path => Some(exchange.path.as_slice().into()),
            HashInput::QueryArg => query_arg(exchange.query.as_deref()?, self.query_arg?).map(Cow::Owned),
            HashInput::UriCapture => {
                let name = self.uri_capture?;
                // The original never finds a capture by its number.
                if name.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                let (_, value) = exchange.captures.iter().find(|(key, _)| key == name)?;
                Some(value.as_bytes().into())
            }
        }
    }
}

/// Repeated lines are joined.
fn header<'e>(exchange: &'e Exchange, name: &str) -> Option<Cow<'e, [u8]>> {
    // The original never finds a header whose name has a hyphen (upstream.md §11): clients stay where they were.
    if name.contains('-') {
        return None;
    }
    let headers = &exchange.head.headers;
    let mut joined = Cow::Borrowed(headers.get(name)?);
    for line in headers.get_all(name).skip(1) {
        let joined = joined.to_mut();
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line);
    }
    Some(joined)
}

fn query_arg(query: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = query
        .split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .filter_map(|pair| {
            let (key, value) = match pair.iter().position(|b| *b == b'=') {
                Some(at) => (pair.get(..at)?, Some(pair.get(at + 1..)?)),
                None => (pair, None),
            };
            let is_it = decode(key) == name.as_bytes();
            // An argument without a value counts as true.
            is_it.then(|| value.map_or_else(|| b"true".to_vec(), decode))
        })
        .collect();
    if values.is_empty() {
        return None;
    }
    values.sort();
    Some(values.join(&b','))
}

fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => decoded.push(b' '),
            (byte, ..) => decoded.push(*byte),
        }
        at += 1;
    }
    decoded
}

fn cookie(upstream: &Upstream, exchange: &mut Exchange) -> u32 {
    let name = upstream.hash_on_cookie.as_deref().unwrap_or_default();
    if let Some(value) = cookie_value(exchange, name) {
        return hash(value);
    }
    let value = Uuid::new_v4().to_string();
    let path = upstream.hash_on_cookie_path.as_deref().unwrap_or("/");
    exchange.set_state(HashCookie {
        line: format!("{name}={value}; Path={path}; Same-Site=Lax; HttpOnly"),
        name: name.to_owned(),
    });
    hash(value.as_bytes())
}

fn cookie_value<'e>(exchange: &'e Exchange, name: &str) -> Option<&'e [u8]> {
    exchange
        .head
        .headers
        .get_all("cookie")
        .flat_map(|line| line.split(|b| *b == b';'))
        .find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Sets the cookie on the response, in place of one of the same name.
pub(crate) fn set_cookie(exchange: &mut Exchange) {
    let Some(cookie) = exchange.state::<HashCookie>() else {
        return;
    };
    let (line, name) = (cookie.line.clone(), cookie.name.clone());
    let Some(head) = &mut exchange.response else { return };
    let is_same = |value: &[u8]| value.strip_prefix(name.as_bytes()).is_some_and(|v| v.starts_with(b"="));
    if head.headers.get_all("set-cookie").any(is_same) {
        head.headers
            .retain(|header, value| !(header.eq_ignore_ascii_case(b"set-cookie") && is_same(value)));
    }
    head.headers.append("Set-Cookie", line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_arguments_are_decoded_sorted_and_joined() {
        let rows: [(&str, &str, Option<&str>); 9] = [
            ("a=1", "a", Some("1")),
            ("a=1", "b", None),
            ("", "a", None),
            ("a", "a", Some("true")),
            ("a=", "a", Some("")),
            ("a=2&b=7&a=10&a=1", "a", Some("1,10,2")),
            ("x%20y=a%2Bb+c", "x y", Some("a+b c")),
            ("a=%zz%4", "a", Some("%zz%4")),
            ("a=b=c", "a", Some("b=c")),
        ];
        for (query, name, expected) in rows {
            let value = query_arg(query.as_bytes(), name);
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{query} {name}");
        }
    }
}
