//! The JSON Schema of scenario files, for editors; made from the tables that also read the files.

use serde_json::{Map, Value, json};

use super::config::table;
use super::keys::SCENARIO;
use super::shape::{Absent, ConfigScope, Key, Kind, Shape};

/// The schema (draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut writer = Writer { definitions: Map::new() };
    let mut root = writer.object(&SCENARIO);
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), "ktrial scenario".into());
    root.insert("$defs".into(), Value::Object(writer.definitions));
    Value::Object(root)
}

struct Writer {
    definitions: Map<String, Value>,
}

impl Writer {
    fn object(&mut self, shape: &Shape) -> Map<String, Value> {
        let properties: Map<String, Value> =
            shape.keys.iter().map(|key| (key.name.to_owned(), self.key(key))).collect();
        let required: Vec<_> =
            shape.keys.iter().filter(|k| matches!(k.absent, Absent::Refused)).map(|k| k.name).collect();
        let mut object = Map::new();
        object.insert("description".into(), shape.doc.into());
        object.insert("type".into(), "object".into());
        object.insert("properties".into(), Value::Object(properties));
        object.insert("required".into(), json!(required));
        object.insert("additionalProperties".into(), false.into());
        let rules = shape.exactly_one.iter().map(|names| {
            let each: Vec<_> = names.iter().map(|name| json!({ "required": [name] })).collect();
            json!({ "oneOf": each })
        });
        let rules: Vec<_> = rules.collect();
        if !rules.is_empty() {
            object.insert("allOf".into(), Value::Array(rules));
        }
        object
    }

    fn key(&mut self, key: &Key) -> Value {
        let mut value = self.kind(&key.kind);
        value.insert("description".into(), key.doc.into());
        if let Absent::Default(text) = key.absent {
            let default: Value = serde_json::from_str(text).expect("defaults in the tables are JSON");
            value.insert("default".into(), default);
        }
        Value::Object(value)
    }

    fn kind(&mut self, kind: &Kind) -> Map<String, Value> {
        let value = match kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Name => json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,249}$" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
            Kind::Number(low, high) => json!({ "type": "number", "minimum": low, "maximum": high }),
            Kind::Time => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" }),
            Kind::Shift => json!({ "type": "string", "pattern": "^-?[0-9]+(ms|s|m|h)$" }),
            Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" }),
            Kind::Partition => json!({ "type": "string", "pattern": "^.+-[0-9]+$" }),
            Kind::Choice(words) => json!({ "type": "string", "enum": words }),
            Kind::Object(shape) => self.reference(shape),
            Kind::List(of, low, high) => self.list(of, *low, *high),
            Kind::Config(scope) => config(*scope),
            Kind::BrokerConfig => json!({
                "type": "object",
                "propertyNames": { "pattern": "^[1-9][0-9]*$" },
                "additionalProperties": config(ConfigScope::Broker),
            }),
            Kind::Map(of) => json!({
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z0-9._-]{1,249}$" },
                "additionalProperties": Value::Object(self.kind(of)),
            }),
            Kind::OneOf(kinds) => {
                let each: Vec<_> = kinds.iter().map(|kind| Value::Object(self.kind(kind))).collect();
                json!({ "anyOf": each })
            }
        };
        match value {
            Value::Object(map) => map,
            other => unreachable!("a schema is an object, not {other}"),
        }
    }

    fn reference(&mut self, shape: &Shape) -> Value {
        if !self.definitions.contains_key(shape.name) {
            let object = self.object(shape);
            self.definitions.insert(shape.name.to_owned(), Value::Object(object));
        }
        json!({ "$ref": format!("#/$defs/{}", shape.name.replace(' ', "%20")) })
    }

    fn list(&mut self, of: &Kind, low: usize, high: usize) -> Value {
        let mut list = json!({ "type": "array", "items": self.kind(of), "minItems": low });
        if high != usize::MAX {
            list["maxItems"] = json!(high);
        }
        list
    }
}

fn config(scope: ConfigScope) -> Value {
    let mut types = vec!["string", "number", "boolean"];
    if scope == ConfigScope::Dynamic {
        types.push("null");
    }
    json!({
        "type": "object",
        "propertyNames": { "enum": (table(scope).keys)() },
        "additionalProperties": { "type": types },
    })
}
