//! `dcp-proxy map` as a process, against a real etcd.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::common::{Etcd, Process, until};

const CLUSTER: &str = r#"{"beta":{"default":{"alpha":"0-511"}},
    "gamma":{"default":{"replicate":{"alpha":"0-511"},"connections":2}}}"#;

struct Shell<'a> {
    etcd: &'a Etcd,
    folder: tempfile::TempDir,
}

impl<'a> Shell<'a> {
    fn new(etcd: &'a Etcd) -> Self {
        Self { etcd, folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
        command.current_dir(self.folder.path()).arg("map").args(arguments);
        command.args(["--etcd", &self.etcd.endpoint(), "--prefix", "/t"]);
        command
    }

    /// Runs a command with this as its standard input; returns exit code, output and errors.
    fn run(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        ended(self.command(arguments), input)
    }

    /// Runs a command that has to succeed, and reads its JSON.
    fn json(&self, arguments: &[&str], input: &str) -> Value {
        let (code, out, errors) = self.run(&[arguments, &["--json"]].concat(), input);
        assert_eq!(code, 0, "{arguments:?}: {out}{errors}");
        serde_json::from_str(&out).unwrap()
    }

    /// Runs `edit` with a shell script as the editor, which finds the file in `$1`.
    fn edit(&self, script: &str) -> (i32, String, String) {
        let mut command = self.command(&["edit"]);
        let editor = self.folder.path().join("editor");
        std::fs::write(&editor, script).unwrap();
        command.env("VISUAL", format!("sh {}", editor.display()));
        command.env("TMPDIR", self.folder.path());
        ended(command, "")
    }

    /// The texts that `edit` has left.
    fn kept(&self) -> usize {
        let files =
            std::fs::read_dir(self.folder.path()).unwrap().map(|it| it.unwrap().file_name());
        files.filter(|name| name.to_string_lossy().starts_with("dcp-proxy-maps-")).count()
    }
}

fn ended(mut command: Command, input: &str) -> (i32, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that is refused does not read its input.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_put_and_read_back() {
    let Some(etcd) = Etcd::start().await else { return };
    let shell = Shell::new(&etcd);
    let (code, out, errors) = shell.run(&["put", "-", "--dry-run"], CLUSTER);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.contains("beta/default: created: opens alpha=0-511, 0 stay\n"), "{out}");
    assert!(out.contains("2 maps would be written over revision 1"), "{out}");
    assert_eq!(etcd.get("/t/maps/beta/default"), None, "a dry run writes nothing");

    std::fs::write(shell.folder.path().join("maps.json"), CLUSTER).unwrap();
    let (code, out, _) = shell.run(&["put", "maps.json"], "");
    assert_eq!((code, out.lines().last()), (0, Some("2 maps written at revision 2")));
    let stored = etcd.get("/t/maps/gamma/default").unwrap();
    assert_eq!(stored, r#"{"connections":2,"replicate":{"alpha":"0-511"}}"#);
    let (code, out, _) = shell.run(&["put", "maps.json"], "");
    assert_eq!((code, out.as_str()), (0, "nothing to change at revision 2\n"));

    let (_, all, _) = shell.run(&["get"], "");
    let (code, out, _) = shell.run(&["put", "-"], &all);
    assert_eq!((code, out.as_str()), (0, "nothing to change at revision 2\n"), "{all}");
    let one = shell.json(&["get", "gamma", "default"], "");
    assert_eq!(one["maps"]["gamma"]["default"]["revision"], 2);
    assert_eq!(one["maps"]["gamma"]["default"]["connections"], 2);
    assert_eq!(one["maps"]["beta"], Value::Null);

    let changed = shell.json(&["put", "-", "--prune"], r#"{"beta":{"default":{"alpha":"1-512"}}}"#);
    assert_eq!(changed["changes"][0]["opens"]["alpha"], "512");
    assert_eq!(changed["changes"][0]["closes"]["alpha"], "0");
    assert_eq!(changed["changes"][0]["stays"]["alpha"], "1-511");
    assert_eq!(changed["changes"][1]["change"], "deleted");
    assert_eq!(etcd.get("/t/maps/gamma/default"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_maps_and_conflicts_have_a_clear_answer() {
    let Some(etcd) = Etcd::start().await else { return };
    let shell = Shell::new(&etcd);
    let (code, out, errors) =
        shell.run(&["put", "-"], r#"{"beta":{"default":{"beta":"0-5"},"other":{"alpha":"2000"}}}"#);
    assert_eq!((code, out.as_str()), (2, ""));
    let lines: Vec<_> = errors.lines().collect();
    let itself = "standard input: node beta, bucket default: vBuckets 0-5 are wanted from the node";
    assert!(lines.len() == 2 && lines[0].starts_with(itself), "{errors}");
    assert!(lines[1].contains("vbucket 2000 is out of range: give 0 to 1023"), "{errors}");
    let (code, _, errors) = shell.run(&["put", "none.json"], "");
    assert!(code == 2 && errors.starts_with("none.json: No such file"), "{errors}");
    let (_, _, errors) = shell.run(
        &["put", "-", "--dry-run"],
        r#"{"beta":{"default":{"alpha":"0-5"}},"alpha":{"default":{"beta":"5"}}}"#,
    );
    assert!(errors.contains("warning: bucket default, vBuckets 5: "), "{errors}");

    let at = etcd.put("/t/maps/beta/default", "nonsense");
    let (code, out, errors) = shell.run(&["get"], "");
    assert!(code == 1 && out == "{}\n", "{out}");
    assert!(errors.starts_with("/t/maps/beta/default: expected ident at line 1"), "{errors}");
    let before = (at - 1).to_string();
    let (code, _, errors) = shell.run(&["put", "-", "--if-revision", &before], CLUSTER);
    assert!(code == 1 && errors.contains("was changed at revision"), "{errors}");
    let (code, out, _) = shell.run(&["put", "-", "--if-revision", &at.to_string()], CLUSTER);
    assert!(code == 0 && out.contains("beta/default: replaces what is no map"), "{out}");
    let (code, _, errors) = shell.run(&["get", "delta"], "");
    assert!(code == 1 && errors.contains("etcd has no map at /t/maps/delta/"), "{errors}");

    for (arguments, text) in [
        (&["get", "--etcd", "nowhere"][..], "is not a member of etcd: give HOST:PORT"),
        (&["get"], "proxy.toml: could not be read"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
        command.current_dir(shell.folder.path()).arg("map").args(arguments);
        let (code, _, errors) = ended(command, "");
        assert!(code == 2 && errors.contains(text), "{code} {errors}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.args(["map", "get", "--json", "--etcd", &closed.to_string()]);
    let (code, out, _) = ended(command, "");
    assert!(code == 1 && out.contains("Connection refused"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_names_the_etcd() {
    let Some(etcd) = Etcd::start().await else { return };
    let shell = Shell::new(&etcd);
    let text =
        format!("[desired]\netcd = {{ endpoints = [{:?}], prefix = \"/t\" }}\n", etcd.endpoint());
    std::fs::write(shell.folder.path().join("proxy.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(shell.folder.path()).args(["map", "put", "-"]);
    let (code, out, errors) = ended(command, CLUSTER);
    assert_eq!(code, 0, "{out}{errors}");
    assert!(etcd.get("/t/maps/beta/default").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_maps_are_written_in_several_transactions() {
    let Some(etcd) = Etcd::start().await else { return };
    let shell = Shell::new(&etcd);
    let nodes: serde_json::Map<String, Value> = (0..250)
        .map(|n| (format!("n{n}"), serde_json::json!({ "default": { "alpha": "0-511" } })))
        .collect();
    let (code, out, errors) = shell.run(&["put", "-"], &Value::Object(nodes).to_string());
    assert_eq!((code, out.lines().last()), (0, Some("250 maps written at revision 4")));
    assert!(errors.contains("too many for one transaction of etcd: written in 3"), "{errors}");
    let (_, all, _) = shell.run(&["get"], "");
    assert_eq!(all.matches("0-511").count(), 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_edited_unless_somebody_else_changed_them() {
    let Some(etcd) = Etcd::start().await else { return };
    let shell = Shell::new(&etcd);
    shell.run(&["put", "-"], CLUSTER);
    let (code, out, errors) = shell.edit("sed -i 's/0-511/0-5/' \"$1\"");
    assert_eq!(code, 0, "{out}{errors}");
    assert!(out.contains("beta/default: changed: closes alpha=6-511, 6 stay"), "{out}");
    let (code, out, _) = shell.edit("true");
    assert!(code == 0 && out.starts_with("nothing to change"), "{out}");
    assert_eq!(shell.kept(), 0, "no text is left");
    let (code, _, errors) = shell.edit("sed -i 's/0-5/0-5000/' \"$1\"");
    assert!(code == 2 && errors.contains("the text is kept in"), "{errors}");
    let (code, _, errors) = shell.edit("exit 3");
    assert!(code == 1 && errors.contains("set EDITOR"), "{errors}");
    assert_eq!(shell.kept(), 2, "the texts are kept");
    // Somebody else writes while the editor is open.
    let other = shell.folder.path().join("other.json");
    std::fs::write(&other, r#"{"beta":{"default":{"alpha":"7"}}}"#).unwrap();
    let put = format!(
        "{} map put {} --etcd {} --prefix /t >/dev/null; sed -i 's/0-5/0-6/' \"$1\"",
        env!("CARGO_BIN_EXE_dcp-proxy"),
        other.display(),
        etcd.endpoint()
    );
    let (code, _, errors) = shell.edit(&put);
    assert!(code == 1 && errors.contains("was changed in the meantime: nothing was"), "{errors}");
    let stored = etcd.get("/t/maps/beta/default").unwrap();
    assert!(stored.contains(r#""alpha":"7""#), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_reports_are_watched() {
    let Some(mut etcd) = Etcd::start().await else { return };
    etcd.put("/t/maps/beta/default", r#"{"alpha":"0-5"}"#);
    let shell = Shell::new(&etcd);
    let folder: &Path = shell.folder.path();
    let watch = Process::start("watch", folder, &mut shell.command(&["watch"]));
    let prints = async |line: &str| {
        until(&format!("it prints {line}"), async || {
            watch.out().lines().any(|it| it.starts_with(line)).then_some(())
        })
        .await;
    };
    prints("map beta/default: alpha=0-5 (revision 2)").await;
    etcd.put("/t/status/beta/default", r#"{"revision":2,"open":{"alpha":"0-5"},"lag":3}"#);
    prints("status beta/default: revision 2, open 6, lag 3").await;
    etcd.put("/t/maps/beta/default", "nonsense");
    prints("map beta/default: no map: expected ident").await;
    etcd.delete("/t/status/beta/default");
    prints("status beta/default: gone").await;
    let (kill, endpoint) = (shell.folder, etcd.endpoint());
    etcd.kill();
    until("it says that etcd is away", async || {
        watch.log().contains(&format!("etcd at {endpoint}")).then_some(())
    })
    .await;
    etcd.restart().await;
    etcd.put("/t/maps/gamma/default", "{}");
    prints("map gamma/default: nothing (revision ").await;
    let again = watch.out().lines().filter(|it| it.starts_with("map beta/default: no map")).count();
    assert_eq!(again, 1, "what was printed is not printed again");
    let mut watch = watch;
    watch.signal("INT");
    assert_eq!(watch.exit_code().await, 0);
    drop(kill);
}
