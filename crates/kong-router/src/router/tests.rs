//! One row a rule. A case is a table of routes (`name: {fields}`), then requests:
//! `method host path [header: value; …] -> route [matched path]`, where `-` stands for nothing, and a host may be written
//! `https(sni)host` for a request over TLS.

use std::sync::Arc;

use super::*;
use crate::classic::tests::route;
use crate::{NoHeaders, Scheme};

/// Runs a case and returns how many requests it holds.
pub(crate) fn run(flavor: Flavor, case: &str) -> usize {
    let mut routes = Vec::new();
    let mut requests = Vec::new();
    for line in case
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match line.split_once(" -> ") {
            Some((request, expected)) if !line.contains('{') => requests.push((request, expected.trim())),
            _ => routes.push(line.split_once(": ").unwrap_or_else(|| panic!("{line}"))),
        }
    }
    let changes = routes.iter().enumerate().map(|(index, (name, fields))| {
        let mut route = route(fields);
        if route.id.as_u128() & 0xFFFF == 0 {
            route.id = Uuid::from_u128(index as u128 + 1);
        }
        RouteChange::upsert(Arc::new(route), *name)
    });
    let (router, errors) = Router::empty(flavor).apply(changes);
    assert!(errors.is_empty(), "{errors}");
    for (request, expected) in &requests {
        let mut words = request.splitn(4, ' ');
        let (Some(method), Some(host), Some(path)) = (words.next(), words.next(), words.next()) else {
            panic!("{request}")
        };
        let headers: Vec<(&str, &str)> = words
            .next()
            .unwrap_or_default()
            .split("; ")
            .filter_map(|header| header.trim().split_once(": "))
            .collect();
        let (tls, host) = match host.strip_prefix("https(") {
            Some(rest) => rest
                .split_once(')')
                .map(|(sni, host)| (Some(sni), host))
                .unwrap_or_else(|| panic!("{request}")),
            None => (None, host),
        };
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query.as_bytes())));
        let path = crate::uri::normalize(path.as_bytes());
        let query = RequestQuery {
            host: (host != "-").then_some(host.as_bytes()),
            query,
            scheme: if tls.is_some() { Scheme::Https } else { Scheme::Http },
            sni: tls.filter(|sni| !sni.is_empty()),
            source: Some(([10, 0, 0, 7], 40_000).into()),
            destination: Some(([127, 0, 0, 1], 8000).into()),
            ..RequestQuery::http(method, &path, &headers)
        };
        let found = router.find(&query);
        let name = found.as_ref().map_or("-", |found| found.payload());
        let got = match (expected.contains(' '), found.as_ref().and_then(Match::matched_path)) {
            (true, Some(matched)) => format!("{name} {}", String::from_utf8_lossy(&matched)),
            (true, None) => format!("{name} -"),
            (false, _) => name.to_owned(),
        };
        assert_eq!(got, *expected, "{request}");
    }
    requests.len()
}

fn compatible(case: &str) {
    assert!(run(Flavor::TraditionalCompatible, case) > 0);
}

#[test]
fn hosts_are_compared_with_their_case_and_without_port() {
    compatible(
        r#"
        plain: {"hosts":["a.test"]}
        port: {"hosts":["b.test:8000"]}
        either: {"hosts":["c.test:81","d.test"]}
        v6: {"hosts":["[::1]","[::2]:80"]}
        GET a.test / -> plain
        GET A.test / -> -
        GET a.test:9 / -> plain
        GET a.test: / -> -
        GET a.test. / -> -
        GET b.test / -> port
        GET b.test:8000 / -> port
        GET b.test:80 / -> -
        GET c.test / -> -
        GET c.test:81 / -> either
        GET d.test:5 / -> either
        GET [::1] / -> v6
        GET [::1]:80 / -> -
        GET [::2]:80 / -> v6
        GET [::2] / -> -
        GET - / -> -
        "#,
    );
}

