//! A command line as it may be shown: quoted where needed, and without secrets.

/// Stands for a secret.
const HIDDEN: &str = "(hidden)";
/// What the name of an option has whose value is a secret.
const SECRETS: [&str; 3] = ["token", "password", "secret"];
/// What its end is where the value says where the secret is.
const PLACES: [&str; 2] = ["-file", "-env"];

/// The arguments on one line. The value of an option such as `--token` is hidden.
pub(crate) fn shown<'a>(arguments: impl Iterator<Item = &'a str>) -> String {
    let mut is_secret = false;
    let mut words = Vec::new();
    for argument in arguments {
        let hidden = std::mem::take(&mut is_secret);
        words.push(match argument.split_once('=') {
            _ if hidden => HIDDEN.to_owned(),
            Some((name, _)) if names_secret(name) => format!("{name}={HIDDEN}"),
            None if names_secret(argument) => {
                is_secret = true;
                argument.to_owned()
            }
            _ => quoted(argument),
        });
    }
    let line = |c: char| if c.is_control() { '?' } else { c };
    words.join(" ").chars().map(line).collect()
}

fn names_secret(argument: &str) -> bool {
    let Some(name) = argument.strip_prefix("--") else { return false };
    let name = name.to_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
        && !PLACES.iter().any(|end| name.ends_with(end))
}

/// A word of a shell's command line, quoted where it needs that.
#[must_use]
pub fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,%+".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_shown() {
        for (line, expected) in [
            ("dcp-proxy --config a.toml", "dcp-proxy --config a.toml"),
            ("p --token abc status", "p --token (hidden) status"),
            ("p --token=abc x", "p --token=(hidden) x"),
            ("p --Admin-Password=abc", "p --Admin-Password=(hidden)"),
            ("p --password-file secrets/a --x", "p --password-file secrets/a --x"),
            ("p --password-file=secrets/a", "p --password-file=secrets/a"),
            ("p --token", "p --token"),
        ] {
            assert_eq!(shown(line.split(' ')), expected);
        }
        assert_eq!(shown(["p", "a'b", "", "x\n"].into_iter()), r"p 'a'\''b' '' 'x?'");
    }

    #[test]
    fn words_are_quoted_for_a_shell_where_they_need_it() {
        for (word, text) in [
            ("default", "default"),
            ("0-5,7", "0-5,7"),
            ("[::1]:4870", "'[::1]:4870'"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(quoted(word), text);
        }
    }
}
