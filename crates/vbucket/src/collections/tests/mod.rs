//! Tests of the rules of collections: what real nodes did, odd manifests, random and hostile input.

mod events;
mod hostile;
mod known;
mod manifests;
mod odd;
mod random;
