//! SCRAM (RFC 5802) as data nodes speak it, both sides, without I/O, clock or chance.
//!
//! A client proves that it knows a password, and the node proves that it knows what was derived
//! from it; neither sends the password. A node keeps a [`Verifier`], from which nobody can log in
//! elsewhere.
//!
//! ```text
//! Client::first     n,,n=USER,r=NONCE          -> Server::begin
//! Client::prove     <- r=NONCE+MORE,s=SALT,i=N    Begun::challenge
//!                   c=biws,r=NONCE+MORE,p=PROOF -> Challenged::check
//! Proven::accept    <- v=SIGNATURE
//! ```
//!
//! Names of mechanisms have one hyphen (`SCRAM-SHA512`), as kv_engine spells them. There is no
//! channel binding, and passwords are taken as the bytes they are, without SASLprep, as in
//! kv_engine.

#[doc(hidden)]
pub mod check;
mod client;
mod hash;
mod mechanism;
mod message;
mod server;
mod verifier;

pub use client::{Asked, Client, ClientError, Proven, Salted};
pub use mechanism::Mechanism;
pub use server::{Begun, Challenged, Malformed, Server, WrongProof};
pub use verifier::{BadVerifier, Verifier};

/// The fewest iterations that a client accepts: fewer make guessing cheap for whoever hears the
/// conversation. Data nodes are installed with 15,000, and with 4,000 in some tests.
pub const ITERATIONS_MIN: u32 = 1_000;

/// The most iterations that either side takes: a hostile node could keep a client computing
/// otherwise. About half a second of one core.
pub const ITERATIONS_MAX: u32 = 500_000;

/// The iterations of new verifiers, those of kv_engine.
pub const ITERATIONS: u32 = 15_000;

/// The most bytes of a message of either side.
pub const MESSAGE_BYTES_MAX: usize = 4_096;
