//! A file of users with salted verifiers instead of passwords, as TOML. Whoever reads it can try
//! passwords at leisure and pretend to be the node, but cannot log in: it is for its owner alone.

use std::fmt;
use std::path::Path;

use scram::{ITERATIONS, Mechanism, Verifier};
use serde::Deserialize;

use super::{Credentials, Grant, SALTS_BYTES, User, random};
use crate::privilege::Role;

/// The most users of a file.
const USERS_MAX: usize = 10_000;
/// The longest name of a user, in bytes. Source: SCRAM messages of kv_engine.
const NAME_BYTES_MAX: usize = 128;

const INTRO: &str = "# Users of kvnode. `kvnode user` writes this file; a running node reads it \
     again.\n";

/// The users of a file.
#[derive(Clone, Debug)]
pub struct UsersFile {
    /// What the salts of users who do not exist are made from.
    pub salts: [u8; SALTS_BYTES],
    /// The users, each with a name of its own.
    pub users: Vec<User>,
}

impl Default for UsersFile {
    /// One without users, and with salts that nobody can foresee.
    fn default() -> Self {
        Self { salts: random(), users: Vec::new() }
    }
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    salts: String,
    #[serde(default)]
    user: Vec<WrittenUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUser {
    name: String,
    role: String,
    #[serde(default)]
    buckets: Vec<String>,
    verifiers: Vec<String>,
}

impl UsersFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with its name and never with its content.
    pub fn read(path: &Path) -> Result<Self, String> {
        let remedy = "make one with `kvnode user add`";
        let text = settings::read(path, remedy).map_err(|problems| problems.to_string())?;
        Self::parse(&text).map_err(|what| format!("file {}: {what}", path.display()))
    }

    /// The file with this text.
    ///
    /// # Errors
    /// What is wrong, without the values.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The message alone: a shown line could hold a verifier.
        let written: Written = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", 1 + before.matches('\n').count(), error.message())
        })?;
        let salts = unhex(&written.salts).ok_or("salts is not 64 hexadecimal digits")?;
        if written.user.len() > USERS_MAX {
            return Err(format!("it has more than {USERS_MAX} users"));
        }
        let users = written.user.into_iter().map(user).collect::<Result<Vec<_>, _>>()?;
        let mut names: Vec<_> = users.iter().map(|user| &user.name).collect();
        names.sort_unstable();
        if let Some([name, ..]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(format!("user {name:?} is there twice"));
        }
        Ok(Self { salts, users })
    }

    /// The verifiers of a password, one for each mechanism, with new salts. Takes some 30 ms.
    #[must_use]
    pub fn verifiers(password: &[u8]) -> Vec<Verifier> {
        let of = |mechanism: Mechanism| {
            // As long as those of users without a verifier.
            let salt = Verifier::salt(mechanism, "", &random::<SALTS_BYTES>());
            Verifier::new(mechanism, password, &salt, ITERATIONS)
        };
        Mechanism::ALL.map(of).to_vec()
    }

    /// Checks the name of a user.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_name(name: &str) -> Result<(), String> {
        let is_good = !name.is_empty() && !name.chars().any(char::is_control);
        if is_good && name.len() <= NAME_BYTES_MAX {
            return Ok(());
        }
        Err(format!(
            "user {name:?}: a name is 1 to {NAME_BYTES_MAX} bytes without control characters"
        ))
    }
}

fn user(written: WrittenUser) -> Result<User, String> {
    let WrittenUser { name, role, buckets, verifiers } = written;
    UsersFile::check_name(&name)?;
    let wrong = |what: String| format!("user {name:?}: {what}");
    let role = Role::named(&role).ok_or_else(|| {
        wrong(format!("{role:?} is no role: give one of {}", Role::ALL.map(Role::name).join(", ")))
    })?;
    let parsed = verifiers.iter().map(|text| text.parse::<Verifier>());
    let verifiers = parsed.collect::<Result<Vec<_>, _>>();
    let verifiers = verifiers.map_err(|error| wrong(format!("a verifier is bad: {error}")))?;
    let has = |mechanism| verifiers.iter().filter(|it| it.mechanism() == mechanism).count();
    if verifiers.is_empty() || Mechanism::ALL.into_iter().any(|mechanism| has(mechanism) > 1) {
        return Err(wrong("give one verifier for each mechanism".to_owned()));
    }
    let grant = Grant { role, buckets };
    Ok(User { name, credentials: Credentials::Verifiers(verifiers), grant })
}

