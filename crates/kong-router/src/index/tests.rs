//! The index against a reference that asks every matcher in order.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::classic::tests::route;
use crate::matcher::Facts;
use crate::{Flavor, RequestQuery, RouteChange, Router, Scheme};

/// What the routes and requests of one round are made of.
struct Words {
    hosts: &'static [&'static str],
    request_hosts: &'static [&'static str],
    paths: &'static [&'static str],
    request_paths: &'static [&'static str],
    headers: usize,
    header_values: usize,
    chance_of_host: u32,
    chance_of_header: u32,
    chance_of_sni: u32,
    /// Percentage of routes with an expression.
    expressions: u32,
}

const MIXED: Words = Words {
    hosts: &[
        "a.test",
        "b.test",
        "*.test",
        "*.a.test",
        "a.*",
        "x.a.*",
        "a.test:81",
        "*.test:81",
        "[::1]",
    ],
    request_hosts: &[
        "a.test",
        "b.test",
        "x.a.test",
        "x.a.org",
        "a.org",
        "a.test:81",
        "x.test:81",
        "x.test:82",
        "[::1]",
        "A.test",
    ],
    paths: &[
        "/",
        "/a",
        "/b",
        "/a/b",
        "/a/b/c",
        "/ab",
        "/abc",
        "~/a",
        "~/a/\\w+$",
        "~/[ab]/",
        "~/(?<x>b)",
        "~/a|/c",
        "~/a/b/\\d+",
        "~/.*c$",
        "~/(?i)A/B",
    ],
    request_paths: &[
        "/", "/a", "/b", "/c", "/a/", "/a/b", "/a/b/c", "/a/b/12", "/ab/c", "/abcd", "/x/c", "/A/B", "/b/é",
    ],
    headers: 3,
    header_values: 3,
    chance_of_host: 50,
    chance_of_header: 30,
    chance_of_sni: 15,
    expressions: 0,
};

/// Nearly all routes end in one place, where only headers and server names tell them apart.
const CROWDED: Words = Words {
    hosts: &["a.test"],
    request_hosts: &["a.test", "b.test"],
    paths: &["/", "/a", "~/\\w+/x\\d"],
    request_paths: &["/", "/a/x1", "/b"],
    headers: 12,
    header_values: 40,
    chance_of_host: 20,
    chance_of_header: 90,
    chance_of_sni: 20,
    expressions: 0,
};

/// Hundreds of regexes that begin alike.
const REGEXES: Words = Words {
    hosts: &["a.test"],
    request_hosts: &["a.test"],
    paths: &[
        "~/\\w+/x1$",
        "~/\\w+/x2",
        "~/[a-c]+/x",
        "~/[^/]+/\\d",
        "~/(a|b)/x[12]",
        "~/.*/x3",
        "~/\\w/y",
        "~/[b-d]/y",
        "~.*z",
        "~/|/q",
    ],
    request_paths: &[
        "/a/x1", "/abc/x2", "/c/x", "/d/1", "/b/x12", "/q/r/x3", "/a/y", "/d/y", "/zz", "/-",
    ],
    headers: 2,
    header_values: 2,
    chance_of_host: 10,
    chance_of_header: 10,
    chance_of_sni: 0,
    expressions: 0,
};

const EXPRESSIONS: Words = Words {
    expressions: 90,
    ..MIXED
};

fn pick<'a>(random: &mut fastrand::Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(..words.len())]
}

fn some(random: &mut fastrand::Rng, words: &[&str], most: usize) -> Vec<String> {
    (0..random.usize(1..=most))
        .map(|_| pick(random, words).to_owned())
        .collect()
}

const COMPARISONS: &[&str] = &[
    r#"http.host == "a.test""#,
    r#"http.host =^ ".test""#,
    r#"http.host ^= "x.""#,
    r#"http.host != "b.test""#,
    r#"http.path ^= "/a""#,
    r#"http.path ^= "/a/b""#,
    r#"http.path == "/a/b/c""#,
    r#"http.path ~ "^/a/b/\\d""#,
    r#"http.path ~ "b""#,
    r#"lower(http.path) ^= "/a/b""#,
    r#"http.path.segments.1 == "b""#,
    r#"http.method == "GET""#,
    r#"http.headers.x_h1 == "v1""#,
    r#"any(lower(http.headers.x_h2)) == "v2""#,
    r#"any(http.headers.x_h2) == "V2""#,
    r#"tls.sni == "a.test""#,
    r#"tls.sni =^ ".test""#,
    "net.dst.port == 81",
    "net.dst.ip in 127.0.0.0/8",
];