#[test]
fn request_without_host_matches_routes_without_hosts() {
    compatible(
        r#"
        host: {"hosts":["a.test"]}
        any: {"paths":["/x"]}
        GET - /x -> any
        GET - /y -> -
        GET a.test /x -> host
        "#,
    );
}

#[test]
fn wildcards_match_endings_and_beginnings() {
    compatible(
        r#"
        left: {"hosts":["*.w.test"]}
        right: {"hosts":["r.*"]}
        ported: {"hosts":["*.p.test:8443"]}
        GET a.w.test / -> left
        GET a.b.w.test:1 / -> left
        GET .w.test / -> left
        GET w.test / -> -
        GET r.a.b / -> right
        GET r. / -> right
        GET r / -> -
        GET a.p.test:8443 / -> ported
        GET a.p.test / -> -
        "#,
    );
}

#[test]
fn prefixes_are_no_segments_and_the_longest_wins() {
    compatible(
        r#"
        root: {"paths":["/"]}
        long: {"paths":["/foo/bar"]}
        short: {"paths":["/foo"]}
        GET h /foo/barx -> long /foo/bar
        GET h /foox -> short /foo
        GET h //foo/./bar -> long /foo/bar
        GET h /fo -> root /
        "#,
    );
}

#[test]
fn regexes_are_anchored_at_the_beginning_of_the_first_alternative_only() {
    compatible(
        r#"
        digits: {"paths":["~/d/\\d+"]}
        either: {"paths":["~/aa|/bb"]}
        several: {"paths":["~/s/\\d","~/s/\\d+/x","~/s"]}
        GET h /d/12/x -> digits /d/12
        GET h /x/d/12 -> -
        GET h /aa/1 -> either /aa
        GET h /x/aa -> -
        GET h /x/bb/1 -> either /bb
        GET h /s/12/x -> several /s/1
        GET h /s/x -> several /s
        "#,
    );
}

#[test]
fn headers_are_compared_in_lower_case_any_instance_counts() {
    compatible(
        r#"
        exact: {"headers":{"X-One":["Abc"]}}
        regex: {"headers":{"X_Two":["~*^V\\D+$"]}}
        both: {"headers":{"X-A":["1"],"X-B":["2","3"]}}
        umlaut: {"headers":{"X-U":["ä"]}}
        GET h / X-One: ABC -> exact
        GET h / x_one: abc -> exact
        GET h / X-One: abcd -> -
        GET h / X-One: x; X-One: abc -> exact
        GET h / X-One: x, abc -> -
        # The pattern is put in lower case too, so \D is \d.
        GET h / X-Two: V12 -> regex
        GET h / X-Two: vx -> -
        GET h / X-A: 1; X-B: 3 -> both
        GET h / X-A: 1 -> -
        GET h / X-U: Ä -> umlaut
        "#,
    );
}

#[test]
fn server_names_count_over_tls_only() {
    compatible(
        r#"
        exact: {"snis":["a.test"],"protocols":["https"]}
        wild: {"snis":["*.b.test","c.*"],"protocols":["https"]}
        GET https(a.test)h / -> exact
        GET https(x.b.test)h / -> wild
        GET https(c.d)h / -> wild
        GET https(b.test)h / -> -
        GET https()h / -> -
        GET h / -> wild
        "#,
    );
}

#[test]
fn endpoints_restrict_where_they_are_set() {
    compatible(
        r#"
        near: {"paths":["/a"],"sources":[{"ip":"10.9.9.9/8"}]}
        far: {"paths":["/b"],"sources":[{"ip":"192.168.0.0/16"}]}
        port: {"paths":["/c"],"destinations":[{"port":8000},{"ip":"1.1.1.1","port":81}]}
        GET h /a -> near
        GET h /b -> -
        GET h /c -> port
        # The port of the Host header is the destination's.
        GET h:81 /c -> -
        "#,
    );
}

