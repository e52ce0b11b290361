//! The sidecar as a process, and its configuration.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use relay::Endpoint;

use super::{Process, session_token};

/// The text of `proxy.toml`.
pub struct Config(String);

impl Config {
    /// A sidecar of `node` that replicates these vBuckets from `producer`, and retries soon.
    pub fn new(node: &Endpoint, producer: &Endpoint, vbuckets: &str) -> Self {
        let mut text = format!("[node]\n{}", login(node));
        _ = writeln!(text, "[[producer]]\n{}", login(producer));
        _ = writeln!(text, "[[bucket]]\nname = \"default\"");
        _ = writeln!(text, "replicate = {{ {} = \"{vbuckets}\" }}", producer.name);
        Self(text).limits("")
    }

    /// A sidecar of `node` that follows a cluster with the same user; `cluster` is in `[cluster]`.
    pub fn following(node: &Endpoint, cluster: &str) -> Self {
        let (username, password) = (&node.username, node.password.expose());
        let text = format!(
            "[node]\n{}[cluster]\n{cluster}\nusername = {username:?}\npassword = {password:?}\n\
             [[bucket]]\nname = \"default\"\n",
            login(node)
        );
        Self(text).limits("")
    }

    /// Two data nodes inside the process: `documents` in `alpha`, replicated to `beta`.
    pub fn demonstration(vbuckets: u16, documents: u64) -> Self {
        let last = vbuckets - 1;
        let text = format!(
            "[node]\nname = \"beta\"\n\
             [[producer]]\nname = \"alpha\"\n\
             [[bucket]]\nname = \"default\"\nreplicate = {{ alpha = \"0-{last}\" }}\n\
             [embedded]\n\
             [[embedded.node]]\nname = \"alpha\"\nstate = \"active\"\n\
             vbuckets = {vbuckets}\ndocuments = {documents}\n\
             [[embedded.node]]\nname = \"beta\"\nstate = \"replica\"\nvbuckets = {vbuckets}\n"
        );
        Self(text).limits("")
    }

    /// The same with these lines in `[limits]`.
    pub fn limits(mut self, lines: &str) -> Self {
        if let Some(at) = self.0.find("[admin]") {
            self.0.truncate(at);
        }
        self.0 += "[admin]\nlisten = \"127.0.0.1:0\"\n";
        _ = writeln!(self.0, "[limits]\nretry_ms_min = 20\nretry_ms_max = 200\n{lines}");
        self
    }

    /// Any text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn login(node: &Endpoint) -> String {
    let Endpoint { name, address, username, password, .. } = node;
    let password = password.expose();
    format!(
        "name = {name:?}\naddress = {address:?}\nusername = {username:?}\npassword = {password:?}\n"
    )
}

/// A running sidecar.
pub struct Sidecar {
    pub process: Process,
    folder: PathBuf,
}

impl Sidecar {
    /// Starts it in `folder`, where `proxy.toml` is written.
    pub fn start(folder: &Path, config: &Config) -> Self {
        Self { process: run(folder, config, &[]), folder: folder.to_owned() }
    }

    /// Starts it with the configuration that is there, and these variables of the environment.
    pub fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = command(folder);
        command.envs(environment.iter().copied());
        let process = Process::start("sidecar", folder, &mut command);
        Self { process, folder: folder.to_owned() }
    }

    /// Starts it again with the configuration that is there.
    pub fn restart(&mut self) {
        self.process = Process::start("sidecar", &self.folder, &mut command(&self.folder));
    }

    /// Starts a subcommand that talks to this sidecar.
    pub async fn ask(&self, arguments: &[&str]) -> Process {
        let line = self.process.logs(&["admin API listens", "url="]).await;
        let (_, url) = line.split_once("url=").unwrap();
        let mut command = command(&self.folder);
        command.args(arguments).args(["--admin", url]);
        Process::start("subcommand", &self.folder, &mut command)
    }

    /// The token that changes need.
    pub fn token(&self) -> Option<String> {
        session_token(&self.folder.join("proxy.state"))
    }

    /// Stops it cleanly.
    pub async fn stop(&mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit_code().await, 0, "the sidecar stops cleanly");
    }
}

/// Runs the program with these arguments in `folder`, where `proxy.toml` is written.
pub fn run(folder: &Path, config: &Config, arguments: &[&str]) -> Process {
    std::fs::write(folder.join("proxy.toml"), config.as_str()).unwrap();
    Process::start("sidecar", folder, command(folder).args(arguments))
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(folder);
    command
}
