//! The session token: what requests that change something carry where no token is configured.
//!
//! It is new at each start, and in `session.json` of `[state] directory`, which only the user of
//! the sidecar may read. So whoever may change the sidecar's state by hand may change it over the
//! API too, and nobody else on the machine, nor a page in a browser.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use logline::value;
use relay::Secret;

use crate::clock::utc;
use crate::random;
use crate::session::{FILE, SessionFile, SessionNode, dashboard_url, reachable};

/// What is written before it takes the place of the file.
const NEW: &str = "session.json.new";
/// The file is for the user of the sidecar alone.
const MODE: u32 = 0o600;
/// Bytes of a token, before they are written in hexadecimal.
const TOKEN_BYTES: usize = 32;

/// The session of this process.
#[derive(Debug)]
pub(super) struct Session {
    token: Secret,
    url: String,
    started_at: String,
    directory: PathBuf,
    /// The data nodes inside this process, once they have started.
    nodes: OnceLock<Vec<SessionNode>>,
    written: Mutex<Written>,
}

/// Whether the file is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Written {
    /// Not yet.
    No,
    /// It could not be written, which was logged.
    Failed,
    /// It was written, without the token where one was configured.
    Yes { is_configured: bool },
}

impl Session {
    /// A new session of the API at `address`, whose file is to be in `directory`.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub(super) fn new(address: SocketAddr, directory: &Path) -> io::Result<Self> {
        let token = random::hex::<TOKEN_BYTES>().map_err(io::Error::other)?;
        // A command in another folder is told of the file too.
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Ok(Self {
            token: Secret::new(token),
            url: format!("http://{}", reachable(address)),
            started_at: utc(SystemTime::now()),
            directory,
            nodes: OnceLock::new(),
            written: Mutex::new(Written::No),
        })
    }

    /// The token.
    pub(super) const fn token(&self) -> &Secret {
        &self.token
    }

    /// The file.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// The address of the dashboard with the token that it needs for actions. The token is in the
    /// fragment, which a browser sends to nobody.
    pub(super) fn dashboard_url(&self, configured: Option<&Secret>) -> String {
        dashboard_url(&self.url, Some(&configured.unwrap_or(&self.token).expose()))
    }

    /// Has the file name the data nodes inside this process, from the next [`Session::follow`] on.
    /// Only the first call has an effect.
    pub(super) fn name_nodes(&self, nodes: Vec<SessionNode>) {
        _ = self.nodes.set(nodes);
    }

    /// Whether the file was written for a token that `is_configured` like this. Reads no file.
    pub(super) fn knows(&self, is_configured: bool) -> bool {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
            == Written::Yes { is_configured }
    }

    /// Writes the file where it is not what it has to be: it is missing, has another content or
    /// mode, could not be written before, or whether a token `is_configured` has changed. Where
    /// that fails, says once what that means.
    pub(super) fn follow(&self, is_configured: bool) {
        let path = self.path();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written == (Written::Yes { is_configured }) && self.is_whole(is_configured) {
            return;
        }
        let file = value(path.display()).to_string();
        match self.replace(is_configured) {
            Ok(()) => {
                let token = if is_configured { "configured" } else { "inside" };
                log::info!("session file written file={file} token={token}");
                *written = Written::Yes { is_configured };
            }
            Err(_) if *written == Written::Failed => {}
            Err(error) => {
                log::warn!(
                    "session file not written: subcommands do not find the token that changes \
                     need: set [admin] token, or give a [state] directory that this user may \
                     write to file={file} error={}",
                    value(error)
                );
                *written = Written::Failed;
            }
        }
    }

    fn content(&self, is_configured: bool) -> io::Result<String> {
        let content = SessionFile {
            url: self.url.clone(),
            token: (!is_configured).then(|| self.token.expose()),
            pid: std::process::id(),
            started_at: self.started_at.clone(),
            nodes: self.nodes.get().cloned().unwrap_or_default(),
        };
        Ok(serde_json::to_string(&content)? + "\n")
    }

    /// Whether the file is there as it was written. Nothing else is read: it may have any size, or
    /// be no file.
    fn is_whole(&self, is_configured: bool) -> bool {
        let (path, Ok(text)) = (self.path(), self.content(is_configured)) else { return false };
        let is_alike = |found: &fs::Metadata| {
            let has_size = usize::try_from(found.len()).is_ok_and(|len| len == text.len());
            found.is_file() && found.permissions().mode() & 0o7777 == MODE && has_size
        };
        fs::symlink_metadata(&path).is_ok_and(|found| is_alike(&found))
            && fs::read(&path).is_ok_and(|found| found == text.as_bytes())
    }

    fn replace(&self, is_configured: bool) -> io::Result<()> {
        let text = self.content(is_configured)?;
        let new = self.directory.join(NEW);
        // Created anew, so that it has this mode and is no link to anywhere.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, self.path())
    }

    /// Removes the file, if it is still that of this process.
    pub(super) fn remove(&self) {
        let path = self.path();
        let is_ours = |text: String| {
            let file = serde_json::from_str::<SessionFile>(&text);
            file.is_ok_and(|file| file.started_at == self.started_at && file.url == self.url)
        };
        if fs::read_to_string(&path).is_ok_and(is_ours)
            && let Err(error) = fs::remove_file(&path)
        {
            log::warn!(
                "session file not removed file={} error={}",
                value(path.display()),
                value(error)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn session(directory: &Path) -> Session {
        Session::new("127.0.0.1:4870".parse().unwrap(), directory).unwrap()
    }

    fn read(path: &Path) -> SessionFile {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_for_the_user_alone_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (folder.path().join(FILE), folder.path().join("elsewhere"));
        // Whatever a process left behind that was killed, even a link.
        fs::write(&elsewhere, "mine").unwrap();
        symlink(&elsewhere, folder.path().join(NEW)).unwrap();
        fs::write(&file, "half a fi").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let session = session(folder.path());
        session.follow(false);
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine", "the link was not followed");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        let content = read(&file);
        assert_eq!(
            (content.url.as_str(), content.pid),
            ("http://127.0.0.1:4870", std::process::id())
        );
        assert_eq!(content.token.as_deref(), Some(session.token().expose().as_str()));
        assert_eq!(content.started_at.len(), 24);
        session.follow(true);
        assert_eq!(read(&file).token, None, "a token is configured now");
        session.follow(false);
        assert!(read(&file).token.is_some());
        fs::remove_file(&file).unwrap();
        session.follow(false);
        assert!(file.exists(), "one that was deleted is written again");
        fs::write(&file, "junk").unwrap();
        session.follow(false);
        assert_eq!(read(&file).pid, std::process::id(), "as is one that was overwritten");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("127.0.0.1", "127.0.0.9")).unwrap();
        session.follow(false);
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "of the same size");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        session.follow(false);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        let node = SessionNode {
            name: "alpha".to_owned(),
            address: "127.0.0.1:5".to_owned(),
            password: Some("random".to_owned()),
        };
        session.name_nodes(vec![node]);
        session.follow(false);
        assert_eq!(read(&file).nodes.len(), 1, "nodes that have started since");
        session.remove();
        assert!(!file.exists() && !folder.path().join(NEW).exists());
    }

    #[test]
    fn the_file_of_another_process_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (session(folder.path()), {
            let address = "127.0.0.1:4871".parse().unwrap();
            Session::new(address, folder.path()).unwrap()
        });
        one.follow(false);
        other.follow(false);
        one.remove();
        assert_eq!(read(&other.path()).url, "http://127.0.0.1:4871");
    }

    #[test]
    fn the_token_is_in_the_fragment_and_escaped() {
        for (listen, url) in [
            ("127.0.0.1:4870", "http://127.0.0.1:4870"),
            ("0.0.0.0:4870", "http://127.0.0.1:4870"),
            ("[::]:4870", "http://[::1]:4870"),
            ("[::1]:4870", "http://[::1]:4870"),
        ] {
            let session = Session::new(listen.parse().unwrap(), Path::new("state")).unwrap();
            let token = session.token().expose();
            assert_eq!(session.dashboard_url(None), format!("{url}/#token={token}"));
            assert!(session.path().is_absolute());
        }
        let session = session(Path::new("state"));
        let configured = Secret::new("open sesame#&%");
        let said = session.dashboard_url(Some(&configured));
        assert_eq!(said, "http://127.0.0.1:4870/#token=open%20sesame%23%26%25");
    }
}