#[test]
fn among_equals_the_largest_id_wins() {
    compatible(
        r#"
        low: {"id":"10000000-0000-4000-8000-000000000001","paths":["/x"]}
        high: {"id":"f0000000-0000-4000-8000-000000000001","paths":["/x"]}
        mid: {"id":"80000000-0000-4000-8000-000000000001","paths":["/x"]}
        GET h /x -> high
        "#,
    );
}

#[test]
fn regex_beats_prefix_but_neither_a_plain_host_nor_four_categories() {
    compatible(
        r#"
        prefix: {"paths":["/p/q"],"methods":["GET"],"headers":{"X":["1"]}}
        regex: {"paths":["~/p"]}
        host: {"hosts":["h.test"]}
        four: {"hosts":["*.test"],"methods":["GET"],"headers":{"X":["1"]},"paths":["/"]}
        GET h /p/q X: 1 -> regex
        GET h.test /p/q -> host
        GET h.test /p/q X: 1 -> four
        "#,
    );
}

#[test]
fn empty_hosts_are_as_plain_hosts_in_rank_only() {
    compatible(
        r#"
        empty: {"hosts":[],"methods":["GET"]}
        path: {"paths":["/long/path"],"methods":["GET"]}
        GET h /long/path -> empty
        "#,
    );
}

fn one(fields: &str) -> Router<&'static str> {
    let (router, errors) = Router::empty(Flavor::default()).apply([RouteChange::upsert(Arc::new(route(fields)), "it")]);
    assert!(errors.is_empty());
    router
}

