//! The command line of the program `kvnode`: a data node alone.
//!
//! Exit codes: 0 stopped cleanly, 1 failed, 2 wrong usage or configuration.
//!
//! - `schema`: the table of settings; `raw`: the file as written
//! - `arguments`, `file`: the command line and the file; `values`: values that both have
//! - `configuration`: the two together; `initial_state`: that of a folder
//! - `log`: where log lines go; `run`: the program; `tell`: what the service manager hears
//! - `reload`: what SIGHUP and a change of the file do; `changes`: what they change
//! - `written`: what the file says to clients of the node

mod arguments;
mod changes;
mod configuration;
mod file;
mod initial_state;
mod log;
mod raw;
mod reload;
mod run;
mod schema;
mod tell;
#[cfg(test)]
mod tests;
mod values;
mod written;

pub use arguments::Arguments;
pub use run::run;
pub use schema::reference;
pub use values::password;
pub use written::{Written, written};
