//! "Did you mean": the valid word nearest to a wrong one.

/// A hint for whoever wrote `wrong` where one of `valid` belongs: the nearest word, or all of them if none is near.
#[must_use]
pub fn hint<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    let near = valid.iter().map(|word| (distance(wrong, word), *word)).min();
    match near {
        Some((distance, word)) if distance <= (wrong.chars().count() / 3).max(2) => format!("did you mean {word:?}?"),
        Some((_, word)) if valid.len() > 12 => format!("the nearest is {word:?}"),
        Some(_) => format!("there is {}", valid.join(", ")),
        None => "there is none".into(),
    }
}

/// Edits (insert, delete, replace, swap of neighbours) between two words: the optimal string alignment distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut older = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(older[j - 2] + 1);
            }
        }
        older = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keys_costs_one() {
        for (a, b, edits) in [("brokers", "borkers", 1), ("rate", "rat", 1), ("acks", "acks", 0), ("", "abc", 3)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn a_near_word_is_offered_and_otherwise_all_of_them() {
        assert_eq!(
            hint("relpication-factor", ["partitions", "replication-factor"]),
            r#"did you mean "replication-factor"?"#
        );
        assert_eq!(hint("colour", ["name", "story"]), "there is name, story");
        assert_eq!(hint("x", []), "there is none");
    }
}