fn random_expression(random: &mut fastrand::Rng, depth: usize) -> String {
    let mut parts = Vec::new();
    for _ in 0..random.usize(1..=3) {
        parts.push(match random.u8(..8) {
            0 if depth > 0 => format!("({})", random_expression(random, depth - 1)),
            1 if depth > 0 => format!("!({})", random_expression(random, depth - 1)),
            _ => pick(random, COMPARISONS).to_owned(),
        });
    }
    parts.join(pick(random, &[" && ", " || "]))
}

fn random_route(random: &mut fastrand::Rng, words: &Words, id: u128) -> kong_model::Route {
    if words.expressions > 0 && random.u32(..100) < words.expressions {
        let mut route = route("{}");
        route.id = Uuid::from_u128(id.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        route.expression = Some(random_expression(random, 2));
        route.priority = Some(random.u64(..4));
        return route;
    }
    let chance = |random: &mut fastrand::Rng, percent| random.u32(..100) < percent;
    let mut route = route("{}");
    route.id = Uuid::from_u128(id.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    if chance(random, words.chance_of_host) {
        route.hosts = Some(some(random, words.hosts, 3));
    }
    if chance(random, 80) {
        route.paths = Some(some(random, words.paths, 3));
    }
    if chance(random, 25) {
        route.methods = Some(some(random, &["GET", "POST", "PUT"], 2));
    }
    if chance(random, words.chance_of_header) {
        let headers = (0..random.usize(1..=2)).map(|_| {
            let name = format!("X-H{}", random.usize(..words.headers));
            let mut values = Vec::new();
            for _ in 0..random.usize(1..=2) {
                values.push(match random.usize(..words.header_values + 1) {
                    0 => "~*^V[12]".to_owned(),
                    value => format!("V{value}"),
                });
            }
            (name, values)
        });
        route.headers = Some(headers.collect());
    }
    if chance(random, words.chance_of_sni) {
        route.snis = Some(some(
            random,
            &["a.test", "b.test", "c.test", "*.test", "a.*", "d.test."],
            2,
        ));
    }
    if chance(random, 5) {
        let endpoint = r#"[{"ip":"127.0.0.0/8","port":null},{"ip":null,"port":81}]"#;
        route.destinations = serde_json::from_str(endpoint).ok();
    }
    if chance(random, 20) {
        route.regex_priority = Some(random.i64(-1..4));
    }
    route
}

/// Compares the router's choice with that of asking every matcher in order.
fn assert_same(router: &Router<u128>, query: &RequestQuery<'_>) -> bool {
    let facts = Facts::new(query);
    let expected = router
        .matchers()
        .into_iter()
        .filter(|matcher| matcher.agrees(&facts))
        .max_by_key(|matcher| matcher.rank);
    let found = router.find(query);
    assert_eq!(
        found.as_ref().map(|found| found.matcher.rank),
        expected.map(|matcher| matcher.rank),
        "{} {:?} {:?}: {:?} instead of {:?}",
        query.method,
        query.host.map(String::from_utf8_lossy),
        String::from_utf8_lossy(query.path),
        found.as_ref().map(|found| found.route()),
        expected.map(|matcher| &matcher.target.route),
    );
    if let Some(found) = found {
        // None of it may panic, whatever matched.
        let has_path = found.route().paths.is_some();
        assert!(found.route().expression.is_some() || found.matched_path().is_some() == has_path);
        let _captures = found.captures();
        return true;
    }
    false
}

fn ask(random: &mut fastrand::Rng, words: &Words, router: &Router<u128>) -> bool {
    let headers: Vec<(String, String)> = (0..random.usize(..4))
        .map(|_| {
            let separator = pick(random, &["-", "_"]);
            let value = pick(random, &["v", "V", "xv"]);
            (
                format!("x{separator}h{}", random.usize(..words.headers)),
                format!("{value}{}", random.usize(..words.header_values + 1)),
            )
        })
        .collect();
    let https = random.bool();
    let host = pick(random, words.request_hosts);
    let destination: SocketAddr = SocketAddr::from(([127, 0, 0, 1], if random.bool() { 81 } else { 8000 }));
    let query = RequestQuery {
        host: (random.u8(..10) > 0).then_some(host.as_bytes()),
        scheme: if https { Scheme::Https } else { Scheme::Http },
        sni: (https && random.u8(..4) > 0).then(|| pick(random, &["a.test", "b.test", "d.test", "a.org", "x"])),
        destination: Some(destination),
        ..RequestQuery::http(
            pick(random, &["GET", "POST", "PUT", "FOO"]),
            pick(random, words.request_paths).as_bytes(),
            &headers,
        )
    };
    assert_same(router, &query)
}

/// Many rounds of random changes and requests; old versions of the table must go on giving the old answers.
fn compare(words: &Words, flavor: Flavor, seed: u64, rounds: usize, routes: usize, changes: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut asked, mut matched) = (0, 0);
    for _ in 0..rounds {
        let mut next_id = 1;
        let initial = (0..random.usize(..=routes)).map(|_| {
            next_id += 1;
            RouteChange::Upsert(Arc::new(random_route(&mut random, words, next_id)), next_id)
        });
        let initial: Vec<_> = initial.collect();
        let (mut router, errors) = Router::empty(flavor).apply(initial);
        assert!(errors.is_empty(), "{errors}");
        let mut versions = Vec::new();
        for _ in 0..changes {
            let known = random.usize(1..next_id as usize + 2) as u128;
            let changed = random_route(&mut random, words, known);
            let change = match random.u8(..3) {
                0 => RouteChange::Remove(changed.id),
                _ => RouteChange::Upsert(Arc::new(changed), known),
            };
            next_id = next_id.max(known);
            if random.u8(..8) == 0 {
                versions.push(router.clone());
            }
            let before = router.len();
            router = router.apply([change]).0;
            assert!(router.len().abs_diff(before) <= 1);
            for _ in 0..6 {
                asked += 1;
                matched += usize::from(ask(&mut random, words, &router));
            }
        }
        versions.push(router.clone());
        for version in &versions {
            for _ in 0..10 {
                asked += 1;
                matched += usize::from(ask(&mut random, words, version));
            }
        }
        // Taken out one by one, nothing is left.
        let ids: Vec<Uuid> = router
            .matchers()
            .iter()
            .map(|matcher| matcher.target.route.id)
            .collect();
        let (emptied, _) = router.apply(ids.into_iter().map(RouteChange::Remove));
        assert!(emptied.is_empty() && emptied.is_vacant());
    }
    assert!(
        matched * 3 > asked,
        "the requests hardly match anything: {matched} of {asked}"
    );
}

#[test]
fn index_agrees_with_asking_everyone_on_small_mixed_tables() {
    compare(&MIXED, Flavor::TraditionalCompatible, 11, 100, 12, 15);
}

#[test]
fn index_agrees_with_asking_everyone_on_larger_mixed_tables() {
    compare(&MIXED, Flavor::TraditionalCompatible, 12, 3, 250, 40);
}

#[test]
fn index_agrees_with_asking_everyone_where_only_headers_differ() {
    compare(&CROWDED, Flavor::TraditionalCompatible, 13, 4, 300, 50);
}

#[test]
fn index_agrees_with_asking_everyone_among_hundreds_of_regexes() {
    compare(&REGEXES, Flavor::TraditionalCompatible, 14, 3, 150, 20);
}

#[test]
fn index_agrees_with_asking_everyone_about_expressions() {
    compare(&EXPRESSIONS, Flavor::Expressions, 15, 40, 12, 10);
    compare(&EXPRESSIONS, Flavor::Expressions, 16, 2, 150, 25);
}

#[test]
fn index_agrees_with_asking_everyone_in_the_traditional_flavor() {
    compare(&MIXED, Flavor::Traditional, 17, 60, 12, 15);
    compare(&MIXED, Flavor::Traditional, 18, 2, 150, 25);
}
