//! The walk along a body that refuses every claim which the frame does not cover.
//!
//! A [`Schema`] says where lengths stand. The walk allocates nothing and ends after as many steps as the frame has bytes.

use super::CodecError;
use bytes::{Buf, Bytes};

/// How many array elements and tagged fields one frame may have. An element of two bytes may decode into two hundred, so
/// this bounds what a frame costs to about a fifth of a gigabyte; a cluster of 200,000 partitions stays below it.
pub const MAX_ELEMENTS: usize = 1 << 20;

/// What the bytes of a field look like.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// This many bytes.
    Fixed(usize),
    /// A string: compact in flexible versions, else with a 16-bit length.
    Str,
    /// Bytes or records: compact in flexible versions, else with a 32-bit length.
    Blob,
    /// An array of elements without fields.
    Values(&'static Kind),
    /// An array of structures.
    Structs(&'static [Field]),
    /// One structure.
    Struct(&'static [Field]),
    /// One structure or none: a byte 1 stands before it, any other byte for none.
    Nullable(&'static [Field]),
}

/// A field of a message and the versions that have it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    min: i16,
    max: i16,
    pub(super) tag: Option<u32>,
}

impl Field {
    /// A field that every version has.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, min: 0, max: i16::MAX, tag: None }
    }
    /// Not before this version.
    #[must_use]
    pub const fn since(self, min: i16) -> Self {
        Self { min, ..self }
    }
    /// Not after this version.
    #[must_use]
    pub const fn until(self, max: i16) -> Self {
        Self { max, ..self }
    }
    /// Among the tagged fields, under this tag.
    #[must_use]
    pub const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }
    pub(super) fn is_in(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// Where lengths stand in a message.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// From this version on, lengths are varints and structures end in tagged fields (KIP-482).
    pub flexible: i16,
    /// The fields in their order on the wire, tagged ones anywhere.
    pub fields: &'static [Field],
}

/// Walks `body` along `schema` and returns how many bytes follow the message. Kafka passes over such bytes, and so do we.
///
/// # Errors
/// At the first length that the body does not cover.
pub fn check(schema: &Schema, version: i16, body: &[u8]) -> Result<usize, CodecError> {
    let mut walk = Walk::new(body, version, version >= schema.flexible);
    let walked = walk.fields(schema.fields);
    walk.end(walked)
}

/// Skips the tagged fields of a flexible header.
///
/// # Errors
/// If they exceed the frame.
pub fn skip_tags(frame: &mut Bytes) -> Result<(), CodecError> {
    // Almost every header has none.
    if frame.first() == Some(&0) {
        frame.advance(1);
        return Ok(());
    }
    let mut walk = Walk::new(frame, 0, true);
    let walked = walk.tags(&[]);
    let skipped = frame.len() - walk.end(walked)?;
    frame.advance(skipped);
    Ok(())
}

/// Every step returns `None` at the first false claim and leaves it in `error`: a small result keeps the walk fast.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    budget: usize,
    error: Option<CodecError>,
}

impl<'a> Walk<'a> {
    fn new(body: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { rest: body, version, flexible, budget: MAX_ELEMENTS, error: None }
    }

    /// How many bytes are left, if the walk came through.
    fn end(self, walked: Option<()>) -> Result<usize, CodecError> {
        match (walked, self.error) {
            (Some(()), None) => Ok(self.rest.len()),
            (_, error) => Err(error.expect("a walk that stops says why")),
        }
    }

    #[cold]
    fn fail<T>(&mut self, error: CodecError) -> Option<T> {
        self.error = Some(error);
        None
    }

    fn fields(&mut self, fields: &[Field]) -> Option<()> {
        // Most fields have a fixed size: neighbours among them are skipped in one step.
        let (mut first, mut fixed) = (0, 0);
        for (i, field) in fields.iter().enumerate() {
            if field.tag.is_some() || !field.is_in(self.version) {
                continue;
            }
            if let Kind::Fixed(len) = field.kind {
                fixed += len;
                continue;
            }
            self.skip_fixed(&fields[first..i], fixed)?;
            (first, fixed) = (i + 1, 0);
            self.value(field.name, &field.kind)?;
        }
        self.skip_fixed(&fields[first..], fixed)?;
        match (self.flexible, self.rest) {
            (false, _) => Some(()),
            (true, [0, rest @ ..]) => {
                self.rest = rest;
                Some(())
            }
            (true, _) => self.tags(fields),
        }
    }

