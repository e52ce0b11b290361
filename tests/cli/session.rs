//! Where a subcommand finds the token, and whom it sends it to.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use folderlock::FolderLock;
use serde_json::json;
use tempfile::TempDir;

use crate::run::{Running, Said, program, run_in};
use crate::server::{Reply, Server};

/// A sidecar that says which token it was sent.
fn server() -> Server {
    Server::start(|request| {
        let token = request.token.clone();
        match request.line.as_str() {
            "GET /api/v1/overview" => {
                let accepted = token.as_deref() == Some("Bearer of-the-session");
                Reply::ok(json!({ "token": { "kind": "session", "accepted": accepted } }))
            }
            _ if token.is_some() => Reply::ok(json!({ "open": 0, "revision": 1 })),
            _ => Reply::error(401, "the session token is missing or wrong"),
        }
    })
}

/// The folder of a sidecar that runs: this process holds its lock.
struct Folder {
    folder: TempDir,
    _lock: FolderLock,
}

impl Folder {
    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A folder with the configuration of this sidecar, and its session.
fn folder(listen: &str, admin: &str, session_url: &str) -> Folder {
    let folder = left_behind(listen, admin, session_url);
    let lock = FolderLock::take(&folder.path().join("proxy.state"), "lock").unwrap();
    Folder { folder, _lock: lock }
}

/// The same, of a sidecar that was killed.
fn left_behind(listen: &str, admin: &str, session_url: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[admin]\nlisten = \"{listen}\"\n{admin}");
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    fs::create_dir(folder.path().join("proxy.state")).unwrap();
    let session = json!({
        "url": session_url, "token": "of-the-session", "pid": std::process::id(),
        "started_at": "then"
    });
    fs::write(session_file(folder.path()), session.to_string()).unwrap();
    folder
}

fn session_file(folder: &Path) -> std::path::PathBuf {
    folder.join("proxy.state/session.json")
}

/// Asks for a pause; returns the tokens that the sidecar was sent.
fn pause(server: &Server, folder: &Path, options: &str) -> (Said, Vec<Option<String>>) {
    let before = server.commands().len();
    let said = run_in(folder, &format!("pause default --json {options}"));
    let commands = server.commands();
    (said, commands[before..].iter().map(|request| request.token.clone()).collect())
}

#[test]
fn the_token_of_the_session_is_sent_to_its_sidecar_and_to_no_other() {
    let (server, other) = (server(), server());
    let url = format!("http://{}", server.address());
    let of_session = || vec![Some("Bearer of-the-session".to_owned())];
    let nobody = vec![None];
    for (listen, admin, options, session_url, sent) in [
        (server.address(), "", String::new(), url.clone(), of_session()),
        ("127.0.0.1:0".to_owned(), "", String::new(), url.clone(), of_session()),
        ("127.0.0.1:1".to_owned(), "", format!("--admin {url}"), url.clone(), of_session()),
        (
            server.address(),
            "",
            String::new(),
            format!("http://{}", other.address()),
            nobody.clone(),
        ),
        (
            other.address(),
            "",
            format!("--admin {url}"),
            "http://127.0.0.1:1".to_owned(),
            nobody.clone(),
        ),
        (
            server.address(),
            "token = \"configured\"",
            String::new(),
            url.clone(),
            vec![Some("Bearer configured".to_owned())],
        ),
        // The token of the file is for the address of the file.
        (
            other.address(),
            "token = \"configured\"",
            format!("--admin {url}"),
            "http://127.0.0.1:1".to_owned(),
            nobody,
        ),
        (
            server.address(),
            "",
            "--token given".to_owned(),
            url,
            vec![Some("Bearer given".to_owned())],
        ),
    ] {
        let folder = folder(&listen, admin, &session_url);
        let (said, tokens) = pause(&server, folder.path(), &options);
        assert_eq!(tokens, sent, "listen {listen} {admin} {options}: {said:?}");
    }
    assert_eq!(other.commands(), []);
}

#[test]
fn a_session_that_cannot_be_read_is_named_where_the_token_is_missing() {
    let server = server();
    let folder = folder(&server.address(), "", "http://127.0.0.1:1");
    let file = session_file(folder.path());
    fs::write(&file, "{").unwrap();
    let (said, tokens) = pause(&server, folder.path(), "");
    assert_eq!((said.code, tokens), (Some(2), vec![None]), "{said:?}");
    let said = run_in(folder.path(), "pause default");
    assert!(said.err.contains("session.json is damaged: "), "{}", said.err);
    assert!(said.err.contains("or give --token"), "{}", said.err);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let said = run_in(folder.path(), "pause default");
    assert!(said.err.contains("run this as the user of the sidecar"), "{}", said.err);
}

#[test]
fn dashboard_prints_the_address_with_a_token_that_the_sidecar_takes() {
    let server = server();
    let url = format!("http://{}", server.address());
    let good = folder(&server.address(), "", &url);
    let said = run_in(good.path(), "dashboard");
    assert_eq!((said.code, said.out), (Some(0), format!("{url}/#token=of-the-session\n")));
    let said = run_in(good.path(), "dashboard --json").json();
    let want = json!({
        "url": format!("{url}/#token=of-the-session"), "token": "session", "accepted": true
    });
    assert_eq!(said, want);
    let said = run_in(good.path(), "dashboard --token other");
    assert!(said.out.starts_with(&format!("{url}/\n")), "{said:?}");
    assert!(said.out.contains("the session token of the sidecar is another one"), "{said:?}");
    let elsewhere = tempfile::tempdir().unwrap();
    let said = run_in(elsewhere.path(), &format!("dashboard --admin {}", server.address()));
    assert!(said.out.contains("not change anything: the session token is not known"), "{said:?}");
    let said = run_in(elsewhere.path(), "dashboard --admin 127.0.0.1:1");
    assert_eq!(said.code, Some(1), "{said:?}");
}

