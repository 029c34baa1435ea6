//! What commands print in common.

use std::io;

use serde_json::Value;

use super::{Streams, WRONG};

/// Prints one JSON document and a newline.
pub(super) fn document(streams: &mut Streams<'_>, document: &Value) -> io::Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    writeln!(streams.out, "{text}")
}

/// Says what is wrong with command line or files; nothing ran.
pub(super) fn refuse(streams: &mut Streams<'_>, complaint: &str) -> io::Result<u8> {
    writeln!(streams.err, "{complaint}")?;
    Ok(WRONG)
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
