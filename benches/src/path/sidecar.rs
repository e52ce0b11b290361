//! dcp-proxy as a process, from one data node to another. Killed when dropped.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::server::{BUCKET, PASSWORD, Server, USER, VBUCKETS, cpu_seconds};

/// See the module.
pub(crate) struct Sidecar(Child);

impl Sidecar {
    /// Starts `program`, or the one in the folder of this program, with one link for all vBuckets.
    /// Its configuration goes into `folder`.
    pub(crate) fn start(
        program: Option<&Path>,
        folder: &Path,
        source: &Server,
        target: &Server,
    ) -> io::Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("dcp-proxy");
        let program = program.unwrap_or(&beside).canonicalize();
        let program = program.map_err(|error| {
            io::Error::other(format!("{}: cargo build --release: {error}", beside.display()))
        })?;
        let login = format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
        let text = format!(
            "[node]\nname = \"target\"\naddress = \"{}\"\n{login}\
             [[producer]]\nname = \"source\"\naddress = \"{}\"\n{login}\
             [[bucket]]\nname = \"{BUCKET}\"\nreplicate = {{ source = \"0-{}\" }}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n",
            target.address,
            source.address,
            VBUCKETS - 1,
        );
        fs::write(folder.join("proxy.toml"), text)?;
        let mut command = Command::new(program);
        command.current_dir(folder).env("RUST_LOG", "error");
        Ok(Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }

    /// Its processor time so far, with a resolution of 10 ms.
    pub(crate) fn cpu_seconds(&self) -> io::Result<f64> {
        cpu_seconds(&self.0)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
