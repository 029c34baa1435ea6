//! Holds a file against the tables of [`super::keys`]: names, types, bounds and missing keys, each with its place.

use super::config::table;
use super::json::{Member, Node, Value};
use super::problem::Problem;
use super::shape::{Absent, ConfigScope, Kind, Shape};
use super::units::{Bytes, Millis, Shift, parse_partition};
use crate::base::nearest::hint;

/// Everything that is wrong with the form of `node`, which should be a `shape`.
pub(super) fn problems(node: &Node, shape: &Shape) -> Vec<Problem> {
    let mut reader = Reader { problems: Vec::new() };
    reader.object(node, shape, "");
    reader.problems
}

/// What a person calls the place `path`.
fn place(path: &str) -> &str {
    if path.is_empty() { "the scenario" } else { path }
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn complain(&mut self, at: super::json::Position, text: String) {
        self.problems.push(Problem { at, text });
    }

    fn mismatch(&mut self, node: &Node, kind: &Kind, path: &str) {
        let found = match &node.value {
            Value::Number(n) => n.to_string(),
            Value::Text(t) => format!("{t:?}"),
            _ => node.kind().to_owned(),
        };
        self.complain(node.at, format!("{}: expected {}, found {found}", place(path), kind.wanted()));
    }

    fn object(&mut self, node: &Node, shape: &Shape, path: &str) {
        let Value::Object(members) = &node.value else {
            let text = format!("{}: expected an object ({}), found {}", place(path), shape.name, node.kind());
            return self.complain(node.at, text);
        };
        for member in members {
            match shape.keys.iter().find(|key| key.name == member.key) {
                Some(key) => self.value(&member.node, &key.kind, &join(path, &member.key)),
                None => {
                    let near = hint(&member.key, shape.keys.iter().map(|key| key.name));
                    self.complain(member.key_at, format!("unknown key {:?} in {}; {near}", member.key, place(path)));
                }
            }
        }
        for key in shape.keys {
            if matches!(key.absent, Absent::Refused) && node.member(key.name).is_none() {
                self.complain(node.at, format!("{}: key {:?} is missing", place(path), key.name));
            }
        }
        for names in shape.exactly_one {
            self.exactly_one(node, members, (shape, names), path);
        }
    }

    fn exactly_one(&mut self, node: &Node, members: &[Member], (shape, names): (&Shape, &[&str]), path: &str) {
        let mut given = members.iter().filter(|m| names.contains(&m.key.as_str()));
        let unknown = members.iter().any(|m| shape.keys.iter().all(|key| key.name != m.key));
        match (given.next(), given.next()) {
            // An unknown key was most likely meant to be it, and has been named already.
            (None, _) if unknown => {}
            (None, _) => {
                let text = format!("{}: one of {} is missing", place(path), names.join(", "));
                self.complain(node.at, text);
            }
            (Some(first), Some(second)) => {
                let text = format!("{}: {:?} cannot stand beside {:?}", place(path), second.key, first.key);
                self.complain(second.key_at, text);
            }
            (Some(_), None) => {}
        }
    }

    fn value(&mut self, node: &Node, kind: &Kind, path: &str) {
        match (kind, &node.value) {
            (Kind::Object(shape), _) => self.object(node, shape, path),
            (Kind::List(of, low, high), Value::List(items)) if (*low..=*high).contains(&items.len()) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(item, of, &format!("{path}[{i}]"));
                }
            }
            (Kind::Config(scope), Value::Object(entries)) => self.config(entries, *scope, path),
            (Kind::BrokerConfig, Value::Object(brokers)) => self.broker_config(brokers, path),
            (Kind::Map(of), Value::Object(entries)) => self.map(entries, of, path),
            (Kind::OneOf(kinds), _) => match kinds.iter().find(|kind| same_type(kind, node)) {
                Some(kind) => self.value(node, kind, path),
                None => self.mismatch(node, kind, path),
            },
            (Kind::Choice(words), Value::Text(word)) if !words.contains(&word.as_str()) => {
                let near = hint(word, words.iter().copied());
                self.complain(node.at, format!("{}: {word:?} is not known; {near}", place(path)));
            }
            (_, Value::Text(text)) => match scalar(kind, text) {
                Ok(true) => {}
                Ok(false) => self.mismatch(node, kind, path),
                Err(error) => self.complain(node.at, format!("{}: {error}", place(path))),
            },
            (Kind::Integer(low, high), Value::Number(n)) if n.as_i64().is_some_and(|n| *low <= n && n <= *high) => {}
            (Kind::Number(low, high), Value::Number(n)) if n.as_f64().is_some_and(|n| *low <= n && n <= *high) => {}
            (Kind::Bool, Value::Bool(_)) => {}
            _ => self.mismatch(node, kind, path),
        }
    }

    fn map(&mut self, entries: &[Member], of: &Kind, path: &str) {
        for entry in entries {
            if is_name(&entry.key) {
                self.value(&entry.node, of, &join(path, &entry.key));
            } else {
                let wanted = Kind::Name.wanted();
                self.complain(entry.key_at, format!("{path}: expected {wanted}, found {:?}", entry.key));
            }
        }
    }

    fn config(&mut self, entries: &[Member], scope: ConfigScope, path: &str) {
        for entry in entries {
            let table = table(scope);
            let judged = match &entry.node.value {
                Value::Text(text) => table.verify(&entry.key, text),
                Value::Bool(b) => table.verify(&entry.key, &b.to_string()),
                Value::Number(n) => table.verify(&entry.key, &n.to_string()),
                Value::Null if scope == ConfigScope::Dynamic => table.verify_key(&entry.key),
                _ => {
                    let or_null = if scope == ConfigScope::Dynamic { ", or null to delete the entry" } else { "" };
                    let text = format!("{path}: {:?} takes text, a number or a boolean{or_null}", entry.key);
                    self.complain(entry.node.at, text);
                    continue;
                }
            };
            let at = if table.knows(&entry.key) { entry.node.at } else { entry.key_at };
            if let Err(error) = judged {
                self.complain(at, format!("{path}: {error}"));
            }
        }
    }

    fn broker_config(&mut self, brokers: &[Member], path: &str) {
        for broker in brokers {
            if broker.key.parse::<i32>().is_ok_and(|id| id > 0 && id.to_string() == broker.key) {
                let path = join(path, &broker.key);
                self.value(&broker.node, &Kind::Config(ConfigScope::Broker), &path);
            } else {
                self.complain(broker.key_at, format!("{path}: {:?} is not a broker's id", broker.key));
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Whether text is of a kind; an error says it better than the kind's general wish.
fn scalar(kind: &Kind, text: &str) -> Result<bool, String> {
    match kind {
        Kind::Text | Kind::Choice(_) => Ok(true),
        Kind::Name => Ok(is_name(text)),
        Kind::Time => text.parse::<Millis>().map(|_| true),
        Kind::Shift => text.parse::<Shift>().map(|_| true),
        Kind::Size => text.parse::<Bytes>().map(|_| true),
        Kind::Partition => parse_partition(text).map(|_| true),
        _ => Ok(false),
    }
}

/// Kafka's rule for topic names (`Topic.validate`), which also makes a safe file name.
fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !matches!(text, "" | "." | "..") && text.len() <= 249 && text.chars().all(legal)
}

/// True if the JSON type of `node` is the one that `kind` is written with.
fn same_type(kind: &Kind, node: &Node) -> bool {
    match kind {
        Kind::Text | Kind::Name | Kind::Time | Kind::Shift | Kind::Size | Kind::Partition | Kind::Choice(_) => {
            matches!(node.value, Value::Text(_))
        }
        Kind::Bool => matches!(node.value, Value::Bool(_)),
        Kind::Integer(..) | Kind::Number(..) => matches!(node.value, Value::Number(_)),
        Kind::Object(_) | Kind::Config(_) | Kind::BrokerConfig | Kind::Map(_) => matches!(node.value, Value::Object(_)),
        Kind::List(..) => matches!(node.value, Value::List(_)),
        Kind::OneOf(kinds) => kinds.iter().any(|kind| same_type(kind, node)),
    }
}