#[test]
fn text_that_is_not_utf_8_matches_nothing_once_a_route_looks_at_it() {
    let headers = vec![("x-a", &b"\xff"[..])];
    let query = RequestQuery {
        host: Some(b"\xff"),
        ..RequestQuery::http("GET", b"/\xff", &headers)
    };
    for (fields, is_found) in [
        (r#"{"methods":["GET"]}"#, true),
        (r#"{"paths":["/"]}"#, false),
        (r#"{"methods":["GET"],"hosts":["*.a"]}"#, false),
        (r#"{"methods":["GET"],"headers":{"X-B":["1"]}}"#, false),
    ] {
        assert_eq!(one(fields).find(&query).is_some(), is_found, "{fields}");
    }
    let (router, _) = one(r#"{"methods":["GET"]}"#).apply([RouteChange::upsert(
        Arc::new(Route {
            id: Uuid::from_u128(5),
            ..route(r#"{"headers":{"X-A":["1"]}}"#)
        }),
        "other",
    )]);
    assert!(router.find(&query).is_none());
}

#[test]
fn captures_are_those_of_the_winning_path_and_then_of_headers() {
    let router = one(r#"{"paths":["~/u/(?<user>\\w+)/(\\d+)?"],"headers":{"X-V":["~*^v(?<major>\\d+)\\.(\\d+)"]}}"#);
    let headers = vec![("X-V", "V3.14")];
    let path = crate::uri::normalize(b"/u/j%C3%B6e/");
    let query = RequestQuery::http("GET", &path, &headers);
    let found = router
        .find(&query)
        .and_then(|found| found.captures())
        .unwrap_or_default();
    assert_eq!(found.name("user"), Some("jöe"));
    assert_eq!(found.name("major"), Some("3"));
    assert_eq!(
        (found.number(0), found.number(1), found.number(2)),
        (Some("v3.14"), Some("3"), Some("14"))
    );

    let plain = one(r#"{"paths":["~/u/\\d+"]}"#);
    let query = RequestQuery::http("GET", b"/u/12", &NoHeaders);
    assert!(plain.find(&query).is_some_and(|found| found.captures().is_none()));
}

#[test]
fn route_that_does_not_compile_is_left_out_and_the_others_work() {
    let good = Arc::new(Route {
        id: Uuid::from_u128(1),
        ..route(r#"{"paths":["/"]}"#)
    });
    let bad = |paths: &str| {
        Arc::new(Route {
            id: Uuid::from_u128(2),
            ..route(paths)
        })
    };
    let (router, errors) = Router::empty(Flavor::default()).apply([
        RouteChange::upsert(bad(r#"{"paths":["~/(?=a)"]}"#), "bad"),
        RouteChange::upsert(good, "good"),
    ]);
    assert_eq!(errors.0.len(), 1);
    assert!(errors.to_string().contains("look-around"), "{errors}");
    let find = |router: &Router<&'static str>| {
        router
            .find(&RequestQuery::http("GET", b"/a", &NoHeaders))
            .map(|found| *found.payload())
    };
    assert_eq!(find(&router), Some("good"));

    // Its older version goes, too.
    let (router, errors) = router.apply([RouteChange::upsert(bad(r#"{"paths":["~/a"]}"#), "fixed")]);
    assert!(errors.is_empty());
    assert_eq!(find(&router), Some("fixed"));
    let (router, errors) = router.apply([RouteChange::upsert(bad(r#"{"paths":["~/a{9999999}"]}"#), "bad again")]);
    assert_eq!(errors.0.len(), 1);
    assert_eq!(find(&router), Some("good"));
    assert_eq!(router.len(), 1);
}

#[test]
fn paths_longer_than_the_index_looks_are_compared_whole() {
    let long = format!("/{}", "a".repeat(400));
    let router = one(&format!(r#"{{"paths":["{long}"]}}"#));
    let find = |path: &str| {
        router
            .find(&RequestQuery::http("GET", path.as_bytes(), &NoHeaders))
            .is_some()
    };
    assert!(find(&long) && find(&format!("{long}/x")));
    assert!(!find(&long[..400]) && !find(&format!("/{}", "a".repeat(300))));
}

#[test]
fn streams_and_requests_have_routers_of_their_own() {
    let http = Arc::new(route(r#"{"paths":["/"]}"#));
    let stream = |id, fields| {
        Arc::new(Route {
            id: Uuid::from_u128(id),
            ..route(fields)
        })
    };
    let changes = [
        RouteChange::upsert(http, "http"),
        RouteChange::upsert(
            stream(1, r#"{"protocols":["tcp"],"destinations":[{"port":5432}]}"#),
            "port",
        ),
        RouteChange::upsert(
            stream(2, r#"{"protocols":["tcp"],"sources":[{"ip":"10.0.0.0/8"}]}"#),
            "network",
        ),
        RouteChange::upsert(stream(3, r#"{"protocols":["tls"],"snis":["db.test"]}"#), "sni"),
        RouteChange::upsert(
            stream(
                4,
                r#"{"protocols":["tcp"],"sources":[{"ip":"10.0.0.9"}],"destinations":[{"port":5432}]}"#,
            ),
            "both",
        ),
    ];
    let (streams, _) = Router::empty_stream(Flavor::default()).apply(changes.clone());
    let (requests, _) = Router::empty(Flavor::default()).apply(changes);
    assert_eq!((streams.len(), requests.len()), (4, 1));
    let find = |scheme, sni, source: &str, port: u16| {
        let query = RequestQuery::stream(
            scheme,
            sni,
            source.parse().unwrap_or(([0, 0, 0, 0], 0).into()),
            ([127, 0, 0, 1], port).into(),
        );
        streams.find(&query).map(|found| *found.payload())
    };
    assert_eq!(find(Scheme::Tls, Some("db.test"), "9.9.9.9:1", 1), Some("sni"));
    assert_eq!(find(Scheme::Tls, Some("x.test"), "9.9.9.9:1", 1), None);
    assert_eq!(find(Scheme::Tls, None, "9.9.9.9:1", 5432), Some("port"));
    assert_eq!(find(Scheme::Tls, Some("db.test"), "10.0.0.9:1", 5432), Some("both"));
    assert_eq!(find(Scheme::Tls, None, "10.0.0.8:1", 443), Some("network"));
}
