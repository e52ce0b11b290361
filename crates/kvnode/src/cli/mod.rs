//! The command line of the program `kvnode`: a data node alone.
//!
//! Exit codes: 0 stopped cleanly, 1 failed, 2 wrong usage or configuration.
//!
//! - `arguments`, `file`: what a person writes; `values`: the forms of both
//! - `configuration`: the two together; `run`: the program

mod arguments;
mod configuration;
mod file;
mod run;
#[cfg(test)]
mod tests;
mod values;

pub use run::main;
