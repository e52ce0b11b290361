//! Where a demonstration can be watched, with commands that work when they are pasted.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use lifecycle::quoted;
use relay::Endpoint;

use crate::cli::CONFIG_FILE;
use crate::config::Config;
use crate::embedded::Nodes;

/// Where a demonstration can be watched.
#[derive(Clone, Copy, Debug)]
pub struct Where<'a> {
    /// Its configuration.
    pub config: &'a Config,
    /// Where the admin API listens.
    pub address: SocketAddr,
    /// This program, as a shell finds it.
    pub program: &'a str,
    /// The address of the dashboard.
    pub dashboard: &'a str,
}

impl Where<'_> {
    /// Whether a variable, which another terminal does not have, says where the API listens.
    fn is_overridden(&self) -> bool {
        let mut entries = self.config.entries.iter();
        entries.any(|it| {
            it.heading == "[admin]" && it.key == "listen" && it.origin.starts_with("environment")
        })
    }

    /// A command of this program for this sidecar.
    fn command(&self, what: &str) -> String {
        let mut command = format!("{} {what}", self.program);
        if self.config.path != Path::new(CONFIG_FILE) {
            let path = quoted(&self.config.path.display().to_string());
            // Writing to a string does not fail.
            _ = write!(command, " --config {path}");
        }
        if self.address != self.config.admin.listen || self.is_overridden() {
            _ = write!(command, " --admin http://{}", self.address);
        }
        command
    }
}

/// Where to watch replication while it continues.
#[must_use]
pub fn where_to_look(nodes: &Nodes, at: &Where<'_>) -> Vec<String> {
    let mut lines =
        vec!["Replication continues, with ten writes a second. Where to look:".to_owned()];
    for node in nodes.iter() {
        let Endpoint { name, address, username, .. } = &node.endpoint;
        let directory = node.directory.display();
        lines.push(format!("  {name}: {address}, user {username}, data in {directory}"));
    }
    lines.push(format!("  {}: the configuration, with comments", at.config.path.display()));
    let listen = at.config.admin.listen;
    if at.address.port() != listen.port() && listen.port() != 0 {
        lines.push(format!(
            "  Port {} is taken by another program, so the admin API has port {}.",
            listen.port(),
            at.address.port()
        ));
    }
    lines.push("Commands, in another terminal in this folder:".to_owned());
    for what in ["status", "streams --lagging=1", "events --follow"] {
        lines.push(format!("  {}", at.command(what)));
    }
    lines.push("Ctrl-C stops it; the next start resumes from here.".to_owned());
    lines.push(format!("Dashboard: {}", at.dashboard));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_file_and_the_api_where_they_have_to() {
        let config = |text: &str, path: &str, variable: &str| {
            let text = format!(
                "[node]\nname = \"beta\"\n[[bucket]]\nname = \"default\"\n{text}\n[embedded]\n\
                 [[embedded.node]]\nname = \"beta\"\nstate = \"replica\"\n"
            );
            let variable = |name: &str| (name == variable).then(|| "127.0.0.1:4872".to_owned());
            crate::config::parse(path.as_ref(), &text, &variable).unwrap()
        };
        let listen = "[admin]\nlisten = \"127.0.0.1:4870\"";
        let own = "DCP_PROXY__ADMIN__LISTEN";
        for (path, variable, port, expected) in [
            ("proxy.toml", "", 4870, "bin/x status"),
            ("my dir/a.toml", "", 4870, "bin/x status --config 'my dir/a.toml'"),
            ("proxy.toml", "", 4871, "bin/x status --admin http://127.0.0.1:4871"),
            ("proxy.toml", own, 4872, "bin/x status --admin http://127.0.0.1:4872"),
        ] {
            let config = config(listen, path, variable);
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let at = Where { config: &config, address, program: "bin/x", dashboard: "" };
            assert_eq!(at.command("status"), expected);
        }
    }
}
