//! Conversations: those of the RFCs, those that a real node had, and whatever else may come.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use scram::{
    Challenged, Client, ClientError, ITERATIONS_MAX, Mechanism, Server, Verifier, WrongProof,
};

/// RFC 5802, section 5.
const SHA1: [&str; 4] = [
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
];
/// RFC 7677, section 3.
const SHA256: [&str; 4] = [
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
     p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
];

/// A conversation of the capture 09 with the right password, `password`.
fn captured(mechanism: Mechanism) -> [String; 4] {
    let frames = recordings::capture("09-scram");
    let value = |at: usize| {
        let frame = &frames[at];
        let (key, extras) = (u16::from_be_bytes([frame.bytes[2], frame.bytes[3]]), frame.bytes[4]);
        let from = 24 + usize::from(key) + usize::from(extras);
        String::from_utf8(frame.bytes[from..].to_vec()).unwrap()
    };
    let key = mechanism.name().as_bytes();
    let first = frames.iter().position(|it| it.bytes.get(24..24 + key.len()) == Some(key)).unwrap();
    [0, 1, 2, 3].map(|more| value(first + more))
}

/// The client's nonce, and what the node added.
fn nonces(conversation: [&str; 4]) -> (&str, &str) {
    let client = conversation[0].split_once(",r=").unwrap().1;
    let both = conversation[1].split_once(',').unwrap().0;
    (client, both.strip_prefix("r=").unwrap().strip_prefix(client).unwrap())
}

fn salt(conversation: [&str; 4]) -> Vec<u8> {
    use base64::Engine as _;
    let text = conversation[1].split_once(",s=").unwrap().1.split_once(",i=").unwrap().0;
    base64::prelude::BASE64_STANDARD.decode(text).unwrap()
}

/// Both sides say what the conversation says.
fn is_spoken(mechanism: Mechanism, user: &str, password: &str, messages: [&str; 4], rounds: u32) {
    let (ours, more) = nonces(messages);
    let client = Client::new(mechanism, user, password.as_bytes(), ours);
    assert_eq!(client.first(), messages[0]);
    let (proof, proven) = client.prove(messages[1].as_bytes()).unwrap();
    assert_eq!(proof, messages[2]);
    proven.accept(messages[3].as_bytes()).unwrap();

    let verifier = Verifier::new(mechanism, password.as_bytes(), &salt(messages), rounds);
    let begun = Server::begin(mechanism, messages[0].as_bytes()).unwrap();
    assert_eq!(begun.user(), user);
    let (challenge, challenged) = begun.challenge(&salt(messages), rounds, more);
    assert_eq!(challenge, messages[1]);
    assert_eq!(challenged.check(&verifier, messages[2].as_bytes()).unwrap(), messages[3]);
}

#[test]
fn the_examples_of_the_rfcs_are_spoken_on_both_sides() {
    is_spoken(Mechanism::Sha1, "user", "pencil", SHA1, 4096);
    is_spoken(Mechanism::Sha256, "user", "pencil", SHA256, 4096);
}

#[test]
fn what_a_real_node_said_is_spoken_on_both_sides() {
    for mechanism in Mechanism::ALL {
        let captured = captured(mechanism);
        let messages = [&captured[0][..], &captured[1], &captured[2], &captured[3]];
        is_spoken(mechanism, "Administrator", "password", messages, 4000);
    }
}

const MORE: &str = "theirs";

fn verifier(password: &str) -> Verifier {
    Verifier::new(Mechanism::Sha256, password.as_bytes(), b"salt", 1000)
}

/// A node that waits for the proof of `user`, and the challenge for its client.
fn challenged(
    user: &str,
    password: &'static str,
    more: &str,
) -> (Client<'static>, String, Challenged) {
    let client = Client::new(Mechanism::Sha256, user, password.as_bytes(), "ours");
    let begun = Server::begin(Mechanism::Sha256, client.first().as_bytes()).unwrap();
    let (challenge, challenged) = begun.challenge(b"salt", 1000, more);
    (client, challenge, challenged)
}

#[test]
fn a_proof_fits_its_own_challenge_alone() {
    let (client, challenge, node) = challenged("user", "secret", MORE);
    let (proof, _) = client.prove(challenge.as_bytes()).unwrap();
    let check = |node: &Challenged, proof: &str| node.check(&verifier("secret"), proof.as_bytes());
    check(&node, &proof).unwrap();
    // Replayed: the node's part of the nonce is another one.
    let (_, _, later) = challenged("user", "secret", "others");
    assert_eq!(check(&later, &proof), Err(WrongProof::DoesNotFit));
    // Cut off, by whole quanta of base64, and by less.
    for (cut, is_form) in [(4, true), (8, true), (1, false), (2, false)] {
        let error = check(&node, &proof[..proof.len() - cut]).unwrap_err();
        assert_eq!(error == WrongProof::DoesNotFit, is_form, "{cut}: {error}");
    }
    let (other_user, _, _) = challenged("users", "secret", MORE);
    let (other, _) = other_user.prove(challenge.as_bytes()).unwrap();
    assert_eq!(check(&node, &other), Err(WrongProof::DoesNotFit));
    // Another salt, another mechanism.
    let salted = Verifier::new(Mechanism::Sha256, b"secret", b"sugar", 1000);
    assert_eq!(node.check(&salted, proof.as_bytes()), Err(WrongProof::DoesNotFit));
    let sha1 = Verifier::new(Mechanism::Sha1, b"secret", b"salt", 1000);
    assert_eq!(node.check(&sha1, proof.as_bytes()), Err(WrongProof::DoesNotFit));
}