    /// Skips the fields of fixed size among these, `len` bytes in all.
    fn skip_fixed(&mut self, fields: &[Field], len: usize) -> Option<()> {
        match self.rest.get(len..) {
            Some(rest) => self.rest = rest,
            None => return self.cut_off(fields),
        }
        Some(())
    }
    /// Finds the field of fixed size in which the frame ends.
    #[cold]
    fn cut_off(&mut self, fields: &[Field]) -> Option<()> {
        let version = self.version;
        for field in fields.iter().filter(|f| f.tag.is_none() && f.is_in(version)) {
            if let Kind::Fixed(len) = field.kind {
                self.skip(field.name, len)?;
            }
        }
        Some(())
    }

    fn value(&mut self, name: &'static str, kind: &Kind) -> Option<()> {
        match *kind {
            Kind::Fixed(len) => self.skip(name, len),
            Kind::Str | Kind::Blob => {
                let claimed = match kind {
                    _ if self.flexible => i64::from(self.varint(name)?) - 1,
                    Kind::Str => i16::from_be_bytes(self.take(name)?).into(),
                    _ => i32::from_be_bytes(self.take(name)?).into(),
                };
                let len = self.covered(name, claimed)?;
                self.rest = &self.rest[len..];
                Some(())
            }
            Kind::Values(of) => {
                let n = self.count(name)?;
                if let Kind::Fixed(len) = *of {
                    return self.skip(name, n.saturating_mul(len));
                }
                (0..n).try_for_each(|_| self.value(name, of))
            }
            Kind::Structs(fields) => {
                let n = self.count(name)?;
                (0..n).try_for_each(|_| self.fields(fields))
            }
            Kind::Struct(fields) => self.fields(fields),
            Kind::Nullable(fields) => match self.take::<1>(name)? {
                [1] => self.fields(fields),
                _ => Some(()),
            },
        }
    }

    /// The tagged fields that end a structure. Known ones are walked, as the codec decodes them instead of skipping them.
    fn tags(&mut self, fields: &[Field]) -> Option<()> {
        let n = self.varint("a number of tagged fields")?;
        for _ in 0..n {
            self.spend(1)?;
            let tag = self.varint("a tag")?;
            // The codec keeps unknown tags under signed numbers and could not write a negative one again.
            if i32::try_from(tag).is_err() {
                let left = self.rest.len();
                return self.fail(CodecError::Claim { field: "a tag", claimed: tag.into(), left });
            }
            let size = self.varint("a tagged field")? as usize;
            let before = self.rest.len();
            match fields.iter().find(|f| f.tag == Some(tag) && f.is_in(self.version)) {
                Some(field) => {
                    self.value(field.name, &field.kind)?;
                    if before - self.rest.len() != size {
                        return self.fail(CodecError::Claim { field: field.name, claimed: size as i64, left: before });
                    }
                }
                None => self.skip("a tagged field", size)?,
            }
        }
        Some(())
    }

    /// The length of an array; 0 for null. Every element has a byte at least.
    fn count(&mut self, name: &'static str) -> Option<usize> {
        let claimed = if self.flexible {
            i64::from(self.varint(name)?) - 1
        } else {
            i64::from(i32::from_be_bytes(self.take(name)?))
        };
        let n = self.covered(name, claimed)?;
        self.spend(n)?;
        Some(n)
    }

    /// A claimed length as a number of bytes that are there; -1 is null, which has none.
    fn covered(&mut self, field: &'static str, claimed: i64) -> Option<usize> {
        match usize::try_from(claimed) {
            Ok(n) if n <= self.rest.len() => Some(n),
            Err(_) if claimed == -1 => Some(0),
            _ => self.fail(CodecError::Claim { field, claimed, left: self.rest.len() }),
        }
    }

    fn spend(&mut self, elements: usize) -> Option<()> {
        match self.budget.checked_sub(elements) {
            Some(left) => self.budget = left,
            None => return self.fail(CodecError::TooManyElements),
        }
        Some(())
    }

    fn skip(&mut self, name: &'static str, len: usize) -> Option<()> {
        match self.rest.get(len..) {
            Some(rest) => self.rest = rest,
            None => return self.fail(CodecError::Truncated(name)),
        }
        Some(())
    }

    fn take<const N: usize>(&mut self, name: &'static str) -> Option<[u8; N]> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return self.fail(CodecError::Truncated(name));
        };
        self.rest = rest;
        Some(*head)
    }

    /// An unsigned varint exactly as the codec reads it: at most five bytes, the fifth ends it whatever it says.
    fn varint(&mut self, name: &'static str) -> Option<u32> {
        let mut value = 0;
        for i in 0..5 {
            let Some((&byte, rest)) = self.rest.split_first() else { return self.fail(CodecError::Truncated(name)) };
            self.rest = rest;
            value |= u32::from(byte & 0x7f) << (i * 7);
            if byte < 0x80 {
                break;
            }
        }
        Some(value)
    }
}
