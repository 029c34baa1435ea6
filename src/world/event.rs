//! What the records of a workload say to the application that processes them, and records that it cannot process.
//!
//! A record begins with the value that it carries (see [`Value::encode`]); what follows is padding, or the event as JSON
//! with an `amount`.

use super::history::Value;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// It should be JSON and is not.
    MalformedJson,
    /// It is JSON, but a field holds what the handler does not take.
    HandlerError,
}

impl Poison {
    /// The bytes of a spoilt record that carries `value`.
    #[must_use]
    pub fn encode(self, value: Value) -> Vec<u8> {
        let mut bytes = value.encode(0);
        bytes.extend_from_slice(match self {
            Self::MalformedJson => b"{\"amount\": 1, ",
            Self::HandlerError => b"{\"amount\": \"a lot\"}",
        });
        bytes
    }
}

/// Why a record cannot be processed, in the words of whoever met it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unprocessable {
    /// The record does not say which event it is.
    #[error("the record carries no event")]
    Nothing,
    /// The event is no JSON.
    #[error("malformed JSON: {0}")]
    Malformed(String),
    /// The handler does not take the amount.
    #[error("the amount is {0}, not a number")]
    Amount(String),
}

/// Reads a record as an application does.
///
/// # Errors
/// Why it cannot be processed.
pub fn parse(record: Option<&[u8]>) -> Result<Value, Unprocessable> {
    let bytes = record.ok_or(Unprocessable::Nothing)?;
    let value = Value::decode(bytes).ok_or(Unprocessable::Nothing)?;
    let body = bytes.splitn(2, |b| *b == b';').nth(1).unwrap_or_default();
    if body.iter().all(|b| *b == b'.') {
        return Ok(value);
    }
    let event: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| Unprocessable::Malformed(error.to_string()))?;
    match event.get("amount") {
        Some(amount) if amount.is_number() => Ok(value),
        Some(amount) => Err(Unprocessable::Amount(amount.to_string())),
        None => Err(Unprocessable::Amount("missing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: Value = Value { writer: 2, seq: 100 };

    #[test]
    fn what_writers_write_can_be_processed() {
        for size in [0, 16, 100] {
            assert_eq!(parse(Some(&VALUE.encode(size))), Ok(VALUE));
        }
        assert_eq!(parse(Some(b"w2:100;{\"amount\": 3}")), Ok(VALUE));
    }

    #[test]
    fn poison_cannot_and_says_why() {
        let why = |poison: Poison| parse(Some(&poison.encode(VALUE))).expect_err("poison").to_string();
        assert_eq!(why(Poison::MalformedJson), "malformed JSON: EOF while parsing a value at line 1 column 14");
        assert_eq!(why(Poison::HandlerError), "the amount is \"a lot\", not a number");
        assert_eq!(parse(None), Err(Unprocessable::Nothing));
        assert_eq!(parse(Some(b"junk")), Err(Unprocessable::Nothing));
    }

    #[test]
    fn a_spoilt_record_still_carries_its_value() {
        for poison in [Poison::MalformedJson, Poison::HandlerError] {
            assert_eq!(Value::decode(&poison.encode(VALUE)), Some(VALUE));
        }
    }
}
