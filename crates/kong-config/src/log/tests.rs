#![allow(clippy::unwrap_used)]

use super::*;

fn logged(level: Level, work: impl FnOnce(&LogHandle)) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("error.log");
    let (logger, handle) = logger(Destination::File(path.clone()), level).unwrap();
    tracing::subscriber::with_default(logger, || work(&handle));
    let text = std::fs::read_to_string(path).unwrap();
    // Without the time, which is 19 characters and a space.
    text.lines()
        .map(|line| line[20..].replace(&format!("{}#0", std::process::id()), "PID#0"))
        .collect()
}

#[test]
fn a_line_has_time_level_process_message_and_fields() {
    let lines = logged(Level::Debug, |_| {
        tracing::error!(client = "127.0.0.1", port = 80, "no \"upstream\"");
        notice!("started");
        crit!(store = "sqlite", "gone");
        emerg!("help {}", 1);
        tracing::trace!("fine");
        tracing::info!(request_id = "abc", "a\nb\u{1b}[31m");
    });
    assert_eq!(
        lines,
        [
            "[error] PID#0: no \"upstream\", client: \"127.0.0.1\", port: 80",
            "[notice] PID#0: started",
            "[crit] PID#0: gone, store: \"sqlite\"",
            "[emerg] PID#0: help 1",
            "[debug] PID#0: fine",
            "[info] PID#0: a\\x0Ab\\x1B[31m, request_id: \"abc\"",
        ]
    );
}

#[test]
fn the_time_is_written_as_nginx_does() {
    let time = timestamp();
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000/00/00 00:00:00");
}

#[test]
fn less_severe_messages_than_the_level_are_dropped() {
    let write_all = |_: &LogHandle| {
        tracing::debug!("debug");
        tracing::info!("info");
        notice!("notice");
        tracing::warn!("warn");
        tracing::error!("error");
        crit!("crit");
        alert!("alert");
        emerg!("emerg");
    };
    for (index, (level, _)) in LEVELS.iter().enumerate() {
        let lines = logged(*level, write_all);
        let names: Vec<_> = lines.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        let expected: Vec<_> = LEVELS[index..].iter().map(|(_, name)| *name).collect();
        assert_eq!(names, expected, "{level}");
    }
}

#[test]
fn the_level_can_be_changed_while_running() {
    let lines = logged(Level::Error, |handle| {
        let say = || tracing::info!("said");
        say();
        handle.set_level(Level::Info);
        assert_eq!(handle.level(), Level::Info);
        say();
        handle.set_level(Level::Error);
        say();
    });
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("error.log");
    let (logger, handle) = logger(Destination::File(path.clone()), Level::Info).unwrap();
    tracing::subscriber::with_default(logger, || {
        tracing::info!("before");
        std::fs::rename(&path, directory.path().join("old.log")).unwrap();
        tracing::info!("still the old one");
        handle.reopen().unwrap();
        tracing::info!("after");
    });
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("after\n"));
    assert_eq!(
        std::fs::read_to_string(directory.path().join("old.log"))
            .unwrap()
            .lines()
            .count(),
        2
    );
}
