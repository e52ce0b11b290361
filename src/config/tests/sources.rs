//! `[state]` and `[desired]`.

use super::*;

/// The good file with its maps in etcd.
fn with_etcd(etcd: &str) -> String {
    let replicate = "replicate = { alpha = \"0-511,600\", gamma = \"512-599\" }";
    let local = GOOD.replace("alpha.example:", "127.0.0.1:");
    local.replace(replicate, "") + &format!("[desired]\netcd = {etcd}\n")
}

#[test]
fn the_state_is_beside_the_file_unless_it_is_elsewhere() {
    assert_eq!(good(GOOD).state, PathBuf::from("etc/proxy.state"));
    let written = good(&format!("{GOOD}[state]\ndirectory = \"data/state\"\n"));
    assert_eq!(written.state, PathBuf::from("etc/data/state"));
    let systemd = |name: &str| match name {
        "STATE_DIRECTORY" => Some("/var/lib/dcp-proxy".to_owned()),
        name => environment(name),
    };
    let config = parse(Path::new("etc/proxy.toml"), GOOD.trim_start(), &systemd).unwrap();
    assert_eq!(config.state, PathBuf::from("/var/lib/dcp-proxy"));
}

#[test]
fn the_maps_come_from_the_file_or_from_etcd() {
    assert!(matches!(good(GOOD).source, MapSource::File));
    let (folder, _authority) = super::tls::certificates();
    let text = with_etcd(
        "{ endpoints = [\"127.0.0.1:2379\", \"[::1]:2379\"], prefix = \"/mine/\", \
         username = \"u\", password = \"p\", tls = { ca = \"ca.pem\", certificate = \"me.pem\", \
         key = \"me.key\" } }",
    );
    let config = parse_at(&folder.path().join("proxy.toml"), &text).unwrap();
    let MapSource::Etcd(etcd) = config.source else { panic!("{:?}", config.source) };
    assert_eq!(etcd.endpoints, ["127.0.0.1:2379", "[::1]:2379"]);
    assert_eq!(etcd.prefix, "/mine");
    let (user, password) = etcd.login.unwrap();
    assert_eq!((user.as_str(), password.expose()), ("u", "p".into()));
    let tls = etcd.tls.unwrap();
    assert_eq!(tls.ca, folder.path().join("ca.pem"));
    assert_eq!(tls.identity.unwrap().1, folder.path().join("me.key"));
    let warnings: Vec<_> = config.warnings.iter().map(|it| it.key.as_str()).collect();
    assert!(warnings.iter().all(|key| *key == "desired: etcd.tls.key"), "{warnings:?}");
}

#[test]
fn each_wrong_part_of_etcd_is_named() {
    let (folder, _authority) = super::tls::certificates();
    let path = folder.path().join("proxy.toml");
    let mut said = String::new();
    for etcd in [
        "{}",
        "{ endpoints = [] }",
        "{ endpoints = [\"a:1\", \"b\"], prefix = \"a b\" }",
        "{ endpoints = \"a:1\" }",
        "{ endpoints = [1] }",
        "{ endpoint = [\"a:1\"] }",
        "{ endpoints = [\"a:1\"], username = \"u\" }",
        "{ endpoints = [\"a:1\"], password = \"p\" }",
        "{ endpoints = [\"a:1\"], tls = {} }",
        "{ endpoints = [\"a:1\"], tls = { ca = \"no.pem\" } }",
        "{ endpoints = [\"a:1\"], tls = { ca = \"ca.pem\", key = \"me.key\" } }",
        "{ endpoints = [\"a:1\"], tls = { ca = \"ca.pem\", certificate = \"me.pem\", key = \
         \"other.key\" } }",
        "5",
    ] {
        said += &format!("{}\n\n", parse_at(&path, &with_etcd(etcd)).unwrap_err());
    }
    let both = format!("{GOOD}[desired]\netcd = {{ endpoints = [\"a:1\"] }}\n");
    said += &format!("{}\n\n", parse_at(&path, &both).unwrap_err());
    said += &parse_at(&path, &format!("{GOOD}[desired]\n")).unwrap_err().to_string();
    insta::assert_snapshot!(said.replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn a_password_that_everybody_can_read_is_warned_of() {
    let text = with_etcd(
        "{ endpoints = [\"etcd.example:1\", \"ETCD.example:1\"], username = \"u\", \
         password = \"p\" }",
    );
    let config = good(&text);
    let said: Vec<_> =
        config.warnings.iter().map(|it| it.within(Path::new("proxy.toml"))).collect();
    insta::assert_snapshot!(said.join("\n"));
}
