//! A log whose reader stops and goes on: callers never wait, and lost lines are told.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use logger::{Format, Settings, Stream};

const PATIENCE: Duration = Duration::from_secs(30);

/// One test, for a process has one log.
#[test]
fn lines_that_nobody_reads_are_dropped_and_told() {
    let (read, reads) = channel::<()>();
    let (written, lines) = channel::<String>();
    let settings = Settings {
        level: Some(log::LevelFilter::Debug),
        format: Format::Logfmt,
        own: &["unread"],
        quiet: &[],
    };
    let sink = move |stream, bytes: &[u8]| {
        assert_eq!(stream, Stream::Error);
        // An error means that the test is over.
        _ = reads.recv();
        _ = written.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(())
    };
    logger::start(settings, Box::new(sink)).unwrap();

    let (began, text) = (Instant::now(), "x".repeat(1000));
    for number in 0..5000 {
        log::debug!("a line number={number} text={text}");
    }
    let [(reason, unread), ..] = logger::left_out();
    assert!(reason == "unread" && unread > 1000, "{reason} {unread}");
    logger::finish();
    assert!(began.elapsed() < PATIENCE, "neither the lines nor the exit wait");

    // Dropped, the channel lets every write pass.
    drop(read);
    let mut told = false;
    let deadline = Instant::now() + PATIENCE;
    while !told && Instant::now() < deadline {
        match lines.recv_timeout(PATIENCE) {
            Ok(batch) => told = batch.contains("msg=\"log lines dropped, the log is not read"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    assert!(told);
    log::info!("a later line");
    logger::finish();
    assert!(lines.try_iter().any(|batch| batch.contains("a later line")));
}
