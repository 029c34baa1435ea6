//! What an object of a scenario file may hold, as data: the reader, the hints and the JSON Schema are read from it.

/// An object: its keys and what must hold among them.
pub struct Shape {
    /// Names the shape in the schema.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// Every key that it may have.
    pub keys: &'static [Key],
    /// Of the keys of each of these lists exactly one must be there.
    pub exactly_one: &'static [&'static [&'static str]],
}

/// A key of an object.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What it holds if it is left out.
    pub absent: Absent,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

/// What a key holds that is left out.
#[derive(Clone, Copy)]
pub enum Absent {
    /// It may not be left out.
    Refused,
    /// Nothing.
    Nothing,
    /// This value, as JSON text.
    Default(&'static str),
}

/// What a value may be.
pub enum Kind {
    /// Any text.
    Text,
    /// A name of letters, digits, dots, underscores and hyphens, as Kafka has them for topics.
    Name,
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds, both included.
    Integer(i64, i64),
    /// Any number within bounds, both included.
    Number(f64, f64),
    /// A time with its unit.
    Time,
    /// A time with its unit and perhaps a minus.
    Shift,
    /// A size with its unit.
    Size,
    /// A partition, like `UserEvents-0`.
    Partition,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An object of this shape.
    Object(&'static Shape),
    /// A list of so many (at least, at most) of this.
    List(&'static Kind, usize, usize),
    /// Kafka configuration of this sort: keys with text, numbers or booleans.
    Config(ConfigScope),
    /// An object with broker ids as keys and broker configuration as values.
    BrokerConfig,
    /// An object with free names as keys and this as their values.
    Map(&'static Kind),
    /// Any of these; they must differ in their JSON type.
    OneOf(&'static [Kind]),
}

/// Whose configuration an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigScope {
    /// A broker's.
    Broker,
    /// A topic's.
    Topic,
    /// What topics or brokers can be given while they run.
    Dynamic,
    /// A producer's.
    Producer,
    /// A consumer's.
    Consumer,
}

impl Kind {
    /// What a person is told to write.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Name => "a name of letters, digits, '.', '_' and '-'".into(),
            Self::Bool => "true or false".into(),
            Self::Integer(low, high) if *high >= i64::from(i32::MAX) => format!("a whole number from {low} up"),
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::Time => "a time like \"10s\"".into(),
            Self::Shift => "a time like \"5s\" or \"-5s\"".into(),
            Self::Size => "a size like \"1KiB\"".into(),
            Self::Partition => "a partition like \"UserEvents-0\"".into(),
            Self::Choice(words) => one_of(words.iter().map(|w| format!("{w:?}")).collect()),
            Self::Object(shape) => format!("an object ({})", shape.name),
            Self::List(of, 2, 2) => format!("a list of two: [low, high], each {}", of.wanted()),
            Self::List(..) => "a list".into(),
            Self::Config(_) => "an object with Kafka's config keys".into(),
            Self::BrokerConfig => "an object with broker ids as keys".into(),
            Self::Map(_) => "an object with names as keys".into(),
            Self::OneOf(kinds) => one_of(kinds.iter().map(Self::wanted).collect()),
        }
    }
}

fn one_of(words: Vec<String>) -> String {
    words.join(" or ")
}
