//! A data node as a process: `kvnode` on a folder and a port that it keeps over restarts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcbp::{FrameBuilder, Opcode, VbId, VbState};
use relay::{Client, Deadlines, Endpoint, Login, Secret};

use super::{Documents, Process, until};

pub const USERNAME: &str = "dcp-proxy";
const PASSWORD: &str = "correct horse";

/// A running node.
pub struct DataNode {
    pub name: String,
    pub vbuckets: u16,
    pub process: Process,
    folder: PathBuf,
    state: String,
    port: u16,
}

impl DataNode {
    /// Starts a node on a free port; new vBuckets are created in `state`.
    pub async fn start(folder: &Path, name: &str, state: &str, vbuckets: u16) -> Self {
        Self::start_with(folder, name, state, vbuckets, &[]).await
    }

    /// The same with these arguments too, which a restart does not have.
    pub async fn start_with(
        folder: &Path,
        name: &str,
        state: &str,
        vbuckets: u16,
        arguments: &[&str],
    ) -> Self {
        set_password(folder, name, PASSWORD);
        let mut command = command(folder, name, state, vbuckets, 0);
        let process = Process::start(name, folder, command.args(arguments));
        let (name, folder, state) = (name.to_owned(), folder.to_owned(), state.to_owned());
        let mut node = Self { name, vbuckets, process, folder, state, port: 0 };
        node.is_ready().await;
        node
    }

    /// Starts it again with the same folder and port.
    pub async fn restart(&mut self) {
        let Self { folder, name, state, vbuckets, port, .. } = self;
        let command = &mut command(folder, name, state, *vbuckets, *port);
        self.process = Process::start(name, folder, command);
        self.is_ready().await;
    }

    async fn is_ready(&mut self) {
        self.process.logs(&["bucket is ready"]).await;
        let path = self.folder.join(format!("{}.port", self.name));
        self.port = until("the port is told", async || {
            let text = std::fs::read_to_string(&path).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        })
        .await;
    }

    /// Stops it cleanly.
    pub async fn stop(&mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit_code().await, 0, "{} stops cleanly", self.name);
    }

    /// From its next start on, it accepts this password only; [`DataNode::endpoint`] still has the
    /// usual one.
    pub fn set_password(&self, password: Option<&str>) {
        set_password(&self.folder, &self.name, password.unwrap_or(PASSWORD));
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.name, self.address().to_string(), USERNAME, Secret::new(PASSWORD))
    }

    pub async fn client(&self) -> Client {
        connect(&self.endpoint()).await.unwrap()
    }

    /// The state of a vBucket.
    pub async fn state(&self, vb: VbId) -> VbState {
        let request = FrameBuilder::request(Opcode::GET_VBUCKET).vbucket(vb);
        let response = self.client().await.ask(request).await.unwrap();
        let state = *response.value.last().unwrap();
        VbState::from_wire(u32::from(state)).unwrap()
    }

    pub async fn documents(&self) -> Documents {
        Documents::new(self.client().await, self.vbuckets)
    }
}

/// A connection to the bucket of the tests.
pub async fn connect(endpoint: &Endpoint) -> Result<Client, relay::LinkError> {
    let login = Login {
        bucket: Some("default"),
        agent: "test",
        features: &[],
        deadlines: Deadlines::default(),
    };
    Client::connect(endpoint, login).await
}

fn set_password(folder: &Path, name: &str, password: &str) {
    std::fs::write(folder.join(format!("{name}.password")), password).unwrap();
}

/// The command that runs such a node; port 0 for any free one.
pub fn command(folder: &Path, name: &str, state: &str, vbuckets: u16, port: u16) -> Command {
    let path = |extension: &str| folder.join(format!("{name}.{extension}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    command.arg("--listen").arg(format!("127.0.0.1:{port}"));
    command.arg("--data").arg(folder.join(name));
    command.arg("--bucket").arg(format!("default:{vbuckets}"));
    command.args(["--state", state, "--username", USERNAME]);
    command.arg("--password-file").arg(path("password"));
    command.arg("--port-file").arg(path("port"));
    command
}
