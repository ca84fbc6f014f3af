//! What the Admin API says to input that is wrong.

use kong_tests::{Gateway, Request};
use serde_json::json;

use crate::assert_unharmed;

#[test]
fn wrong_input_gets_the_documented_answer() {
    let mut gateway = Gateway::builder().start().unwrap();
    let admin = gateway.admin();
    let post = |path: &str, kind: &str, body: &str| {
        admin
            .send(Request::new("POST", path).header("Content-Type", kind).body(body))
            .unwrap()
    };
    for body in ["{", "[", "{\"name\":", "\"", "nul", "{\"a\":1}x", "{\"a\" 1}"] {
        let response = post("/services", "application/json", body);
        assert_eq!(response.status, 400, "{body}");
        assert_eq!(response.json(), json!({"message": "Cannot parse JSON body"}), "{body}");
    }
    for (field, value) in [
        ("port", json!("a")),
        ("port", json!(70000)),
        ("port", json!(-1)),
        ("retries", json!({"a": 1})),
        ("tags", json!("x")),
        ("host", json!(5)),
        ("host", json!(["a"])),
        ("protocol", json!("gopher")),
        ("enabled", json!("maybe")),
        ("connect_timeout", json!(0)),
        ("unknown_field", json!(1)),
    ] {
        let mut body = json!({"host": "a.test"});
        body[field] = value.clone();
        let response = admin.post("/services", &body).unwrap();
        assert_eq!(response.status, 400, "{field} {value}: {}", response.text());
        let answer = response.json();
        assert_eq!(answer["name"], "schema violation", "{field} {value}");
        assert_eq!(answer["code"], 2, "{field} {value}");
        assert!(answer["fields"].get(field).is_some(), "{field} {value}: {answer}");
    }
    assert_eq!(post("/services", "text/plain", "x").status, 415);
    assert_eq!(
        admin
            .post("/services/none/routes", &json!({"paths": ["/"]}))
            .unwrap()
            .status,
        404
    );
    assert_eq!(
        admin.get("/services/none").unwrap().json(),
        json!({"message": "Not found"})
    );
    assert_eq!(
        admin.get("/services?data=none").unwrap().json()["data"],
        json!([]),
        "nothing was stored"
    );
    assert_unharmed(&mut gateway);
}

#[test]
fn deep_and_wide_json_is_survived() {
    let mut gateway = Gateway::builder().start().unwrap();
    let admin = gateway.admin();
    for body in [
        "[".repeat(1 << 20),
        "{\"a\":".repeat(200_000),
        format!("{{{}}}", vec!["\"a\":1"; 200_000].join(",")),
        format!("{{\"tags\":[{}]}}", vec!["\"t\""; 200_000].join(",")),
    ] {
        let request = Request::new("POST", "/services")
            .header("Content-Type", "application/json")
            .body(body);
        assert_eq!(admin.send(request).unwrap().status, 400);
    }
    assert_unharmed(&mut gateway);
}

#[test]
fn bodies_over_ten_mebibytes_are_refused() {
    let mut gateway = Gateway::builder().start().unwrap();
    let admin = gateway.admin();
    let body = format!("{{\"host\":\"{}\"}}", "a".repeat(11 << 20));
    let length = body.len().to_string();
    // With the whole body, with the head only, and chunked.
    let mut connection = admin.connect().unwrap();
    let _ = connection.write(&Request::new("POST", "/services").json(&json!(body)).to_bytes());
    // The node may cut the connection while the body is still coming; an answer, if it arrives, is 413.
    if let Ok(response) = connection.read_response(false) {
        assert_eq!(response.status, 413);
    }
    let head = Request::new("POST", "/services")
        .header("Content-Type", "application/json")
        .header("Content-Length", &length)
        .to_bytes();
    let mut connection = admin.connect().unwrap();
    connection.write(&head).unwrap();
    assert_eq!(connection.read_response(false).unwrap().status, 413);
    let chunked = Request::new("POST", "/services")
        .header("Content-Type", "application/json")
        .header("Transfer-Encoding", "chunked")
        .to_bytes();
    let mut connection = admin.connect().unwrap();
    connection.write(&chunked).unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "a".repeat(1 << 20));
    let sent = (0..64)
        .take_while(|_| connection.write(chunk.as_bytes()).is_ok())
        .count();
    assert!(sent < 64, "64 MiB were taken");
    if let Ok(response) = connection.read_response(false) {
        assert_eq!(response.status, 413);
    }
    assert_unharmed(&mut gateway);
}
