//! Properties that hold for every input, as functions that panic where they do not.
//!
//! Shared by the fuzz target, its corpus and the property tests. No part of the programs calls
//! them.
#![allow(clippy::missing_panics_doc, reason = "see above")]

use crate::message::ServerFirst;
use crate::{Client, ITERATIONS_MIN, Mechanism, Server, Verifier};

const SALT: &[u8] = b"salt";
const MORE: &str = "more";
const PASSWORD: &[u8] = b"pencil";

/// A byte that says what the rest is: of which mechanism, and which message.
pub fn login(input: &[u8]) {
    let Some((choice, message)) = input.split_first() else { return };
    let mechanism = match choice % 3 {
        0 => Mechanism::Sha1,
        1 => Mechanism::Sha256,
        _ => Mechanism::Sha512,
    };
    match choice / 3 % 4 {
        0 => first(mechanism, message),
        1 => last(mechanism, message),
        2 => challenge(mechanism, message),
        _ => signature(mechanism, message),
    }
}

/// What a node accepts as a client's first message gets a challenge that a client understands, and
/// the name in it survives.
fn first(mechanism: Mechanism, message: &[u8]) {
    let Ok(begun) = Server::begin(mechanism, message) else { return };
    let user = begun.user().to_owned();
    assert!(!user.is_empty() && !user.contains('\0'), "{user:?}");
    let (text, challenged) = begun.challenge(SALT, ITERATIONS_MIN, MORE);
    assert_eq!(challenged.user(), user);
    let read = ServerFirst::parse(text.as_bytes()).map(|it| (it.salt, it.iterations));
    // The challenge repeats the nonce, and may be too long with it.
    assert!(read.is_err() || read == Ok((SALT.to_vec(), ITERATIONS_MIN)), "{text}");
    let again = Client::new(mechanism, &user, PASSWORD, "nonce").first();
    let again = Server::begin(mechanism, again.as_bytes()).map(|it| it.user().to_owned());
    assert!(again.is_err() || again == Ok(user), "{again:?}");
}

/// Nobody logs in without the password.
fn last(mechanism: Mechanism, message: &[u8]) {
    let verifier = Verifier::new(mechanism, PASSWORD, SALT, 1);
    let Ok(begun) = Server::begin(mechanism, b"n,,n=user,r=nonce") else { return };
    let (_, challenged) = begun.challenge(SALT, 1, MORE);
    assert!(challenged.check(&verifier, message).is_err(), "{}", message.escape_ascii());
}

/// A client proves its password to whoever continues its nonce, for a bounded time.
fn challenge(mechanism: Mechanism, message: &[u8]) {
    let iterations = ServerFirst::parse(message).map_or(0, |it| it.iterations);
    if iterations > ITERATIONS_MIN {
        return;
    }
    let proof = Client::new(mechanism, "user", PASSWORD, "nonce").prove(message);
    if let Ok((text, _)) = proof {
        assert!(message.starts_with(b"r=nonce"), "{}", message.escape_ascii());
        assert!(text.starts_with("c=biws,r=nonce") && text.contains(",p="), "{text}");
    }
}

/// No node is believed that does not know the password.
fn signature(mechanism: Mechanism, message: &[u8]) {
    let client = Client::new(mechanism, "user", PASSWORD, "nonce");
    let challenge = format!("r=nonce{MORE},s=c2FsdA==,i={ITERATIONS_MIN}");
    let Ok((_, proven)) = client.prove(challenge.as_bytes()) else { return };
    assert!(proven.accept(message).is_err(), "{}", message.escape_ascii());
}
