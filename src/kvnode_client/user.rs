//! `kvnode user`: the users of a node in a file, with salted verifiers instead of passwords. A
//! running node reads the file again once it has changed.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use console::Term;
use kvnode::cli::password;
use kvnode::{Credentials, Grant, Role, User, UsersFile};
use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use crate::client::replace_file;

/// The longest password that is read from standard input, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// What to do with the users of a file.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user. The password is asked for, or read from standard input.
    Add {
        #[command(flatten)]
        who: Who,
        /// What the user may do: everything, read and write documents, read them, or what a sidecar
        /// needs.
        #[arg(long, value_name = "ROLE", default_value = Role::default().name(),
              value_parser = PossibleValuesParser::new(Role::ALL.map(Role::name)))]
        role: String,
        /// The bucket in which the user may do that; may be given several times [default: every
        /// bucket].
        #[arg(long = "bucket", value_name = "NAME")]
        buckets: Vec<String>,
        #[command(flatten)]
        secret: NewPassword,
    },
    /// Give a user another password. A running node ends the user's connections.
    Passwd {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        secret: NewPassword,
    },
    /// Remove a user. A running node ends the user's connections.
    Remove {
        #[command(flatten)]
        who: Who,
    },
    /// Show the users.
    List {
        #[command(flatten)]
        file: File,
    },
}

/// The file of users, and the format of the output.
#[derive(Debug, Args)]
pub(super) struct File {
    /// The file; the node has it as users_file or --users-file.
    #[arg(long, value_name = "FILE")]
    users_file: PathBuf,
    /// Print JSON, for programs; errors too.
    #[arg(long)]
    json: bool,
}

/// A user of a file.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// The user's name.
    name: String,
    #[command(flatten)]
    file: File,
}

/// Where a new password comes from; never from the command line, which everybody can see.
#[derive(Debug, Args)]
pub(super) struct NewPassword {
    /// File with the password; one line break at its end is ignored [default: ask for it].
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl UserCommand {
    pub(super) const fn is_json(&self) -> bool {
        match self {
            Self::Add { who, .. } | Self::Passwd { who, .. } | Self::Remove { who } => {
                who.file.json
            }
            Self::List { file } => file.json,
        }
    }

    /// Carries it out.
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Add { who: Who { name, file }, role, buckets, secret } => {
                UsersFile::check_name(name).map_err(Failure::wrong)?;
                let grant =
                    Grant { role: Role::named(role).unwrap_or_default(), buckets: buckets.clone() };
                let mut opened = Opened::read_or_new(&file.users_file)?;
                if opened.find(name).is_some() {
                    let text = format!("user {name:?} exists: give it a password with passwd");
                    return Err(Failure::wrong(text));
                }
                let credentials = secret.credentials(name)?;
                opened.file.users.push(User { name: name.clone(), credentials, grant });
                opened.write()?;
                Ok(done(name, "added"))
            }
            Self::Passwd { who: Who { name, file }, secret } => {
                let mut opened = Opened::read(&file.users_file)?;
                opened.existing(name)?;
                let credentials = secret.credentials(name)?;
                opened.existing(name)?.credentials = credentials;
                opened.write()?;
                Ok(done(name, "changed"))
            }
            Self::Remove { who: Who { name, file } } => {
                let mut opened = Opened::read(&file.users_file)?;
                opened.existing(name)?;
                opened.file.users.retain(|user| user.name != *name);
                opened.write()?;
                Ok(done(name, "removed"))
            }
            Self::List { file } => Opened::read(&file.users_file).map(|opened| list(&opened.file)),
        }
    }
}

/// A file of users that was read.
struct Opened<'a> {
    path: &'a Path,
    /// Its text; `None` where there is no file yet.
    text: Option<String>,
    file: UsersFile,
}

impl<'a> Opened<'a> {
    fn read(path: &'a Path) -> Result<Self, Failure> {
        let file = UsersFile::read(path).map_err(Failure::wrong)?;
        let text = std::fs::read_to_string(path).map_err(|error| unwritten(path, &error))?;
        Ok(Self { path, text: Some(text), file })
    }

    fn read_or_new(path: &'a Path) -> Result<Self, Failure> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { path, text: None, file: UsersFile::default() })
            }
            _ => Self::read(path),
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut User> {
        self.file.users.iter_mut().find(|user| user.name == name)
    }

    fn existing(&mut self, name: &str) -> Result<&mut User, Failure> {
        let path = self.path;
        let none = || Failure::wrong(format!("there is no user {name:?} in {}", path.display()));
        self.find(name).ok_or_else(none)
    }

    /// Writes it at once; a new file is for its owner alone. Refused where somebody else has
    /// changed it since it was read.
    fn write(&self) -> Result<(), Failure> {
        let text = self.file.to_string();
        let written = match &self.text {
            Some(old) => replace_file::replace(self.path, old, &text),
            None => replace_file::put(self.path, &text),
        };
        written.map_err(|error| unwritten(self.path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("file {}: {error}", path.display()), json!({}))
}

fn done(name: &str, what: &str) -> Answer {
    Answer::text(format!("user {name:?} {what}"), json!({ "user": name, "result": what }))
}

fn list(file: &UsersFile) -> Answer {
    let (mut text, mut users) = (String::new(), Vec::new());
    for User { name, grant: Grant { role, buckets }, .. } in &file.users {
        let of = if buckets.is_empty() { "every bucket".to_owned() } else { buckets.join(", ") };
        text += &format!("{name}: {role} of {of}\n");
        users.push(json!({ "name": name, "role": role.name(), "buckets": buckets }));
    }
    Answer { text: text.into_bytes(), json: json!({ "users": users }), failure: None }
}

impl NewPassword {
    fn credentials(&self, name: &str) -> Result<Credentials, Failure> {
        let text = match &self.password_file {
            Some(path) => {
                let read =
                    password(path).map_err(|what| Failure::wrong(format!("password: {what}")));
                read?.expose()
            }
            None => asked(name).map_err(|error| Failure::wrong(format!("password: {error}")))?,
        };
        if text.is_empty() || text.contains('\0') {
            let text = "the password is empty, or has a zero byte: give another one";
            return Err(Failure::wrong(text));
        }
        Ok(Credentials::Verifiers(UsersFile::verifiers(text.as_bytes())))
    }
}

/// The password that somebody types twice at a terminal, or else the first line of standard input.
fn asked(name: &str) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        let mut input = io::Read::take(io::stdin().lock(), PASSWORD_BYTES_MAX);
        input.read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let screen = Term::stderr();
    let read = |question: &str| {
        screen.write_str(question)?;
        screen.read_secure_line()
    };
    let first = read(&format!("Password of {name}: "))?;
    if read("Again: ")? == first {
        return Ok(first);
    }
    Err(io::Error::other("the two are not the same"))
}