/// The text of the file. A user with a password instead of verifiers has no place in it.
impl fmt::Display for UsersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| toml::Value::String(text.to_owned());
        let list =
            |items: Vec<String>| toml::Value::Array(items.iter().map(|it| text(it)).collect());
        let salts: String = self.salts.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(f, "{INTRO}salts = {}", text(&salts))?;
        for User { name, credentials, grant: Grant { role, buckets } } in &self.users {
            let Credentials::Verifiers(verifiers) = credentials else { continue };
            write!(f, "\n[[user]]\nname = {}\nrole = {}\n", text(name), text(role.name()))?;
            if !buckets.is_empty() {
                writeln!(f, "buckets = {}", list(buckets.clone()))?;
            }
            writeln!(f, "verifiers = [")?;
            for verifier in verifiers {
                writeln!(f, "  {},", text(&verifier.to_string()))?;
            }
            writeln!(f, "]")?;
        }
        Ok(())
    }
}

fn unhex(digits: &str) -> Option<[u8; SALTS_BYTES]> {
    let mut bytes = [0; SALTS_BYTES];
    if digits.len() != 2 * SALTS_BYTES || !digits.is_ascii() {
        return None;
    }
    for (number, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(2 * number..2 * number + 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> UsersFile {
        let verifier = |it| Verifier::new(it, b"secret", b"salt", 1);
        let user = |name: &str, role, buckets: &[&str]| User {
            name: name.to_owned(),
            credentials: Credentials::Verifiers(Mechanism::ALL.map(verifier).to_vec()),
            grant: Grant { role, buckets: buckets.iter().map(ToString::to_string).collect() },
        };
        let users = vec![
            user("first", Role::Admin, &[]),
            user("reader", Role::ReadOnly, &["default", "other"]),
        ];
        UsersFile { salts: [0xa5; SALTS_BYTES], users }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut file = sample();
        file.users[0].name = "q'u\"o\\te".to_owned();
        let text = file.to_string();
        let again = UsersFile::parse(&text).unwrap();
        assert_eq!((again.to_string(), again.salts), (text, file.salts));
        assert_eq!(again.users[1].grant, file.users[1].grant);
        let none = UsersFile::default();
        assert!(UsersFile::parse(&none.to_string()).unwrap().users.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_without_the_verifier() {
        let text = sample().to_string();
        let verifier = text.lines().find(|line| line.contains("SHA512")).unwrap();
        for (bad, what) in [
            (text.replace("read-only", "reader"), "\"reader\" is no role: give one of admin, "),
            (text.replace("SHA256$1:", "SHA256$0:"), "a verifier is bad: it is no verifier: its"),
            (text.replace("SCRAM-SHA256", "SCRAM-SHA512"), "a verifier is bad"),
            (text.replace(verifier, &format!("{verifier}\n{verifier}")), "one verifier for each"),
            (text.replace("a5a5", "a5"), "64 hexadecimal digits"),
            (text.replace("reader", "first"), "user \"first\" is there twice"),
            (text.replace("role", "roles"), "line 6: unknown field `roles`"),
            (text.replace("first", ""), "a name is 1 to 128 bytes"),
            (String::new(), "missing field `salts`"),
        ] {
            let error = UsersFile::parse(&bad).unwrap_err();
            assert!(error.contains(what), "{error}");
            assert!(!error.contains("c2FsdA"), "{error}");
        }
    }
}
