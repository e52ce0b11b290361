//! This machine and the sidecar.

use super::*;

const THIS_MACHINE: &[Case] = &[
    (
        |f| f.machine.descriptors = Err(TooFew { limit: 10, needed: 100 }),
        Error,
        Check::Descriptors,
        "the limit of open files is 10, and this configuration needs 100",
    ),
    (
        |f| f.machine.folders = vec![folder(Err("Permission denied"), None)],
        Error,
        Check::Disk,
        "[state] directory proxy.state: no file can be created in .: Permission denied",
    ),
    (|f| f.machine.folders = vec![folder(Ok(()), None)], Note, Check::Disk, "unknown"),
    (
        |f| f.machine.folders = vec![folder(Ok(()), Some(9 << 20))],
        Warning,
        Check::Disk,
        "9.0 MiB free",
    ),
    (
        |f| f.machine.folders = vec![folder(Ok(()), Some(1000))],
        Error,
        Check::Disk,
        "1000 bytes free",
    ),
    (
        |f| {
            f.machine.certificates =
                vec![("alpha".into(), "certificate", "me.pem".into(), Some(NOW_S - 3 * DAY_S))]
        },
        Error,
        Check::Certificate,
        "me.pem (tls.certificate of alpha) expired 3 days ago",
    ),
    (
        |f| f.etcd = vec![member(Ok(())), member(Err("refused"))],
        Warning,
        Check::Etcd,
        "etcd:2379 accepts no connection: refused",
    ),
    (|f| f.etcd = vec![member(Err("refused"))], Error, Check::Etcd, "refused"),
    (|f| f.sidecar = Sidecar::Silent("refused".into()), Note, Check::Sidecar, "no sidecar runs"),
    (|f| f.sidecar = Sidecar::Unknown("port 0".into()), Note, Check::Sidecar, "port 0"),
    (|f| f.sidecar = Sidecar::Stranger("no JSON".into()), Error, Check::Sidecar, "no JSON"),
    (
        |f| f.sidecar = Sidecar::Runs(Running { node: "gamma".into(), ..running() }),
        Error,
        Check::Sidecar,
        "serves node \"gamma\", and this configuration is of \"beta\"",
    ),
    (
        |f| f.sidecar = Sidecar::Runs(Running { not_ready: vec!["no link".into()], ..running() }),
        Warning,
        Check::Sidecar,
        "is not ready: no link",
    ),
    (
        |f| {
            f.sidecar =
                Sidecar::Runs(Running { differs: vec!["limits.stall_ms".into()], ..running() })
        },
        Warning,
        Check::Sidecar,
        "runs other settings than this file: limits.stall_ms",
    ),
    (
        |f| {
            f.sidecar = Sidecar::Runs(Running {
                differs: vec!["bucket.default.replicate.alpha".into()],
                ..running()
            })
        },
        Note,
        Check::Sidecar,
        "replicates by another map than this file",
    ),
    (|f| f.sidecar = Sidecar::Runs(running()), Fine, Check::Sidecar, "is ready"),
];

#[test]
fn this_machine() {
    hold(THIS_MACHINE);
}

fn member(connected: Result<(), &str>) -> Member {
    Member { address: "etcd:2379".to_owned(), connected: connected.map_err(str::to_owned) }
}
