//! What the configuration file and the session tell of a sidecar: its address and its tokens.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use folderlock::FolderLock;
use relay::Secret;

use super::error::AskError;
use super::output;
use super::plain::plain;
use crate::config::{self, Admin};
use crate::session::{self, SessionFile, reachable};

/// A sidecar.
pub(super) struct Sidecar {
    /// Without a slash at the end.
    pub(super) url: String,
    pub(super) token: Option<Secret>,
    /// The token of the session, for a sidecar that does not know the one of the file yet: it was
    /// written there after the start, and `reload` is to bring it into force.
    pub(super) spare: Option<Secret>,
    /// Why there is no token, where a file should have it.
    pub(super) hint: Option<String>,
}

impl Sidecar {
    /// One that is asked with this token.
    pub(super) const fn new(url: String, token: Option<Secret>) -> Self {
        Self { url, token, spare: None, hint: None }
    }
}

/// What a subcommand does where the configuration file is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum File {
    /// It cannot do without.
    Needed,
    /// It asks the sidecar whose session is in the default `[state] directory` of the file.
    Helps,
}

/// What is known of the sidecar of a configuration file.
pub(super) struct Known {
    listen: SocketAddr,
    token: Option<Secret>,
    /// The session of the running sidecar, if it has left its file.
    session: Result<Option<SessionFile>, NoSession>,
    /// What to say where the file has a mistake and only the session is used.
    warning: Option<String>,
}

/// Why there is no session, though there is a file.
#[derive(Clone, PartialEq, Eq, Debug)]
enum NoSession {
    /// It cannot be read.
    Unreadable(String),
    /// Its sidecar has ended. Its address may be that of anybody now.
    Ended(String),
}

impl NoSession {
    fn text(&self) -> &str {
        match self {
            Self::Unreadable(text) | Self::Ended(text) => text,
        }
    }
}

/// Why the address is not known: there is no session, and maybe a reason for that.
pub(super) struct NoUrl(Option<NoSession>);

impl NoUrl {
    pub(super) fn error(self, config: &Path) -> AskError {
        let (file, why) = (config.display(), PORT_UNKNOWN);
        match self.0 {
            None => AskError::Usage(format!("{file}: {why}")),
            Some(NoSession::Unreadable(error)) => AskError::Usage(format!(
                "{file}: {why}, or let it be read from the session file: {error}"
            )),
            Some(NoSession::Ended(error)) => AskError::Failed(error),
        }
    }
}

const PORT_UNKNOWN: &str = "[admin] listen has port 0, so the port is unknown: give --admin";

impl Known {
    /// Reads the file, and the session of its sidecar.
    pub(super) fn read(config: &Path, file: File) -> Result<Self, String> {
        let problems = match config::load_admin(config) {
            Ok((Admin { listen, token, .. }, state)) => {
                return Ok(Self { listen, token, session: session(&state), warning: None });
            }
            Err(problems) => problems,
        };
        if file == File::Needed || !config.exists() {
            return Err(problems.to_string());
        }
        let state = config::default_state(config);
        match session(&state) {
            Ok(Some(session)) => {
                let first = problems.lines().next().unwrap_or_default();
                let warning = format!(
                    "warning: {first}: the file is not used; asking the sidecar of {}",
                    state.join(session::FILE).display()
                );
                let (session, warning) = (Ok(Some(session)), Some(warning));
                Ok(Self { listen: SESSION_ONLY, token: None, session, warning })
            }
            Ok(None) => Err(problems.to_string()),
            Err(why) => Err(format!("{problems}\n{}", why.text())),
        }
    }

    /// Says that the file is not used, where that is so.
    pub(super) fn warn(&self) {
        if let Some(warning) = &self.warning {
            output::say(plain(warning));
        }
    }

    pub(super) fn has_session_of(&self, url: &str) -> bool {
        matches!(&self.session, Ok(Some(session)) if session.url == url)
    }

    /// Where the sidecar listens.
    pub(super) fn url(&self) -> Result<String, NoUrl> {
        match (self.listen.port(), &self.session) {
            (0, Ok(Some(session))) => Ok(session.url.clone()),
            (0, Ok(None)) => Err(NoUrl(None)),
            (0, Err(why)) => Err(NoUrl(Some(why.clone()))),
            _ => Ok(format!("http://{}", reachable(self.listen))),
        }
    }

    /// The sidecar at `url`, with a token if one is meant for it.
    pub(super) fn sidecar(self, url: String) -> Sidecar {
        let is_configured = self.token.is_some() && self.url().is_ok_and(|own| own == url);
        let session = self.session.as_ref().ok().and_then(Option::as_ref);
        let session = session.filter(|session| session.url == url);
        let token = session.and_then(|session| session.token.clone()).map(Secret::new);
        if is_configured {
            return Sidecar { url, token: self.token, spare: token, hint: None };
        }
        let hint = match (&self.session, session) {
            (Err(why), _) => Some(why.text().to_owned()),
            (_, Some(SessionFile { token: None, .. })) if self.warning.is_some() => {
                let hint =
                    "its token is in the configuration file, which is not used: give --token";
                Some(hint.to_owned())
            }
            _ => None,
        };
        Sidecar { url, token, spare: None, hint }
    }
}

/// The address of a file that is not used: that of its session is.
const SESSION_ONLY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// As [`session`], for commands that ask the nodes inside a sidecar.
///
/// # Errors
/// Why there is no session, though there is a file.
pub(crate) fn running_session(state: &Path) -> Result<Option<SessionFile>, String> {
    session(state).map_err(|why| why.text().to_owned())
}

/// The session of the sidecar that has this `[state] directory`, while that sidecar lives: it holds
/// the lock of the folder.
fn session(state: &Path) -> Result<Option<SessionFile>, NoSession> {
    let path = state.join(session::FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            let who = "run this as the user of the sidecar, or give --token";
            let text = format!("{} cannot be read: {error}: {who}", path.display());
            return Err(NoSession::Unreadable(text));
        }
        Ok(text) => text,
    };
    let file: SessionFile = serde_json::from_str(&text).map_err(|error| {
        let remedy = "restart the sidecar, or give --token";
        NoSession::Unreadable(format!("{} is damaged: {error}: {remedy}", path.display()))
    })?;
    let lock = state.join(session::LOCK);
    let holder = FolderLock::held_by(state, session::LOCK).map_err(|error| {
        NoSession::Unreadable(format!("{} cannot be read: {error}", lock.display()))
    })?;
    if holder.is_some_and(|holder| holder.pid == Some(file.pid)) {
        return Ok(Some(file));
    }
    Err(NoSession::Ended(format!(
        "no sidecar runs: {} is of process {}, which does not hold {} any more: start it, or give \
         --admin and --token",
        path.display(),
        file.pid,
        lock.display()
    )))
}
