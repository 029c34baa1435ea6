//! Reads scalars that a person may write as text, number or boolean alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::{Acks, Config};
use crate::base::BrokerId;

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Self::Bool(b) => b.to_string(),
            Self::Integer(n) => n.to_string(),
            Self::Float(x) => x.to_string(),
            Self::Text(t) => t,
        }
    }
}

fn texts(map: BTreeMap<String, Scalar>) -> Config {
    map.into_iter().map(|(k, v)| (k, v.text())).collect()
}

pub fn config<'de, D: Deserializer<'de>>(d: D) -> Result<Config, D::Error> {
    Ok(texts(BTreeMap::deserialize(d)?))
}

pub fn entries<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, Option<String>>, D::Error> {
    let map = BTreeMap::<String, Option<Scalar>>::deserialize(d)?;
    Ok(map.into_iter().map(|(k, v)| (k, v.map(Scalar::text))).collect())
}

pub fn broker_config<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<BrokerId, Config>, D::Error> {
    let map = BTreeMap::<BrokerId, BTreeMap<String, Scalar>>::deserialize(d)?;
    Ok(map.into_iter().map(|(id, config)| (id, texts(config))).collect())
}

pub fn acks<'de, D: Deserializer<'de>>(d: D) -> Result<Acks, D::Error> {
    match Scalar::deserialize(d)?.text().as_str() {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        other => Err(de::Error::custom(format!("acks {other:?} is not all, 1 or 0"))),
    }
}
