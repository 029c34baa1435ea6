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
}

/// A field of a message and the versions that have it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    min: i16,
    max: i16,
    tag: Option<u32>,
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
    fn is_in(&self, version: i16) -> bool {
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

/// Walks `body` along `schema`.
///
/// # Errors
/// At the first length that the body does not cover.
pub fn check(schema: &Schema, version: i16, body: &[u8]) -> Result<(), CodecError> {
    let mut walk = Walk { rest: body, version, flexible: version >= schema.flexible, budget: MAX_ELEMENTS };
    walk.fields(schema.fields)
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
    let mut walk = Walk { rest: frame, version: 0, flexible: true, budget: MAX_ELEMENTS };
    walk.tags(&[])?;
    let skipped = frame.len() - walk.rest.len();
    frame.advance(skipped);
    Ok(())
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    budget: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), CodecError> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.value(field.name, &field.kind)?;
            }
        }
        if self.flexible { self.tags(fields) } else { Ok(()) }
    }

    fn value(&mut self, name: &'static str, kind: &Kind) -> Result<(), CodecError> {
        match *kind {
            Kind::Fixed(len) => self.skip(name, len),
            Kind::Str if self.flexible => self.compact(name),
            Kind::Blob if self.flexible => self.compact(name),
            Kind::Str => {
                let claimed = i16::from_be_bytes(self.take(name)?);
                self.claim(name, claimed.into())
            }
            Kind::Blob => {
                let claimed = i32::from_be_bytes(self.take(name)?);
                self.claim(name, claimed.into())
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
        }
    }

    /// The tagged fields that end a structure. Known ones are walked, as the codec decodes them instead of skipping them.
    fn tags(&mut self, fields: &[Field]) -> Result<(), CodecError> {
        let n = self.varint("a number of tagged fields")?;
        for _ in 0..n {
            self.spend(1)?;
            let tag = self.varint("a tag")?;
            let size = self.varint("a tagged field")? as usize;
            let before = self.rest.len();
            match fields.iter().find(|f| f.tag == Some(tag) && f.is_in(self.version)) {
                Some(field) => {
                    self.value(field.name, &field.kind)?;
                    if before - self.rest.len() != size {
                        return Err(CodecError::Claim { field: field.name, claimed: size as i64, left: before });
                    }
                }
                None => self.skip("a tagged field", size)?,
            }
        }
        Ok(())
    }

    /// The length of an array; 0 for null. Every element has a byte at least.
    fn count(&mut self, name: &'static str) -> Result<usize, CodecError> {
        let claimed = if self.flexible {
            i64::from(self.varint(name)?) - 1
        } else {
            i64::from(i32::from_be_bytes(self.take(name)?))
        };
        let n = match claimed {
            -1 => 0,
            n => self.covered(name, n)?,
        };
        self.spend(n)?;
        Ok(n)
    }

    fn compact(&mut self, name: &'static str) -> Result<(), CodecError> {
        let claimed = i64::from(self.varint(name)?) - 1;
        self.claim(name, claimed)
    }

    /// Skips what a length claims; -1 is null.
    fn claim(&mut self, name: &'static str, claimed: i64) -> Result<(), CodecError> {
        match claimed {
            -1 => Ok(()),
            n => {
                let len = self.covered(name, n)?;
                self.rest = &self.rest[len..];
                Ok(())
            }
        }
    }

    fn covered(&self, field: &'static str, claimed: i64) -> Result<usize, CodecError> {
        let left = self.rest.len();
        usize::try_from(claimed).ok().filter(|n| *n <= left).ok_or(CodecError::Claim { field, claimed, left })
    }

    fn spend(&mut self, elements: usize) -> Result<(), CodecError> {
        self.budget = self.budget.checked_sub(elements).ok_or(CodecError::TooManyElements)?;
        Ok(())
    }

    fn skip(&mut self, name: &'static str, len: usize) -> Result<(), CodecError> {
        self.rest = self.rest.get(len..).ok_or(CodecError::Truncated(name))?;
        Ok(())
    }

    fn take<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], CodecError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(CodecError::Truncated(name))?;
        self.rest = rest;
        Ok(*head)
    }

    /// An unsigned varint exactly as the codec reads it: at most five bytes, the fifth ends it whatever it says.
    fn varint(&mut self, name: &'static str) -> Result<u32, CodecError> {
        let mut value = 0;
        for i in 0..5 {
            let (&byte, rest) = self.rest.split_first().ok_or(CodecError::Truncated(name))?;
            self.rest = rest;
            value |= u32::from(byte & 0x7f) << (i * 7);
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }
}
