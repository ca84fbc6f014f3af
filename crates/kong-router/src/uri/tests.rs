use super::*;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn normalize_rows() {
    let rows = [
        ("", ""),
        ("/", "/"),
        ("*", "*"),
        ("/anything/./a/../wor%6cd/a/../b", "/anything/world/b"),
        ("//a///b", "/a/b"),
        ("//", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/b/../..", "/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/../a", "/a"),
        ("/a//../b", "/b"),
        ("/a/.b/..c/...", "/a/.b/..c/..."),
        ("/users/%6aohn%20doe", "/users/john doe"),
        ("/foo%2Fbar", "/foo%2Fbar"),
        ("/foo%2fbar", "/foo%2Fbar"),
        ("/route%2E/req", "/route./req"),
        ("/%2e%2e/a", "/a"),
        ("/x/%2E%2E/a/b", "/a/b"),
        ("/a/%2e/b", "/a/b"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/%25", "/%25"),
        ("/m%C3%bcnchen", "/münchen"),
        ("/wor%7ed%2D1%2E%5Fx", "/wor~d-1._x"),
        (
            "/%21%2A%27%28%29%3b%3A%40%26%3D%2b%24%2C%2F%3F%25%23%5b%5D",
            "/%21%2A%27%28%29%3B%3A%40%26%3D%2B%24%2C%2F%3F%25%23%5B%5D",
        ),
        ("/%", "/%"),
        ("/%4", "/%4"),
        ("/%zz%41", "/%zzA"),
        ("/%%41", "/%A"),
        ("/index.html", "/index.html"),
        ("/a.b//c", "/a.b/c"),
    ];
    for (input, expected) in rows {
        assert_eq!(text(&normalize(input.as_bytes())), expected, "{input}");
    }
    assert_eq!(&*normalize(b"/m%FCnchen"), b"/m\xFCnchen");
}

#[test]
fn what_is_normal_is_not_copied() {
    for path in ["/", "/a/b", "/index.html", "/a.b/c", "/a/"] {
        assert!(matches!(normalize(path.as_bytes()), Cow::Borrowed(_)), "{path}");
        assert!(matches!(escape(path.as_bytes()), Cow::Borrowed(_)), "{path}");
        let same = upstream_path(PathHandling::V0, b"/", path.as_bytes(), StrippedPath::Keep);
        assert!(matches!(same, Cow::Borrowed(_)), "{path}");
    }
}

#[test]
fn normalizing_twice_folds_nothing_more() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let alphabet = b"/./ab%2F5e\xff";
        let path: Vec<u8> = std::iter::once(b'/')
            .chain((0..random.usize(..12)).map(|_| alphabet[random.usize(..alphabet.len())]))
            .collect();
        let once = normalize(&path).into_owned();
        assert!(
            once.first() == Some(&b'/') && !text(&once).contains("//"),
            "{}",
            text(&path)
        );
        let is_dotted = once
            .split(|byte| *byte == b'/')
            .any(|segment| segment == b"." || segment == b"..");
        assert!(!is_dotted, "{}", text(&path));
        assert!(escape(&once).is_ascii());
    }
}

#[test]
fn escape_keeps_the_characters_of_uris_and_what_is_encoded() {
    let rows: &[(&[u8], &str)] = &[
        (b"/a b", "/a%20b"),
        (b"/;a=1/b;c", "/;a=1/b;c"),
        (b"/a,b!c'd(e)*f$&=@:+~_-.#?[]", "/a,b!c'd(e)*f$&=@:+~_-.#?[]"),
        (b"/foo%2Fbar", "/foo%2Fbar"),
        (b"/\"q\"<>\\^`{|}", "/%22q%22%3C%3E%5C%5E%60%7B%7C%7D"),
        (b"/\xC3\xA9\xFF\x01\x7F", "/%C3%A9%FF%01%7F"),
    ];
    for (input, expected) in rows {
        assert_eq!(text(&escape(input)), *expected);
    }
}

