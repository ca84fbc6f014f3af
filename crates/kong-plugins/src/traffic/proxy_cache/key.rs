//! What tells requests apart.

use std::collections::BTreeMap;

use kong_plugin::{Exchange, arguments};
use sha2::{Digest, Sha256};

/// Parts of a request that vary, as an instance has it.
#[derive(Debug, Default)]
pub(super) struct Vary {
    pub(super) query: Option<Vec<String>>,
    pub(super) headers: Vec<String>,
    pub(super) ignore_case: bool,
}

/// Lower-case hex SHA-256 of consumer and route, method, path, arguments and headers.
pub(super) fn of(exchange: &Exchange, vary: &Vary) -> String {
    let mut hash = Sha256::new();
    match (&exchange.consumer, &exchange.route) {
        (_, None) => hash.update("default"),
        (None, Some(route)) => hash.update(route.id.to_string()),
        (Some(consumer), Some(route)) => hash.update(format!("{}:{}", consumer.id, route.id)),
    }
    let method = exchange.method();
    // The request line up to the first `?`, which is why a request without a query ends in the version.
    let target = String::from_utf8_lossy(exchange.head.target_parts().path()).into_owned();
    let line = match exchange.head.query() {
        Some(_) => format!("{method} {target}"),
        None => format!("{method} {target} {}", exchange.head.version.as_str()),
    };
    let line = if vary.ignore_case {
        line.to_ascii_lowercase()
    } else {
        line
    };
    hash.update(format!(
        "|{method}|{line}|{}|{}",
        parameters(exchange, vary),
        headers(exchange, vary)
    ));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parameters(exchange: &Exchange, vary: &Vary) -> String {
    let mut by_name: BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>> = BTreeMap::new();
    for argument in arguments::arguments(exchange.query.as_deref().unwrap_or_default()) {
        by_name
            .entry(argument.name.into_owned())
            .or_default()
            .push(argument.value.map(|v| v.into_owned()));
    }
    let item = |(name, values): (&Vec<u8>, &Vec<Option<Vec<u8>>>)| {
        let name = String::from_utf8_lossy(name);
        let mut texts: Vec<String> = values
            .iter()
            .flatten()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        if texts.is_empty() {
            return name.into_owned();
        }
        texts.sort();
        format!("{name}={}", texts.join(","))
    };
    let items: Vec<String> = match &vary.query {
        None => by_name.iter().map(item).collect(),
        Some(names) => names
            .iter()
            .filter_map(|name| by_name.get_key_value(name.as_bytes()))
            .map(item)
            .collect(),
    };
    items.join(":")
}

fn headers(exchange: &Exchange, vary: &Vary) -> String {
    let items = vary.headers.iter().filter_map(|name| {
        let mut values: Vec<String> = exchange
            .headers()
            .get_all(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        values.sort();
        (!values.is_empty()).then(|| format!("{name}={}", values.join(",")))
    });
    items.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kong_plugin::testing::TestNode;

    #[test]
    fn keys_are_those_of_the_original() {
        let node = TestNode::new(Vec::new());
        let exchange = node.exchange("GET /items?b=2&a=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        let expected = "c526f75cbe58cd4c1c4b6f8c9aabaec93c9f95378424dad6eea910bd25241caa";
        assert_eq!(of(&exchange, &Vary::default()), expected);
    }

    #[test]
    fn keys_tell_requests_apart() {
        let node = TestNode::new(Vec::new());
        let key = |target: &str, lines: &str, vary: &Vary| {
            of(
                &node.exchange(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")),
                vary,
            )
        };
        let all = Vary::default();
        assert_eq!(key("/o?a=1&b=2", "", &all), key("/o?b=2&a=1", "", &all));
        assert_eq!(key("/o?a=1&a=2", "", &all), key("/o?a=2&a=1", "", &all));
        assert_ne!(key("/o?a=2&b=1", "", &all), key("/o?b=2&a=1", "", &all));
        assert_ne!(key("/o?a=1", "", &all), key("/o?a", "", &all));
        assert_ne!(key("/o", "", &all), key("/O", "", &all));
        let some = Vary {
            query: Some(vec!["a".into()]),
            headers: vec!["X-Lang".into()],
            ignore_case: true,
        };
        assert_eq!(
            key("/o?a=1&b=2", "X-Lang: de\r\n", &some),
            key("/O?a=1&b=3", "X-Lang: de\r\nX: 1\r\n", &some)
        );
        assert_ne!(key("/o?a=1", "X-Lang: de\r\n", &some), key("/o?a=1", "", &some));
    }
}
