#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use kong_message::{Body, ResponseHead};
use kong_plugin::testing::{TestNode, block_on};
use kong_plugin::{PluginKind, StreamLog, kind, pipeline};
use serde_json::{Value, json};

use super::FileLog;

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A node and its `file-log`; dropping both ends the writing thread.
fn node() -> (TestNode, Arc<dyn PluginKind>) {
    let kind = kind::<FileLog>();
    (TestNode::new(vec![kind.clone()]), kind)
}

fn log(node: &TestNode, config: &Value, times: usize) {
    let plan = node.plan_of(&[("file-log", config.clone())]);
    for _ in 0..times {
        node.run(&plan, "GET /x?a=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            .finish(ResponseHead::new(201), Body::Empty);
    }
}

fn wait_for(path: &Path, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        if path.exists() && std::fs::read_to_string(path).unwrap().lines().count() >= count {
            return lines(path);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} has not {count} lines", path.display());
}

#[test]
fn every_request_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("requests.log");
    let (node, _) = node();
    log(&node, &json!({"path": path}), 3);
    let entries = wait_for(&path, 3);
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["request"]["uri"], "/x?a=1");
    assert_eq!(entries[0]["response"]["status"], 201);
    assert_eq!(entries[0]["source"], "upstream");
}

#[test]
fn files_are_reopened_for_every_entry_or_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
    let (node, kind) = node();
    let keep = json!({"path": path});
    log(&node, &keep, 1);
    wait_for(&path, 1);
    std::fs::rename(&path, &moved).unwrap();
    log(&node, &keep, 1);
    assert_eq!(
        wait_for(&moved, 2).len(),
        2,
        "the open file is written to under its new name"
    );
    kind.reopen();
    log(&node, &keep, 1);
    wait_for(&path, 1);
    std::fs::remove_file(&path).unwrap();
    log(&node, &json!({"path": path, "reopen": true}), 1);
    wait_for(&path, 1);
}

#[test]
fn a_file_that_cannot_be_opened_costs_the_entry_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (node, _) = node();
    log(&node, &json!({"path": dir.path()}), 2);
    log(&node, &json!({"path": dir.path().join("missing/log")}), 1);
    log(&node, &json!({"path": path}), 1);
    wait_for(&path, 1);
}

#[test]
fn sessions_are_logged_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (node, _) = node();
    let mut session = node.session(node.plan_of(&[("file-log", json!({"path": path}))]));
    session.bytes_received = 7;
    StreamLog::new(&mut session).set_log_value("extra", json!(1));
    pipeline::log_stream(&mut session);
    let entry = &wait_for(&path, 1)[0];
    assert_eq!(
        entry["session"],
        json!({"received": 7, "sent": 0, "status": 200, "server_port": 8000})
    );
    assert_eq!((&entry["extra"], entry.get("request")), (&json!(1), None));
}

#[test]
fn entries_survive_the_end_of_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let writer = super::Writer::default();
    for i in 0..1000 {
        let text = format!("{i}\n").into_bytes();
        writer.write(super::Line {
            path: Arc::new(path.clone()),
            text,
            reopen: false,
        });
    }
    block_on(writer.flush());
    assert_eq!(lines(&path).len(), 1000);
    writer.write(super::Line {
        path: Arc::new(path.clone()),
        text: b"1\n".to_vec(),
        reopen: false,
    });
    drop(writer);
    assert_eq!(lines(&path).len(), 1001);
}

#[test]
fn file_names_and_lua_are_checked() {
    let (node, _) = node();
    for name in ["", "a*", "a&b", "50%", "a\\b", "`x`"] {
        let errors = node.configuration("file-log", json!({"path": name})).unwrap_err();
        assert!(errors["config"]["path"].is_string(), "{name}: {errors}");
    }
    let errors = node.configuration("file-log", json!({"path": "/tmp/%"})).unwrap_err();
    assert_eq!(errors, json!({"config": {"path": "not a valid filename"}}));
    let lua = json!({"path": "/tmp/x", "custom_fields_by_lua": {"a": "return 1"}});
    let text = node.configuration("file-log", lua).unwrap_err()["config"]["custom_fields_by_lua"].to_string();
    assert!(text.contains("runs no Lua code"), "{text}");
    assert!(
        node.configuration("file-log", json!({"path": "/tmp/x", "custom_fields_by_lua": {}}))
            .is_ok()
    );
}
