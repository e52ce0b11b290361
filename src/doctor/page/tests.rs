//! The output of a small report.

use mcbp::Side;

use super::*;
use crate::doctor::finding::Check;

fn report() -> Report {
    let here = Place::here();
    let alpha = Place::node(Side::Producer, "alpha");
    let default = alpha.bucket("default");
    let what = "the limit of open files is 10, and this configuration needs 100";
    let remedy = "raise it with ulimit -n, or LimitNOFILE= of systemd";
    Report {
        findings: vec![
            Finding::warning(Check::Descriptors, &here, what, remedy),
            Finding::note(Check::Sidecar, &here, "no sidecar runs").with("start dcp-proxy"),
            Finding::ok(Check::Login, &alpha, "the user is\u{1b}[31m accepted"),
            Finding::error(
                Check::States,
                &default.vbuckets(&"0-3,9".parse().unwrap()),
                "the copies here are replica, and must be active",
                "replicate them from the node where they are active",
            ),
        ],
    }
}

#[test]
fn a_pipe_gets_a_line_for_each_finding() {
    insta::assert_snapshot!(lines(&report()));
}

#[test]
fn a_terminal_gets_sections_of_its_width() {
    insta::assert_snapshot!(sections(&report(), 72), @r#"
    this machine
      warning  descriptors    the limit of open files is 10, and this
                              configuration needs 100
                              -> raise it with ulimit -n, or LimitNOFILE= of
                              systemd
      note     sidecar        no sidecar runs
                              -> start dcp-proxy

    producer alpha
      ok       login          the user is [31m accepted
      error    states         bucket default, vb 0-3,9: the copies here are
                              replica, and must be active
                              -> replicate them from the node where they are
                              active

    summary: 1 ok, 1 note, 1 warning, 1 error
    "#);
}

#[test]
fn a_program_gets_json() {
    insta::assert_snapshot!(format!("{:#}", json(&report(), false)), @r#"
    {
      "counts": {
        "error": 1,
        "note": 1,
        "ok": 1,
        "warning": 1
      },
      "findings": [
        {
          "bucket": null,
          "check": "descriptors",
          "level": "warning",
          "node": null,
          "remedy": "raise it with ulimit -n, or LimitNOFILE= of systemd",
          "side": null,
          "vbuckets": null,
          "what": "the limit of open files is 10, and this configuration needs 100"
        },
        {
          "bucket": null,
          "check": "sidecar",
          "level": "note",
          "node": null,
          "remedy": "start dcp-proxy",
          "side": null,
          "vbuckets": null,
          "what": "no sidecar runs"
        },
        {
          "bucket": null,
          "check": "login",
          "level": "ok",
          "node": "alpha",
          "remedy": null,
          "side": "producer",
          "vbuckets": null,
          "what": "the user is\u001b[31m accepted"
        },
        {
          "bucket": "default",
          "check": "states",
          "level": "error",
          "node": "alpha",
          "remedy": "replicate them from the node where they are active",
          "side": "producer",
          "vbuckets": "0-3,9",
          "what": "the copies here are replica, and must be active"
        }
      ],
      "passes": false
    }
    "#);
}

#[test]
fn errors_fail_and_warnings_only_where_they_count() {
    let warned = Report { findings: report().findings.drain(..1).collect() };
    assert!(warned.passes(false) && !warned.passes(true));
    assert!(!report().passes(false));
    assert!(Report::default().passes(true));
}
