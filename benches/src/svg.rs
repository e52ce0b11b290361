//! The pieces of a diagram that all programs draw.

use std::fmt::{self, Write as _};

/// Begins a diagram of this size, in pixels, on white.
///
/// # Errors
/// None, because it writes to a string.
pub fn begin(out: &mut String, (width, height): (f64, f64), font: u8) -> fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"{font}\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>"
    )
}

/// Adds a line of text that begins at a place.
///
/// # Errors
/// As [`begin`].
pub fn text(out: &mut String, x: f64, y: f64, text: &str) -> fmt::Result {
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")
}
