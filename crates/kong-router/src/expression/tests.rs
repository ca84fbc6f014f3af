//! One row a rule of the language.

use std::sync::Arc;

use kong_model::Route;
use uuid::Uuid;

use super::validate_expression;
use crate::classic::tests::route;
use crate::{Flavor, RequestQuery, RouteChange, Router, Scheme};

#[test]
fn refusals_name_the_cause() {
    let rows: &[(&str, &str)] = &[
        (r#"http.foo == "1""#, "Unknown LHS field"),
        (r#"foo == "1""#, "Unknown LHS field"),
        (r#"http.path.foo == "x""#, "Unknown LHS field"),
        (r#"http.headers.a.b == "x""#, "Unknown LHS field"),
        (
            "http.path == 1",
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            r#"net.dst.port == "80""#,
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            r#"net.src.ip == "127.0.0.1""#,
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            "http.path == 127.0.0.1",
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            "net.src.ip == 127.0.0.0/8",
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            r#"http.path.segments.len == "1""#,
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (r#"net.dst.port ~ "1""#, "Regex operators only supports string operands"),
        (
            r#"net.dst.port ^= "1""#,
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            "net.dst.port ^= 1",
            "Regex/Prefix/Postfix operators only supports string operands",
        ),
        (
            r#"http.path > "a""#,
            "Greater/GreaterOrEqual/Lesser/LesserOrEqual operators only supports integer operands",
        ),
        ("http.path in 10.0.0.0/8", "In/NotIn operators only supports IP in CIDR"),
        ("net.src.ip in 10.0.0.1", "In/NotIn operators only supports IP in CIDR"),
        (
            "net.dst.port contains 1",
            "Contains operator only supports string operands",
        ),
        (
            r#"net.src.ip contains "1""#,
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            "lower(net.dst.port) == 1",
            "lower-case transformation function only supported with String type fields",
        ),
        (r#"http.path.segments.x == "a""#, "illformed http.path.segments.* field"),
        (
            r#"http.path.segments.01 == "a""#,
            "illformed http.path.segments.* field",
        ),
        (
            r#"http.path.segments.2_1 == "a""#,
            "illformed http.path.segments.* field",
        ),
        (
            r#"http.path.segments.1_1 == "a""#,
            "illformed http.path.segments.* field",
        ),
        (r#"http.path.segments. == "a""#, "illformed http.path.segments.* field"),
        (
            r#"http.path.segments.0_ == "a""#,
            "illformed http.path.segments.* field",
        ),
    ];
    for (source, expected) in rows {
        assert_eq!(
            validate_expression(source, true).as_ref().err().map(String::as_str),
            Some(*expected),
            "{source}"
        );
    }
}

/// Source, position, underline, message.
const REPORTS: &[(&str, &str, &str, &str)] = &[
    ("! a == 1", "1:1", "^---", "expected term"),
    (
        r#"http.path = "/""#,
        "1:11",
        "          ^---",
        "expected binary_operator",
    ),
    ("http.path == ", "1:14", "             ^---", "expected rhs"),
    (
        r#"(http.path == "/""#,
        "1:18",
        "                 ^---",
        "expected and_op or or_op",
    ),
    (
        r#"http.path == "/" &&"#,
        "1:20",
        "                   ^---",
        "expected term",
    ),
    (r#""/" == http.path"#, "1:1", "^---", "expected term"),
    ("http.path == '/'", "1:14", "             ^---", "expected rhs"),
    (
        r#"http.path == "/" foo"#,
        "1:18",
        "                 ^---",
        "expected EOI, and_op, or or_op",
    ),
    ("", "1:1", "^---", "expected term"),
    ("http.path", "1:10", "         ^---", "expected binary_operator"),
    (
        r#"upper(http.path) == "/""#,
        "1:1",
        "^--------------^",
        "unknown transformation function: upper",
    ),
    (
        r#"http.path ~ "(""#,
        "1:13",
        "            ^-^",
        "regex parse error:\n    (\n    ^\nerror: unclosed group",
    ),
    (
        r#"http.path ~ "a{2,1}""#,
        "1:13",
        "            ^------^",
        "regex parse error:\n    a{2,1}\n     ^^^^^\nerror: invalid repetition count range, the start must be <= the end",
    ),
    (
        r#"http.path ~ "(?=a)""#,
        "1:13",
        "            ^-----^",
        "regex parse error:\n    (?=a)\n    ^^^\nerror: look-around, including look-ahead and look-behind, is not supported",
    ),
    (
        "net.src.ip in 10.0.0.1/8",
        "1:15",
        "              ^--------^",
        "host part of address was not zero",
    ),
];

#[test]
fn reports_point_at_the_place() {
    for (source, place, underline, message) in REPORTS {
        let expected = format!(" --> {place}\n  |\n1 | {source}\n  | {underline}\n  |\n  = {message}");
        assert_eq!(validate_expression(source, true), Err(expected), "{source}");
    }
    let second_line = "http.path == \"/\" &&\n\thttp.path = 1";
    let expected = " --> 2:12\n  |\n2 | \thttp.path = 1\n  | \t          ^---\n  |\n  = expected binary_operator";
    assert_eq!(validate_expression(second_line, true), Err(expected.to_owned()));
}

#[test]
fn expressions_that_may_be_saved() {
    let http = [
        r#"http.path == "/""#,
        r#"http.path=="/"&&(http.method=="GET")||!(http.host=="a")"#,
        "any(lower(http.headers.x)) != r#\"a\"b\"#",
        r#"lower ( any ( http.queries.q ) ) contains "\"\\\n\r\t""#,
        "net.dst.port == 0x50 || net.dst.port == 0120 || net.src.port >= -1 || net.dst.port < 09",
        "net.src.ip in 10.0.0.0/8 && net.src.ip not in fe80::/10",
        "net.src.ip == ::1 || net.dst.ip != 1.2.3.4 || net.src.ip == ::ffff:1.2.3.4",
        "http.path.segments.len > 2",
        r#"http.path.segments.0 == "a" && http.path.segments.1_2 ^= "b/""#,
        r#"tls.sni =^ ".test" && net.protocol == "https""#,
        "net.port == 80 && net.port  > 1",
    ];
    for source in http {
        assert_eq!(validate_expression(source, true), Ok(()), "{source}");
    }
    assert_eq!(validate_expression("net.src.port == 1", false), Ok(()));
    assert_eq!(validate_expression(r#"tls.sni == "a""#, false), Ok(()));
    assert_eq!(
        validate_expression(r#"http.path == "/""#, false),
        Err("Unknown LHS field".into())
    );
    assert!(validate_expression("net.port in 1.0.0.0/8", true).is_err());
}

#[test]
fn nothing_typed_by_a_user_can_exhaust_the_stack() {
    for source in [
        "(".repeat(100_000),
        "lower(".repeat(100_000),
        format!("{}a == 1", "!(".repeat(100_000)),
    ] {
        assert!(validate_expression(&source, true).is_err_and(|report| report.contains("nested more than")));
    }
    let long = vec![r#"http.path == "/x""#; 5_000].join(" || ");
    assert_eq!(validate_expression(&long, true), Ok(()));
}

#[test]
fn random_text_is_refused_or_accepted_but_never_fatal() {
    let words = [
        "http.path",
        "net.src.ip",
        "lower(",
        "any(",
        ")",
        "(",
        "!",
        "&&",
        "||",
        "==",
        "~",
        "in",
        "not",
        "\"a\"",
        "\"(\"",
        "\"",
        "r#\"",
        "1",
        "-",
        "0x",
        "10.0.0.0/8",
        "::1",
        "::",
        "/",
        " ",
        "\n",
        "ü",
        "\\",
        "a",
        ".",
        "99999999999999999999",
    ];
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..20_000 {
        let source: String = (0..random.usize(..12))
            .map(|_| words[random.usize(..words.len())])
            .collect();
        let _verdict = validate_expression(&source, random.bool());
    }
}

fn table(expressions: &[&str]) -> Router<usize> {
    let changes = expressions.iter().enumerate().map(|(index, expression)| {
        let route = Route {
            id: Uuid::from_u128(1000 - index as u128),
            expression: Some((*expression).to_owned()),
            ..route(r#"{"protocols":["http","https"]}"#)
        };
        RouteChange::upsert(Arc::new(route), index)
    });
    let (router, errors) = Router::empty(Flavor::Expressions).apply(changes);
    assert!(errors.is_empty(), "{errors}");
    router
}

fn agrees(expression: &str, target: &str, host: &str, headers: &[(&str, &str)]) -> bool {
    let headers = headers.to_vec();
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query.as_bytes())));
    let query = RequestQuery {
        host: Some(host.as_bytes()),
        query,
        sni: Some("s.test"),
        scheme: Scheme::Https,
        source: Some(([10, 1, 2, 3], 4000).into()),
        destination: Some(([127, 0, 0, 1], 8443).into()),
        ..RequestQuery::http("GET", path.as_bytes(), &headers)
    };
    table(&[expression]).find(&query).is_some()
}

#[test]
fn operators_and_fields() {
    let rows: &[(&str, bool)] = &[
        (r#"http.path == "/a/b/c""#, true),
        (r#"http.path != "/a/b/c""#, false),
        (r#"http.path ^= "/a/""#, true),
        (r#"http.path =^ "/c""#, true),
        (r#"http.path contains "/b/""#, true),
        (r#"http.path ~ "b/.$""#, true),
        (r#"http.path ~ "^b""#, false),
        (r#"http.method == "GET" && http.host == "h.test""#, true),
        (r#"http.host =^ ".test" && http.host ^= "h.""#, true),
        (r#"lower(http.method) == "get""#, true),
        (r#"lower(http.method) == "GET""#, false),
        ("net.dst.port == 81 && net.src.port == 4000", true),
        (
            "net.dst.port >= 81 && net.dst.port <= 81 && net.dst.port > 80 && net.dst.port < 82 && net.dst.port != 80",
            true,
        ),
        ("net.src.ip == 10.1.2.3 && net.src.ip in 10.0.0.0/8", true),
        ("net.src.ip not in 10.0.0.0/8", false),
        ("net.dst.ip != 10.1.2.3", true),
        (r#"net.protocol == "https" && tls.sni == "s.test""#, true),
        (r#"http.path.segments.0 == "a" && http.path.segments.2 == "c""#, true),
        (
            r#"http.path.segments.0_1 == "a/b" && http.path.segments.1_2 == "b/c""#,
            true,
        ),
        (r#"http.path.segments.1_3 ^= "b""#, false),
        (r#"http.path.segments.3 != "x""#, false),
        ("http.path.segments.len == 3", true),
        (r#"http.queries.q == "x y" && http.queries.flag == """#, true),
        (r#"http.queries.m == "1""#, false),
        (r#"any(http.queries.m) == "2""#, true),
        (r#"http.queries.absent != "1""#, false),
        (r#"!(http.queries.absent == "1")"#, true),
        (r#"http.headers.x_one == "v""#, true),
        (r#"http.headers.x_two == "a""#, false),
        (r#"http.headers.x_two ~ "^[ab]$""#, true),
        (r#"any(http.headers.x_two) == "b""#, true),
        (r#"any(http.headers.x_two) == "B""#, false),
        (r#"http.headers.absent != "1""#, false),
        // `||` binds tighter than `&&`.
        (
            r#"http.path == "/x" && http.method == "PUT" || http.method == "GET""#,
            false,
        ),
        (
            r#"http.method == "PUT" || http.method == "GET" && http.path ^= "/a""#,
            true,
        ),
        (
            r#"(http.path == "/x" && http.method == "PUT") || http.method == "GET""#,
            true,
        ),
    ];
    let headers = [("X-One", "v"), ("X-Two", "a"), ("X-Two", "b")];
    for (expression, expected) in rows {
        let got = agrees(expression, "/a/b/c?q=x+%79&flag&m=1&m=2", "h.test:81", &headers);
        assert_eq!(got, *expected, "{expression}");
    }
}

#[test]
fn segments_of_short_paths() {
    let rows = [("/", 0), ("/a", 1), ("/a/", 1), ("/a/b", 2), ("/a/b/", 2)];
    for (path, count) in rows {
        assert!(
            agrees(&format!("http.path.segments.len == {count}"), path, "h", &[]),
            "{path}"
        );
    }
    assert!(!agrees(r#"http.path.segments.0 == """#, "/", "h", &[]));
    assert!(agrees(r#"http.path.segments.0 == "a""#, "/a/", "h", &[]));
}

#[test]
fn true_comparisons_leave_path_and_captures_behind() {
    let rows: &[(&str, Option<&str>, Option<&str>)] = &[
        (r#"http.path ^= "/api""#, Some("/api"), None),
        (r#"lower(http.path) ^= "/api/v""#, Some("/api/v"), None),
        (r#"http.path ~ "^/api/(?<v>V\\d+)""#, Some("/api/V2"), Some("V2")),
        (r#"http.path ^= "/x" || http.path ^= "/api/V""#, Some("/api/V"), None),
        (r#"http.method == "GET""#, None, None),
        (r#"http.path.segments.0 == "api""#, None, None),
        (
            r#"http.path ^= "/api" && http.headers.x ~ "(?<v>\\d)""#,
            Some("/api"),
            Some("7"),
        ),
    ];
    let headers = vec![("x", "a7")];
    for (expression, path, capture) in rows {
        let router = table(&[expression]);
        let query = RequestQuery::http("GET", b"/api/V2/x", &headers);
        let found = router.find(&query);
        let matched = found.as_ref().and_then(|found| found.matched_path());
        assert_eq!(matched.as_deref(), path.map(str::as_bytes), "{expression}");
        let captures = found.and_then(|found| found.captures());
        assert_eq!(
            captures.as_ref().and_then(|captures| captures.name("v")),
            *capture,
            "{expression}"
        );
    }
}
