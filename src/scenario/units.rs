//! Values with units as a person writes them: times (`"1500ms"`, `"10s"`, `"2m"`, `"1h"`), sizes (`"100"`, `"1KiB"`),
//! partitions (`"UserEvents-0"`) and two-sided bounds (`["6s", "11s"]`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::TopicPartition;

/// A span or a moment of simulated time, in milliseconds; moments count from the start of the chaos phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// Milliseconds of each unit, the largest first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Bytes of each unit, the largest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Millis {
    /// So many whole seconds.
    #[must_use]
    pub const fn secs(s: u64) -> Self {
        Self(s * 1_000)
    }
    /// The same span for the standard library.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Millis {
    /// The largest of `h`, `s` and `ms` that leaves a whole number: `70s`, `1500ms`, `1h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n % 3_600_000 == 0 => write!(f, "{}h", n / 3_600_000),
            n if n % 1_000 == 0 => write!(f, "{}s", n / 1_000),
            n => write!(f, "{n}ms"),
        }
    }
}

impl FromStr for Millis {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, &TIMES)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a time; write a whole number with ms, s, m or h, like \"10s\""))
    }
}

/// A span of time with its direction, in milliseconds: `"5s"` forward, `"-5s"` backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shift(pub i64);

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Millis(self.0.unsigned_abs()))
    }
}

impl FromStr for Shift {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (sign, span) = text.strip_prefix('-').map_or((1, text), |span| (-1, span));
        let ms = with_unit(span, &TIMES).and_then(|ms| i64::try_from(ms).ok());
        ms.map(|ms| Self(sign * ms))
            .ok_or_else(|| format!("{text:?} is not a time; write a whole number with ms, s, m or h, like \"-5s\""))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    /// The largest unit that leaves a whole number: `100B`, `1KiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, bytes) =
            SIZES.into_iter().find(|(_, n)| self.0 > 0 && self.0.is_multiple_of(*n)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, &SIZES).map(Self).ok_or_else(|| {
            format!("{text:?} is not a size; write a whole number with B, KiB, MiB or GiB, like \"1KiB\"")
        })
    }
}

/// `12unit` as a number in the smallest unit; `None` if it is anything else or too large.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
as_text!(Millis Shift Bytes);

/// A two-sided bound, both ends included; written `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between<T>(pub T, pub T);

impl<T: PartialOrd> Between<T> {
    /// True if `value` lies inside the bound.
    pub fn holds(&self, value: &T) -> bool {
        self.0 <= *value && *value <= self.1
    }
}

impl<T: fmt::Display> fmt::Display for Between<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.0, self.1)
    }
}

/// Reads a partition's name: the topic, a hyphen, the index. The topic's name may hold hyphens itself.
///
/// # Errors
/// Text without a hyphen or without an index after the last one.
pub fn parse_partition(text: &str) -> Result<TopicPartition, String> {
    text.rsplit_once('-')
        .filter(|(topic, index)| !topic.is_empty() && index.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|(topic, index)| Some(TopicPartition::new(topic, index.parse().ok()?)))
        .ok_or_else(|| format!("{text:?} is not a partition; write topic and index, like \"UserEvents-0\""))
}

/// Serde for fields that name a partition as `UserEvents-0`.
pub mod partition_name {
    use super::{Deserialize, Deserializer, Serializer, TopicPartition, de, parse_partition};

    /// Writes the name.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(tp: &TopicPartition, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(tp)
    }
    /// Reads the name.
    ///
    /// # Errors
    /// Text that names no partition.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TopicPartition, D::Error> {
        parse_partition(&String::deserialize(d)?).map_err(de::Error::custom)
    }

    /// The same for fields that may be left out.
    pub mod option {
        use super::{Deserialize, Deserializer, Serializer, TopicPartition, de, parse_partition};

        /// Writes the name, if there is one.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(tp: &Option<TopicPartition>, s: S) -> Result<S::Ok, S::Error> {
            match tp {
                Some(tp) => s.collect_str(tp),
                None => s.serialize_none(),
            }
        }
        /// Reads the name, if there is one.
        ///
        /// # Errors
        /// Text that names no partition.
        pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<TopicPartition>, D::Error> {
            let name = Option::<String>::deserialize(d)?;
            name.map(|name| parse_partition(&name).map_err(de::Error::custom)).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_in_every_unit_and_written_in_the_plainest() {
        for (text, ms, shown) in
            [("1500ms", 1_500, "1500ms"), ("10s", 10_000, "10s"), ("2m", 120_000, "120s"), ("1h", 3_600_000, "1h")]
        {
            let time: Millis = text.parse().unwrap();
            assert_eq!((time.0, time.to_string().as_str()), (ms, shown));
        }
        assert_eq!("1KiB".parse(), Ok(Bytes(1_024)));
        assert_eq!(Bytes(100).to_string().parse(), Ok(Bytes(100)));
        assert_eq!(Millis(0).to_string().parse(), Ok(Millis(0)));
        assert_eq!(Bytes(0).to_string().parse(), Ok(Bytes(0)));
    }

    #[test]
    fn a_shift_has_a_direction() {
        for (text, ms) in [("5s", 5_000), ("-5s", -5_000), ("-1500ms", -1_500)] {
            let shift: Shift = text.parse().unwrap();
            assert_eq!((shift.0, shift.to_string().as_str()), (ms, text));
        }
        for text in ["--5s", "-5", "- 5s", "+5s"] {
            assert!(text.parse::<Shift>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_or_past_the_range_is_refused() {
        for text in ["10", "s", "", "10 s", "-1s", "1.5s", "10sec", "99999999999999999999s", "18446744073709551615h"] {
            assert!(text.parse::<Millis>().is_err(), "{text}");
        }
        assert!("1kb".parse::<Bytes>().is_err());
    }

    #[test]
    fn a_partition_is_named_by_what_follows_the_last_hyphen() {
        assert_eq!(parse_partition("us-orders-12"), Ok(TopicPartition::new("us-orders", 12)));
        for bad in ["orders", "orders-", "-1", "orders--1x", "orders-99999999999"] {
            assert!(parse_partition(bad).is_err(), "{bad}");
        }
    }
}