#[test]
fn the_browser_gets_a_page_and_never_the_token_as_an_argument() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = server();
    let url = format!("http://{}", server.address());
    let folder = folder(&server.address(), "", &url);
    let (bin, page) = (folder.path().join("bin"), folder.path().join("page"));
    fs::create_dir(&bin).unwrap();
    let opener = bin.join("xdg-open");
    let seen = page.display();
    let script = format!("#!/bin/sh\n{{ echo \"$@\"; stat -c %a \"$1\"; cat \"$1\"; }} > {seen}\n");
    fs::write(&opener, script).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = program(folder.path(), "dashboard --open");
    command.env("PATH", path).env("TMPDIR", folder.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::new(command.spawn().unwrap());
    running.warns("opened in a browser; this command ends in 10 s");
    running.interrupt();
    let said = running.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    let seen = fs::read_to_string(&page).unwrap();
    let mut lines = seen.lines();
    let argument = lines.next().unwrap();
    assert!(argument.ends_with(".html") && !argument.contains("token"), "{argument}");
    assert_eq!(lines.next(), Some("600"));
    assert!(seen.contains(&format!("0;url={url}/#token=of-the-session\"")), "{seen}");
    assert!(!Path::new(argument).exists(), "it is deleted at the end");
}

/// The port of a sidecar that was killed may be that of another program by now.
#[test]
fn no_token_goes_to_whoever_listens_where_a_sidecar_was() {
    let server = server();
    let url = format!("http://{}", server.address());
    let zero = "127.0.0.1:0";
    for admin in ["", "token = \"configured\""] {
        let folder = left_behind(zero, admin, &url);
        let lock = folder.path().join("proxy.state/lock");
        // Not locked, also where the lock was left behind; or locked by another process.
        for _ in 0..2 {
            let (said, tokens) = pause(&server, folder.path(), "");
            assert_eq!((said.code, tokens), (Some(1), vec![]), "{admin}: {said:?}");
            assert!(said.out.contains("no sidecar runs: "), "{said:?}");
            fs::write(&lock, "1 somewhere\n").unwrap();
        }
        let held = fs::File::open(&lock).unwrap();
        held.lock().unwrap();
        let (said, tokens) = pause(&server, folder.path(), "");
        assert_eq!((said.code, tokens), (Some(1), vec![]), "{admin}: {said:?}");
        // Whoever names the address means it, but the session is over.
        let (said, tokens) = pause(&server, folder.path(), &format!("--admin {url}"));
        assert_eq!((said.code, tokens), (Some(2), vec![None]), "{admin}: {said:?}");
    }
}

#[test]
fn a_broken_file_does_not_hide_the_sidecar_that_runs() {
    let server = server();
    let url = format!("http://{}", server.address());
    let folder = folder("127.0.0.1:1", "tokken = 5", &url);
    for options in [String::new(), format!("--admin {url}")] {
        let (said, tokens) = pause(&server, folder.path(), &options);
        let of_session = Some("Bearer of-the-session".to_owned());
        assert_eq!((said.code, tokens), (Some(0), vec![of_session]), "{options}: {said:?}");
        let warning = "warning: proxy.toml:3:1: admin: tokken: unknown key";
        assert!(said.err.starts_with(warning), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    }
    // What compares or writes the file needs it.
    for command in ["config diff", "config save", "check"] {
        let said = run_in(folder.path(), command);
        assert_eq!(said.code, Some(2), "{command}: {said:?}");
        assert!(!said.err.contains("warning"), "{command}: {said:?}");
    }
    drop(folder);
    let ended = left_behind("127.0.0.1:0", "tokken = 5", &url);
    let said = run_in(ended.path(), "pause default");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("tokken: unknown key") && said.err.contains("no sidecar runs"));
}

/// A token that was just written to the file is in force only after the reload.
#[test]
fn a_token_that_is_not_in_force_yet_does_not_stop_its_own_reload() {
    let server = Server::start(|request| match request.token.as_deref() {
        Some("Bearer of-the-session") => {
            Reply::ok(json!({ "changed": ["admin: token"], "restart_needed": [], "warnings": [] }))
        }
        _ => Reply::error(401, "the session token is missing or wrong"),
    });
    let url = format!("http://{}", server.address());
    let folder = folder(&server.address(), "token = \"configured\"", &url);
    let said = run_in(folder.path(), "reload");
    assert_eq!(said.code, Some(0), "{said:?}");
    let sent: Vec<_> = server.commands().into_iter().map(|request| request.token).collect();
    let sent: Vec<_> = sent.iter().map(Option::as_deref).collect();
    assert_eq!(sent, [Some("Bearer configured"), Some("Bearer of-the-session")]);
    // A token that somebody gives is the one that is meant.
    let said = run_in(folder.path(), "reload --token given");
    assert_eq!((said.code, server.commands().len()), (Some(2), 3), "{said:?}");
}
