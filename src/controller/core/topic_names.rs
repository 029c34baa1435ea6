//! Which topic names are legal (Kafka's `Topic.validate`).

use crate::controller::image::Image;

/// The longest name, in characters.
const MAX_LENGTH: usize = 249;
/// The metadata log's own name.
pub(super) const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Why no topic may be called `name`; `None` if one may.
pub(super) fn illegal(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("The topic name is empty.".to_owned());
    }
    if name == "." || name == ".." {
        return Some(format!("A topic cannot be called '{name}'."));
    }
    if name.len() > MAX_LENGTH {
        return Some(format!("The topic name is {} characters long; the limit is {MAX_LENGTH}.", name.len()));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!name.chars().all(legal)).then(|| {
        format!("The topic name '{name}' holds a character other than ASCII letters, digits, '.', '_' and '-'.")
    })
}

/// A topic that `name` collides with: metric names cannot tell `.` from `_`.
pub(super) fn colliding(image: &Image, name: &str) -> Option<String> {
    if !name.contains(['.', '_']) {
        return None;
    }
    let unified = name.replace('.', "_");
    let same = |other: &str| other.contains(['.', '_']) && other.replace('.', "_") == unified;
    image.topics().find(|t| same(&t.name)).map(|t| format!("Topic '{name}' collides with existing topic: {}", t.name))
}