/// kv_engine takes it, frame 65 of capture 09; the RFC says that a node must not.
#[test]
fn another_nonce_in_the_second_step_is_refused_with_the_right_password_too() {
    let (client, challenge, node) = challenged("user", "secret", MORE);
    let other = challenge.replace("theirs", "others");
    let (proof, _) = client.prove(other.as_bytes()).unwrap();
    // A node that heard the same messages would take it.
    let (_, _, twin) = challenged("user", "secret", "others");
    twin.check(&verifier("secret"), proof.as_bytes()).unwrap();
    assert_eq!(node.check(&verifier("secret"), proof.as_bytes()), Err(WrongProof::DoesNotFit));
}

#[test]
fn a_client_believes_its_own_node_alone() {
    let prove = |challenge: &str| {
        Client::new(Mechanism::Sha256, "user", b"secret", "ours").prove(challenge.as_bytes())
    };
    let error = |challenge| prove(challenge).map(drop).unwrap_err();
    assert_eq!(error("r=theirs,s=c2FsdA==,i=4096"), ClientError::OtherNonce);
    assert_eq!(error("r=ours,s=c2FsdA==,i=4096"), ClientError::OtherNonce);
    assert_eq!(error("r=ours1,s=c2FsdA==,i=999"), ClientError::Iterations(999));
    let many = format!("r=ours1,s=c2FsdA==,i={}", ITERATIONS_MAX + 1);
    assert_eq!(error(&many), ClientError::Iterations(ITERATIONS_MAX + 1));
    assert!(matches!(error("m=x,r=ours1,s=c2FsdA==,i=4096"), ClientError::Malformed(_)));
    assert!(matches!(error("r=ours1,s=c2FsdA==,i=99999999999"), ClientError::Malformed(_)));
    let proven = || prove("r=ours1,s=c2FsdA==,i=4096").unwrap().1;
    assert_eq!(proven().accept(b"v=AAAA"), Err(ClientError::NotTheNode));
    let wrong = format!("v={}=", "A".repeat(43));
    assert_eq!(proven().accept(wrong.as_bytes()), Err(ClientError::NotTheNode));
    assert_eq!(
        proven().accept(b"e=other-error"),
        Err(ClientError::Refused("other-error".to_owned()))
    );
    assert!(matches!(proven().accept(b""), Err(ClientError::Malformed(_))));
}

proptest! {
    // Each derives keys.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever user and password: both sides agree, and nobody else gets in.
    #[test]
    fn both_sides_agree(user in "\\PC{1,20}", password in "\\PC{0,20}", other in "\\PC{0,20}") {
        let mechanism = Mechanism::Sha256;
        for tried in [&password, &other] {
            let client = Client::new(mechanism, &user, tried.as_bytes(), "ours");
            let begun = Server::begin(mechanism, client.first().as_bytes()).unwrap();
            prop_assert_eq!(begun.user(), &user);
            let (challenge, node) = begun.challenge(b"salt", 1000, MORE);
            let (proof, proven) = client.prove(challenge.as_bytes()).unwrap();
            match node.check(&verifier(&password), proof.as_bytes()) {
                Ok(signed) => {
                    prop_assert_eq!(tried, &password);
                    proven.accept(signed.as_bytes()).unwrap();
                }
                Err(_) => prop_assert_ne!(tried, &password),
            }
        }
    }

    /// No message makes either side panic, and no altered proof fits.
    #[test]
    fn hostile_messages_are_refused(bytes: Vec<u8>, at in 0..100_usize, bit in 0..8_u8) {
        _ = Server::begin(Mechanism::Sha1, &bytes);
        let (client, challenge, node) = challenged("user", "secret", MORE);
        prop_assert!(node.check(&verifier("secret"), &bytes).is_err());
        prop_assert!(Client::new(Mechanism::Sha1, "u", b"p", "n").prove(&bytes).is_err());
        let (proof, proven) = client.prove(challenge.as_bytes()).unwrap();
        prop_assert!(proven.accept(&bytes).is_err());
        let mut altered = proof.into_bytes();
        let at = at % altered.len();
        altered[at] ^= 1 << bit;
        prop_assert!(node.check(&verifier("secret"), &altered).is_err());
    }
}
