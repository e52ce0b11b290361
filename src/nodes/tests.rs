//! Which node, user and password a command means.

use std::fs;

use folderlock::FolderLock;

use super::*;
use crate::session::{FILE, LOCK, SessionFile};

const NODES: &str = "\
    [node]\nname = \"beta\"\naddress = \"127.0.0.1:11210\"\nusername = \"u\"\n\
    password = \"of beta\"\n\
    [[producer]]\nname = \"alpha\"\naddress = \"10.0.0.1:11210\"\nusername = \"v\"\n\
    password = \"of alpha\"\n\
    [[bucket]]\nname = \"default\"\nreplicate = { alpha = \"0-3\" }\n";

const EMBEDDED: &str = "\
    [node]\nname = \"beta\"\n\
    [[producer]]\nname = \"alpha\"\n\
    [[bucket]]\nname = \"default\"\nreplicate = { alpha = \"0-3\" }\n\
    [state]\ndirectory = \"state\"\n\
    [[embedded.node]]\nname = \"alpha\"\nvbuckets = 4\nstate = \"active\"\n\
    [[embedded.node]]\nname = \"beta\"\nvbuckets = 4\nstate = \"replica\"\n";

/// What is meant: name, address, user and password.
fn meant(
    folder: &Path,
    text: &str,
    what: Option<&str>,
    login: &LoginArgs,
    env: &[(&str, &str)],
) -> Result<String, String> {
    let file = folder.join("proxy.toml");
    fs::write(&file, text).unwrap();
    let env = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let found = find_with(what, login, &file, &env).map_err(|NodeError(text)| text)?;
    let Endpoint { name, address, username, password, .. } = &found;
    Ok(format!("{name} {address} {username}:{}", password.expose()))
}

#[test]
fn a_node_has_a_name_or_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let none = LoginArgs::default();
    let meant = |what, login: &LoginArgs, env: &[(&str, &str)]| {
        meant(folder.path(), NODES, what, login, env)
    };
    let env = [("DCP_PROXY_USERNAME", "w"), ("DCP_PROXY_PASSWORD", "x")];
    let ok = |what, env| meant(what, &none, env).unwrap();
    assert_eq!(ok(None, &[]), "beta 127.0.0.1:11210 u:of beta");
    assert_eq!(ok(Some("alpha"), &[]), "alpha 10.0.0.1:11210 v:of alpha");
    assert_eq!(ok(Some("10.0.0.1:11210"), &[]), "alpha 10.0.0.1:11210 v:of alpha");
    assert_eq!(ok(Some("alpha"), &env), "alpha 10.0.0.1:11210 w:x");
    assert_eq!(ok(Some("[::1]:7"), &env), "[::1]:7 [::1]:7 w:x");
    fs::write(folder.path().join("p"), "secret\n").unwrap();
    let login = LoginArgs {
        username: Some("y".to_owned()),
        password_file: Some(folder.path().join("p")),
        ..LoginArgs::default()
    };
    assert_eq!(meant(Some("h:1"), &login, &env).unwrap(), "h:1 h:1 y:secret");

    let error = |what, env| meant(what, &none, env).unwrap_err();
    let unknown = error(Some("gamma"), &[]);
    assert!(unknown.contains("no node is called \"gamma\"") && unknown.contains("beta, alpha"));
    let no_user = error(Some("h:1"), &[]);
    assert!(no_user.starts_with("no user for h:1: give --username NAME"), "{no_user}");
    assert!(no_user.contains("has no node there"), "{no_user}");
    let [user, secret] = [0, 1].map(|n| error(Some("h:1"), &env[n..=n]));
    assert!(user.starts_with("no password of user \"w\""), "{user}");
    assert!(secret.starts_with("a password and no user"), "{secret}");
    let no_ca = LoginArgs { ca: Some("/nowhere".into()), ..none.clone() };
    assert!(meant(Some("alpha"), &no_ca, &[]).unwrap_err().contains("/nowhere"));
}

#[test]
fn a_node_of_the_cluster_has_the_user_of_the_cluster() {
    let text = "[node]\nname = \"beta\"\naddress = \"127.0.0.1:11210\"\nusername = \"u\"\n\
                password = \"of beta\"\n[cluster]\naddress = \"couchbase://h\"\n\
                username = \"c\"\npassword = \"of cluster\"\n[[bucket]]\nname = \"default\"\n";
    let folder = tempfile::tempdir().unwrap();
    let meant = |what, env| meant(folder.path(), text, Some(what), &LoginArgs::default(), env);
    assert_eq!(meant("10.0.0.7:11210", &[]).unwrap(), "10.0.0.7:11210 10.0.0.7:11210 c:of cluster");
    assert_eq!(meant("127.0.0.1:11210", &[]).unwrap(), "beta 127.0.0.1:11210 u:of beta");
    let env = [("DCP_PROXY_USERNAME", "w"), ("DCP_PROXY_PASSWORD", "x")];
    assert_eq!(meant("[::1]:7", &env).unwrap(), "[::1]:7 [::1]:7 w:x");
}

#[test]
fn an_address_with_a_user_needs_no_configuration_file() {
    let env = |name: &str| Some(name.to_owned());
    let nowhere = Path::new("/nowhere/proxy.toml");
    let found = find_with(Some("h:1"), &LoginArgs::default(), nowhere, &env).unwrap();
    assert_eq!((found.address.as_str(), found.username.as_str()), ("h:1", "DCP_PROXY_USERNAME"));
    let none = |_: &str| None;
    let error = find_with(Some("h:1"), &LoginArgs::default(), nowhere, &none).unwrap_err();
    assert!(error.to_string().contains("/nowhere/proxy.toml"), "{error}");
}

#[test]
fn an_embedded_node_is_found_while_its_sidecar_runs() {
    let folder = tempfile::tempdir().unwrap();
    let none = LoginArgs::default();
    let found = |what| meant(folder.path(), EMBEDDED, what, &none, &[]);
    let gone = found(Some("alpha")).unwrap_err();
    assert!(gone.contains("alpha runs inside the sidecar") && gone.contains("start it"), "{gone}");
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let _lock = FolderLock::take(&state, LOCK).unwrap();
    let node = |name: &str| SessionNode {
        name: name.to_owned(),
        address: "127.0.0.1:5".to_owned(),
        password: Some("random".to_owned()),
    };
    let mut session = SessionFile {
        url: "http://127.0.0.1:4870".to_owned(),
        token: None,
        pid: std::process::id(),
        started_at: String::new(),
        nodes: vec![node("alpha"), node("beta")],
    };
    fs::write(state.join(FILE), serde_json::to_string(&session).unwrap()).unwrap();
    assert_eq!(found(Some("alpha")).unwrap(), "alpha 127.0.0.1:5 dcp-proxy:random");
    assert_eq!(found(None).unwrap(), "beta 127.0.0.1:5 dcp-proxy:random");
    session.nodes.clear();
    fs::write(state.join(FILE), serde_json::to_string(&session).unwrap()).unwrap();
    assert!(found(None).unwrap_err().contains("have not started yet"));
}
