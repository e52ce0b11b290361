//! Log lines: one event in a few words, then fields.
//!
//! A message is `words of the event key=value key="quoted value"`. A value that is free text, such
//! as a name that a peer gave or the text of an error, is written with [`value`], so that it cannot
//! end its quotes, forge a field or a line, or control a terminal. The same event has the same
//! words everywhere: [`LogLimiter`] counts by them.
//!
//! ```
//! let user = "a\" level=ERROR\n\u{1b}[2J";
//! let line = format!("authentication failed user={}", logline::value(user));
//! assert_eq!(line, r#"authentication failed user="a\" level=ERROR\n\u001b[2J""#);
//! ```

mod fields;
mod limiter;
mod text;

pub use fields::{Field, split};
pub use limiter::{Limit, LogLimiter};
pub use text::{Value, capped, is_bare, push_escaped, value};
