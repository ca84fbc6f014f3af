#![allow(clippy::unwrap_used)]

use super::*;

fn http(text: &str) -> Result<Vec<Listener>, String> {
    parse_listeners(text, Subsystem::Http)
}

#[test]
fn an_entry_is_an_address_and_flags_in_any_order() {
    let rows = [
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("reuseport 0.0.0.0:80 ssl", "0.0.0.0", 80),
        ("[::1]:8443 ssl", "::1", 8443),
        ("[::]:0", "::", 0),
        ("localhost:8001", "localhost", 8001),
        ("  gateway.test:9 ", "gateway.test", 9),
    ];
    for (text, host, port) in rows {
        let listeners = http(text).unwrap();
        assert_eq!((listeners[0].host.as_str(), listeners[0].port), (host, port), "{text}");
    }
}

#[test]
fn off_first_means_none() {
    assert_eq!(http("off").unwrap(), []);
    assert_eq!(http("off, 127.0.0.1:80").unwrap(), []);
}

#[test]
fn what_is_neither_address_nor_flag_is_refused_with_the_usage() {
    let usage = "must be of form: [off] | <ip>:<port> [ssl] [http2] [proxy_protocol] [deferred] [bind] [reuseport] \
                 [backlog=%d+] [ipv6only=on] [ipv6only=off] [so_keepalive=on] [so_keepalive=off] \
                 [so_keepalive=%w*:%w*:%d*], [... next entry ...]";
    for text in [
        "",
        ",",
        "ssl",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "300.0.0.1:80",
        "::1:80",
        "[::1]",
        "[::g]:80",
        ":80",
        "127.0.0.1:80 udp",
        "127.0.0.1:80 tls",
        "127.0.0.1:80 127.0.0.1:81",
        "127.0.0.1:80 backlog=",
        "127.0.0.1:80 backlog=x",
        "127.0.0.1:80 backlog=99999999999",
        "127.0.0.1:80, off",
        "127.0.0.1:80 so_keepalive=1",
        "127.0.0.1:80 ipv6only=maybe",
        "a b:80",
    ] {
        assert_eq!(http(text).unwrap_err(), usage, "{text:?}");
    }
    assert!(parse_listeners("127.0.0.1:80 http2", Subsystem::Stream).is_err());
    assert!(parse_listeners("127.0.0.1:80 udp", Subsystem::Stream).unwrap()[0].udp);
}

#[test]
fn flags_are_read() {
    let listener = &http(
        "127.0.0.1:80 ssl http2 proxy_protocol deferred bind reuseport backlog=5 ipv6only=off so_keepalive=1m::9",
    )
    .unwrap()[0];
    assert!(listener.ssl && listener.http2 && listener.proxy_protocol && listener.deferred);
    assert!(listener.bind && listener.reuseport && !listener.udp);
    assert_eq!((listener.backlog, listener.ipv6only), (Some(5), Some(false)));
    let expected = TcpKeepAlive::On {
        idle: Some(60),
        interval: None,
        count: Some(9),
    };
    assert_eq!(listener.so_keepalive, Some(expected));
}

#[test]
fn the_admin_api_shows_every_flag() {
    let shown = serde_json::Value::from(&http("0.0.0.0:8443 http2 ssl reuseport backlog=16384").unwrap()[0].to_value());
    let expected = serde_json::json!({
        "listener": "0.0.0.0:8443 ssl reuseport backlog=16384", "ip": "0.0.0.0", "port": 8443, "ssl": true,
        "http2": true, "proxy_protocol": false, "deferred": false, "bind": false, "reuseport": true,
        "backlog=16384": true, "ipv6only=on": false, "ipv6only=off": false, "so_keepalive=on": false,
        "so_keepalive=off": false, "so_keepalive=%w*:%w*:%d*": false
    });
    assert_eq!(shown, expected);
    let shown = serde_json::Value::from(&http("[::1]:80").unwrap()[0].to_value());
    assert_eq!(shown["ip"], "[0000:0000:0000:0000:0000:0000:0000:0001]");
    assert_eq!(shown["backlog=%d+"], false);
}

#[test]
fn one_http2_listener_speaks_for_its_family() {
    assert!(offers_http2(&http("127.0.0.1:80 ssl, 127.0.0.1:81 ssl http2").unwrap()));
    assert!(!offers_http2(&http("127.0.0.1:80 ssl").unwrap()));
}
