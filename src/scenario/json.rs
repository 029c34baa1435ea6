//! A small JSON reader that remembers where everything stands, so that every complaint can name line and column.
//!
//! It takes exactly RFC 8259 JSON and refuses duplicate keys. Depth is bounded, so that no file can exhaust the stack.

use std::fmt;

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 64;

/// A place in a file, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number(serde_json::Number),
    /// Text without its escapes.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object, in the order of the file.
    Object(Vec<Member>),
}

/// One key of an object and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub key_at: Position,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// The member called `key`, if this is an object that has it.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Member> {
        match &self.value {
            Value::Object(members) => members.iter().find(|m| m.key == key),
            _ => None,
        }
    }
    /// Where the value at `path` (like `topics[0].assignment[1]`) starts, or the nearest value around it that exists.
    #[must_use]
    pub fn locate(&self, path: &str) -> Position {
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        let mut node = self;
        for step in steps {
            let next = match &node.value {
                Value::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => node.member(step).map(|member| &member.node),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.at
    }
    /// What a person calls this kind of value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
    /// The same value without places.
    #[must_use]
    pub fn plain(&self) -> serde_json::Value {
        use serde_json::Value as Plain;
        match &self.value {
            Value::Null => Plain::Null,
            Value::Bool(b) => Plain::Bool(*b),
            Value::Number(n) => Plain::Number(n.clone()),
            Value::Text(t) => Plain::String(t.clone()),
            Value::List(items) => Plain::Array(items.iter().map(Self::plain).collect()),
            Value::Object(members) => Plain::Object(members.iter().map(|m| (m.key.clone(), m.node.plain())).collect()),
        }
    }
}

/// What is wrong with a text that is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub at: Position,
    /// What.
    pub text: String,
}

/// Reads one JSON document.
///
/// # Errors
/// The first place at which the text is no JSON, repeats a key or nests too deep.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader { rest: text, at: Position { line: 1, column: 1 } };
    let node = reader.value(0)?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(node) } else { reader.fail("nothing may follow the document") }
}

struct Reader<'a> {
    rest: &'a str,
    at: Position,
}

impl Reader<'_> {
    fn fail<T>(&self, text: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, text: text.to_owned() })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) {
            self.bump();
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        if depth > MAX_DEPTH {
            return self.fail("nested too deep");
        }
        self.blanks();
        let at = self.at;
        let value = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.text()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z') => self.word()?,
            Some(_) => return self.fail("expected a value"),
            None => return self.fail("the file ends where a value was expected"),
        };
        Ok(Node { at, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.bump();
        let mut members: Vec<Member> = Vec::new();
        self.blanks();
        if self.eat('}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.blanks();
            let key_at = self.at;
            if self.peek() != Some('"') {
                return self.fail("expected a key in double quotes");
            }
            let key = self.text()?;
            if let Some(first) = members.iter().find(|m| m.key == key) {
                let text = format!("key {key:?} was already given at {}", first.key_at);
                return Err(SyntaxError { at: key_at, text });
            }
            self.blanks();
            if !self.eat(':') {
                return self.fail("expected ':' after the key");
            }
            let node = self.value(depth + 1)?;
            members.push(Member { key, key_at, node });
            self.blanks();
            if self.eat('}') {
                return Ok(Value::Object(members));
            }
            if !self.eat(',') {
                return self.fail("expected ',' or '}'");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.bump();
        let mut items = Vec::new();
        self.blanks();
        if self.eat(']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.eat(']') {
                return Ok(Value::List(items));
            }
            if !self.eat(',') {
                return self.fail("expected ',' or ']'");
            }
        }
    }

    /// Finds where the text ends and leaves its escapes to `serde_json`.
    fn text(&mut self) -> Result<String, SyntaxError> {
        let (start, at) = (self.rest, self.at);
        self.bump();
        loop {
            match self.bump() {
                Some('"') => break,
                Some('\\') => {
                    self.bump();
                }
                Some(c) if c < ' ' => return self.fail("text ends with the line; a closing quote is missing"),
                Some(_) => {}
                None => return self.fail("the file ends inside a text"),
            }
        }
        let token = &start[..start.len() - self.rest.len()];
        serde_json::from_str(token).map_err(|_| SyntaxError { at, text: format!("{token} has a bad escape") })
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let (start, at) = (self.rest, self.at);
        while self.peek().is_some_and(|c| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')) {
            self.bump();
        }
        let token = &start[..start.len() - self.rest.len()];
        serde_json::from_str(token)
            .map(Value::Number)
            .map_err(|_| SyntaxError { at, text: format!("{token} is not a JSON number") })
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let (start, at) = (self.rest, self.at);
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
            self.bump();
        }
        match &start[..start.len() - self.rest.len()] {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            other => Err(SyntaxError { at, text: format!("{other:?} is no JSON value; text needs double quotes") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        let e = parse(text).unwrap_err();
        format!("{}: {}", e.at, e.text)
    }

    #[test]
    fn every_value_knows_where_it_stands() {
        let doc = parse("{\n  \"é\": 1, \"b\": [true,\n null]\n}").unwrap();
        let b = doc.member("b").unwrap();
        assert_eq!((b.key_at, b.node.at), (Position { line: 2, column: 11 }, Position { line: 2, column: 16 }));
        let Value::List(items) = &b.node.value else { panic!("not a list") };
        assert_eq!(items[1].at, Position { line: 3, column: 2 });
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_stops_being_json() {
        assert_eq!(error("{\"a\": 1,}"), "1:9: expected a key in double quotes");
        assert_eq!(error("{\"a\" 1}"), "1:6: expected ':' after the key");
        assert_eq!(error("[1\n 2]"), "2:2: expected ',' or ']'");
        assert_eq!(error("{\"a\": 1, \"a\": 2}"), "1:10: key \"a\" was already given at 1:2");
        assert_eq!(error("[yes]"), "1:2: \"yes\" is no JSON value; text needs double quotes");
        assert_eq!(error("[01]"), "1:2: 01 is not a JSON number");
        assert_eq!(error("{} {}"), "1:4: nothing may follow the document");
        assert_eq!(error(""), "1:1: the file ends where a value was expected");
        assert_eq!(error("\"ab"), "1:4: the file ends inside a text");
        assert_eq!(error(&"[".repeat(10_000)), "1:66: nested too deep");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_text_whatever_panics_and_what_parses_agrees_with_serde(text in r#"[\[\]{}",:0-9a-e\\u \ntrue.-]{0,40}"#) {
            if let Ok(node) = parse(&text) {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), node.plain());
            }
        }
    }
}