/// service | route (- for none) | strip (true, false, any) | request → v0 | v1
const JOINS: &str = "
/         /        any   /              /               /
/         /        any   /route         /route          /route
/         /        any   /route/        /route/         /route/
/         /        any   /routereq      /routereq       /routereq
/         /        any   /route/req     /route/req      /route/req
/         /route   false /route         /route          /route
/         /route   false /route/        /route/         /route/
/         /route   false /routereq      /routereq       /routereq
/         /route   true  /route         /               /
/         /route   true  /route/        /               /
/         /route   true  /routereq      /req            /req
/         /route/  false /route/        /route/         /route/
/         /route/  false /route/req     /route/req      /route/req
/         /route/  true  /route/        /               /
/         /route/  true  /route/req     /req            /req
/srv      /rou     false /roureq        /srv/roureq     /srvroureq
/srv      /rou     true  /roureq        /srv/req        /srvreq
/srv/     /rou     false /rou           /srv/rou        /srv/rou
/srv/     /rou     true  /rou           /srv            /srv/
/service  /        any   /              /service        /service
/service  /        any   /route         /service/route  /serviceroute
/service  /        any   /route/        /service/route/ /serviceroute/
/service  /        any   /routereq      /service/routereq  /serviceroutereq
/service  /        any   /route/req     /service/route/req /serviceroute/req
/service  /route   false /route         /service/route  /serviceroute
/service  /route   false /route/        /service/route/ /serviceroute/
/service  /route   false /routereq      /service/routereq /serviceroutereq
/service  /route   true  /route         /service        /service
/service  /route   true  /route/        /service/       /service/
/service  /route   true  /routereq      /service/req    /servicereq
/service  /route/  false /route/        /service/route/ /serviceroute/
/service  /route/  false /route/req     /service/route/req /serviceroute/req
/service  /route/  true  /route/        /service/       /service
/service  /route/  true  /route/req     /service/req    /servicereq
/service/ /        any   /              /service/       /service/
/service/ /        any   /route         /service/route  /service/route
/service/ /        any   /route/        /service/route/ /service/route/
/service/ /        any   /routereq      /service/routereq /service/routereq
/service/ /        any   /route/req     /service/route/req /service/route/req
/service/ /route   false /route         /service/route  /service/route
/service/ /route   false /route/        /service/route/ /service/route/
/service/ /route   false /routereq      /service/routereq /service/routereq
/service/ /route   true  /route         /service        /service/
/service/ /route   true  /route/        /service/       /service/
/service/ /route   true  /routereq      /service/req    /service/req
/service/ /route/  false /route/        /service/route/ /service/route/
/service/ /route/  false /route/req     /service/route/req /service/route/req
/service/ /route/  true  /route/        /service/       /service/
/service/ /route/  true  /route/req     /service/req    /service/req
/         -        any   /              /               /
/         -        any   /route         /route          /route
/         -        any   /route/        /route/         /route/
/service  -        any   /              /service        /service
/service  -        any   /route         /service/route  /serviceroute
/service  -        any   /route/        /service/route/ /serviceroute/
/service/ -        any   /              /service/       /service/
/service/ -        any   /route         /service/route  /service/route
/service/ -        any   /route/        /service/route/ /service/route/
/service  /route   true  /route./req    /service/req    /servicereq
/service  /route   true  /route%2E/req  /service/req    /servicereq
/service  /route   true  /route../req   /service/req    /servicereq
/service  /route   true  /route%2e%2E/req /service/req  /servicereq
/service/ /route   true  /route./req    /service/req    /service/req
/service/ /route   true  /route../req   /service/req    /service/req
/service  /route   false /route./req    /service/route./req /serviceroute./req
/service  /route   false /route%2E/req  /service/route./req /serviceroute./req
/service  /route   false /route../req   /service/route../req /serviceroute../req
/service  /route   false /route%2E%2e/req /service/route../req /serviceroute../req
/service/ /route   false /route./req    /service/route./req /service/route./req
/service/ /route   false /route../req   /service/route../req /service/route../req
/srv      /route   true  /route.        /srv            /srv
/srv      /route   true  /route..       /srv            /srv
/srv      /route   true  /route.../x    /srv/.../x      /srv.../x
/srv      /route   true  /route./       /srv/           /srv
/a/b/c    /r/      true  /r/x/          /a/b/c/x/       /a/b/cx/
/a b      /r       true  /r/%C3%A9      /a%20b/%C3%A9   /a%20b/%C3%A9
";

#[test]
fn service_path_and_request_path_are_joined_as_the_table_says() {
    let mut rows = 0;
    // A column of its own for the one service path with a space.
    for row in JOINS.lines().filter(|row| !row.is_empty()) {
        let row = row.replace("/a b ", "/a\u{0}b ");
        let columns: Vec<String> = row
            .split_whitespace()
            .map(|column| column.replace('\u{0}', " "))
            .collect();
        let [service, route, strip, request, v0, v1] = &columns[..] else {
            panic!("{row}")
        };
        let request = normalize(request.as_bytes());
        for strip in [false, true]
            .into_iter()
            .filter(|flag| *strip == "any" || *strip == flag.to_string())
        {
            let matched = (route != "-").then_some(route.as_bytes());
            let stripped = StrippedPath::new(strip, matched);
            for (handling, expected) in [(PathHandling::V0, v0), (PathHandling::V1, v1)] {
                let path = upstream_path(handling, service.as_bytes(), &request, stripped);
                assert_eq!(text(&path), *expected, "{row} ({handling:?}, strip_path={strip})");
                rows += 1;
            }
        }
    }
    assert!(rows > 160, "{rows}");
}

#[test]
fn service_without_a_path_counts_as_a_slash() {
    assert_eq!(
        &*upstream_path(PathHandling::V0, b"", b"/x", StrippedPath::Matched(b"/x")),
        b"/"
    );
    assert_eq!(
        &*upstream_path(PathHandling::V0, b"", b"/x/y", StrippedPath::Unmatched),
        b"/x/y"
    );
}

#[test]
fn forwarded_prefix_is_what_was_stripped_if_more_than_a_slash() {
    let prefix = |strip, matched| StrippedPath::new(strip, matched).forwarded_prefix();
    assert_eq!(prefix(true, Some(&b"/a"[..])), Some(&b"/a"[..]));
    assert_eq!(prefix(true, Some(b"/")), None);
    assert_eq!(prefix(true, Some(b"")), None);
    assert_eq!(prefix(true, None), None);
    assert_eq!(prefix(false, Some(b"/a")), None);
}
