//! Which SASL mechanism a login takes, by what the node offers and who could listen.

use scram::Mechanism;

use crate::Fault;

/// The mechanism that sends the password itself.
pub(crate) const PLAIN: &str = "PLAIN";

/// How to log in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// By a proof.
    Scram(Mechanism),
    /// With the password.
    Plain,
}

/// The best mechanism of those that a node offers, a list with spaces between. An empty list stands
/// for a node that does not say what it has; it may still have PLAIN.
///
/// `is_plain_allowed`: nobody on a network can read the password, or the configuration accepts that
/// somebody can. Whoever can change the list on its way can have a client choose PLAIN, so that
/// nothing else may be the condition for it.
///
/// # Errors
/// [`Fault::PlainOnly`], and [`Fault::Mechanism`] for a list of mechanisms that are not implemented
/// here.
pub(crate) fn choose(offered: &str, is_plain_allowed: bool) -> Result<Choice, Fault> {
    if let Some(strongest) = Mechanism::strongest(offered) {
        return Ok(Choice::Scram(strongest));
    }
    let mut names = offered.split_ascii_whitespace().peekable();
    let may_have_plain = names.peek().is_none() || names.any(|name| name == PLAIN);
    match (may_have_plain, is_plain_allowed) {
        (true, true) => Ok(Choice::Plain),
        (true, false) => Err(Fault::PlainOnly { offered: offered.to_owned() }),
        (false, _) => Err(Fault::Mechanism { offered: offered.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offered: &str) -> [Option<Choice>; 2] {
        [true, false].map(|is_plain_allowed| choose(offered, is_plain_allowed).ok())
    }

    #[test]
    fn the_strongest_proof_is_preferred_whoever_listens() {
        for (offered, want) in [
            ("PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1", Mechanism::Sha512),
            ("SCRAM-SHA1 SCRAM-SHA256 PLAIN", Mechanism::Sha256),
            ("SCRAM-SHA1", Mechanism::Sha1),
            ("OAUTHBEARER  SCRAM-SHA1\n", Mechanism::Sha1),
        ] {
            assert_eq!(chosen(offered), [Some(Choice::Scram(want)); 2], "{offered}");
        }
    }

    #[test]
    fn plain_is_chosen_only_where_it_is_allowed() {
        for offered in ["PLAIN", "OAUTHBEARER PLAIN", "", " "] {
            assert_eq!(chosen(offered), [Some(Choice::Plain), None], "{offered:?}");
            let fault = choose(offered, false).unwrap_err();
            assert!(matches!(fault, Fault::PlainOnly { .. }), "{fault}");
        }
    }

    #[test]
    fn a_node_with_neither_is_told_with_what_it_offers() {
        for offered in ["OAUTHBEARER PLAINER", "SCRAM-SHA-512", "plain"] {
            for is_plain_allowed in [true, false] {
                let fault = choose(offered, is_plain_allowed).unwrap_err();
                assert!(matches!(fault, Fault::Mechanism { .. }), "{fault}");
                assert!(fault.to_string().contains(offered), "{fault}");
            }
        }
    }
}
