//! Which replicas a topic throttles (KIP-73; Kafka's `ThrottledReplicaListValidator`, `TopicConfigHandler`): `*` for all,
//! or pairs `PARTITION:BROKER` with commas between them.

use crate::base::BrokerId;

/// Every replica.
const ALL: &str = "*";

/// True if the text is such a list. It may be empty, and so may places between commas.
#[must_use]
pub fn is_list(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let pair =
        |entry: &str| entry.split_once(':').is_some_and(|(partition, broker)| digits(partition) && digits(broker));
    text.trim() == ALL || text.split(',').map(str::trim).all(|entry| entry.is_empty() || pair(entry))
}

/// True if the list names the replica of that partition on that broker.
#[must_use]
pub fn names(list: &str, partition: i32, broker: BrokerId) -> bool {
    let same = |entry: &str| {
        let pair = entry.trim().split_once(':').map(|(p, b)| (p.parse(), b.parse()));
        pair == Some((Ok(partition), Ok(broker.0)))
    };
    list.trim() == ALL || list.split(',').any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_from_what_is_none() {
        for list in ["", " ", "*", " * ", "0:1", "0:1,1:2", " 0:1 , 12:345 ", "0:1,,1:1", "0:1,", "99999999999:1"] {
            assert!(is_list(list), "{list:?}");
        }
        for text in ["all", "0", "0:", ":1", "0:1:2", "a:1", "-1:1", "+1:1", "*,0:1", "0:1 1:2", "0:*", "**"] {
            assert!(!is_list(text), "{text:?}");
        }
    }

    #[test]
    fn a_replica_is_named_by_partition_and_broker_together() {
        assert!(names("0:1,12:3", 12, BrokerId(3)) && names(" 0:1 , 12:3 ", 0, BrokerId(1)));
        assert!(!names("0:1,12:3", 12, BrokerId(1)) && !names("0:1,12:3", 3, BrokerId(12)));
        assert!(!names("2:1", 12, BrokerId(1)), "the end of a number is no number");
        assert!(names("*", 7, BrokerId(9)) && !names("", 0, BrokerId(1)));
        assert!(!names("99999999999:1", 0, BrokerId(1)), "there is no such partition");
    }
}
