//! A change is in force for the next request on every open connection, whichever worker has it, once the Admin API has
//! answered.

use kong_tests::{Connection, Gateway, Origin, Request};
use serde_json::{Value, json};

/// So many connections that each of four workers has some, as good as surely: the kernel spreads them by hash.
const CONNECTIONS: usize = 64;

struct Clients {
    connections: Vec<Connection>,
}

impl Clients {
    fn open(gateway: &Gateway) -> Self {
        let connections = (0..CONNECTIONS).map(|_| gateway.proxy().connect().unwrap()).collect();
        let mut clients = Self { connections };
        // One request each, so that every connection is accepted and kept before the first change.
        clients.all("/nothing", &[], 404, "before any change");
        clients
    }

    /// Sends a request on every connection; each must be answered with the status.
    fn all(&mut self, path: &str, headers: &[(&str, &str)], status: u16, when: &str) -> Vec<Value> {
        let mut request = Request::new("GET", path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.connections
            .iter_mut()
            .enumerate()
            .map(|(i, connection)| {
                let response = connection
                    .send(&request)
                    .unwrap_or_else(|e| panic!("{when}, connection {i}: {e:#}"));
                assert_eq!(response.status, status, "{when}, connection {i}: {}", response.text());
                response.json()
            })
            .collect()
    }
}

#[test]
fn every_change_is_seen_by_every_worker() {
    let (first, second) = (Origin::start().unwrap(), Origin::start().unwrap());
    let gateway = Gateway::builder().workers(4).start().unwrap();
    let admin = gateway.admin();
    let mut clients = Clients::open(&gateway);
    let key = [("apikey", "k1")];

    gateway.add_service("s", &format!("{}/first", first.url())).unwrap();
    gateway.add_route("s", json!({"name": "r", "paths": ["/a"]})).unwrap();
    for answer in clients.all("/a/x", &[], 200, "route created") {
        assert_eq!(answer["uri"], "/first/x");
    }

    admin
        .patch("/routes/r", &json!({"paths": ["/b"]}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    clients.all("/a/x", &[], 404, "route patched, old path");
    clients.all("/b/x", &[], 200, "route patched, new path");

    let patch = json!({"port": second.port(), "path": "/second"});
    admin.patch("/services/s", &patch).unwrap().expect_status(200).unwrap();
    for answer in clients.all("/b/x", &[], 200, "service patched") {
        assert_eq!(answer["uri"], "/second/x");
    }

    let plugin = admin
        .post("/routes/r/plugins", &json!({"name": "key-auth"}))
        .unwrap()
        .expect_status(201)
        .unwrap();
    let plugin = format!("/plugins/{}", plugin.json()["id"].as_str().unwrap());
    clients.all("/b/x", &[], 401, "plugin created");
    clients.all("/b/x", &key, 401, "no such key yet");

    admin
        .post("/consumers", &json!({"username": "alice"}))
        .unwrap()
        .expect_status(201)
        .unwrap();
    let credential = admin
        .post("/consumers/alice/key-auth", &json!({"key": "k1"}))
        .unwrap()
        .expect_status(201)
        .unwrap();
    let credential = format!("/key-auths/{}", credential.json()["id"].as_str().unwrap());
    for answer in clients.all("/b/x", &key, 200, "credential created") {
        assert_eq!(answer["headers"]["x-consumer-username"][0], "alice");
    }

    admin
        .patch(&credential, &json!({"key": "k2"}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    clients.all("/b/x", &key, 401, "credential patched, old key");
    clients.all("/b/x", &[("apikey", "k2")], 200, "credential patched, new key");

    admin
        .patch("/consumers/alice", &json!({"username": "bob"}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    for answer in clients.all("/b/x", &[("apikey", "k2")], 200, "consumer patched") {
        assert_eq!(answer["headers"]["x-consumer-username"][0], "bob");
    }

    admin
        .patch(&plugin, &json!({"config": {"key_names": ["token"]}}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    clients.all("/b/x", &[("apikey", "k2")], 401, "plugin patched, old name");
    clients.all("/b/x", &[("token", "k2")], 200, "plugin patched, new name");

    admin.delete(&credential).unwrap().expect_status(204).unwrap();
    clients.all("/b/x", &[("token", "k2")], 401, "credential deleted");

    admin
        .patch(&plugin, &json!({"enabled": false}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    clients.all("/b/x", &[], 200, "plugin disabled");
    admin
        .patch(&plugin, &json!({"enabled": true}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    clients.all("/b/x", &[], 401, "plugin enabled");
    admin.delete(&plugin).unwrap().expect_status(204).unwrap();
    clients.all("/b/x", &[], 200, "plugin deleted");

    admin.delete("/routes/r").unwrap().expect_status(204).unwrap();
    clients.all("/b/x", &[], 404, "route deleted");
}

#[test]
fn a_consumer_that_goes_takes_its_keys_along() {
    let origin = Origin::start().unwrap();
    let gateway = Gateway::builder().start().unwrap();
    let admin = gateway.admin();
    gateway.add_service("s", &origin.url()).unwrap();
    gateway.add_route("s", json!({"name": "r", "paths": ["/a"]})).unwrap();
    admin
        .post("/plugins", &json!({"name": "key-auth"}))
        .unwrap()
        .expect_status(201)
        .unwrap();
    let mut clients = Clients {
        connections: (0..CONNECTIONS).map(|_| gateway.proxy().connect().unwrap()).collect(),
    };
    for _ in 0..3 {
        admin
            .post("/consumers", &json!({"username": "alice"}))
            .unwrap()
            .expect_status(201)
            .unwrap();
        admin
            .post("/consumers/alice/key-auth", &json!({"key": "k"}))
            .unwrap()
            .expect_status(201)
            .unwrap();
        clients.all("/a", &[("apikey", "k")], 200, "consumer created");
        admin.delete("/consumers/alice").unwrap().expect_status(204).unwrap();
        clients.all("/a", &[("apikey", "k")], 401, "consumer deleted");
    }
}
