//! Reads a body field by field and refuses every claim which the frame does not cover, as [`guard`] does.

use super::super::CodecError;
use super::super::guard::MAX_ELEMENTS;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

/// A place in a body.
pub(super) struct Reader<'a> {
    body: &'a Bytes,
    rest: &'a [u8],
    flexible: bool,
    budget: usize,
}

impl<'a> Reader<'a> {
    pub fn new(body: &'a Bytes, flexible: bool) -> Self {
        Self { body, rest: body, flexible, budget: MAX_ELEMENTS }
    }
    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], CodecError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else { return Err(CodecError::Truncated(name)) };
        self.rest = rest;
        Ok(*head)
    }
    #[inline]
    pub fn i8(&mut self, name: &'static str) -> Result<i8, CodecError> {
        self.fixed(name).map(i8::from_be_bytes)
    }
    #[inline]
    pub fn i16(&mut self, name: &'static str) -> Result<i16, CodecError> {
        self.fixed(name).map(i16::from_be_bytes)
    }
    #[inline]
    pub fn i32(&mut self, name: &'static str) -> Result<i32, CodecError> {
        self.fixed(name).map(i32::from_be_bytes)
    }
    #[inline]
    pub fn i64(&mut self, name: &'static str) -> Result<i64, CodecError> {
        self.fixed(name).map(i64::from_be_bytes)
    }
    #[inline]
    pub fn uuid(&mut self, name: &'static str) -> Result<uuid::Uuid, CodecError> {
        self.fixed(name).map(uuid::Uuid::from_bytes)
    }
    /// An unsigned varint: at most five bytes, the fifth ends it whatever it says.
    #[inline]
    fn varint(&mut self, name: &'static str) -> Result<u32, CodecError> {
        let [first] = self.fixed(name)?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let mut value = u32::from(first & 0x7f);
        for i in 1..5 {
            let [byte] = self.fixed(name)?;
            value |= u32::from(byte & 0x7f) << (i * 7);
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }
    /// A length of bytes, of which there are as many; [`None`] for null.
    #[inline]
    fn length(&mut self, name: &'static str, short: bool) -> Result<Option<usize>, CodecError> {
        let claimed = match short {
            _ if self.flexible => i64::from(self.varint(name)?) - 1,
            true => self.i16(name)?.into(),
            false => self.i32(name)?.into(),
        };
        match usize::try_from(claimed) {
            Ok(n) if n <= self.rest.len() => Ok(Some(n)),
            Err(_) if claimed == -1 => Ok(None),
            _ => Err(CodecError::Claim { field: name, claimed, left: self.rest.len() }),
        }
    }
    #[inline]
    fn slice(&mut self, len: usize) -> Bytes {
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        if len == 0 { Bytes::new() } else { self.body.slice_ref(head) }
    }
    #[cold]
    fn null<T>(&self, field: &'static str) -> Result<T, CodecError> {
        Err(CodecError::Claim { field, claimed: -1, left: self.rest.len() })
    }

    /// The length of an array; every element has a byte at least.
    pub fn count(&mut self, name: &'static str) -> Result<usize, CodecError> {
        match self.nullable_count(name)? {
            Some(n) => Ok(n),
            None => self.null(name),
        }
    }
    /// The length of an array, or [`None`] for null.
    pub fn nullable_count(&mut self, name: &'static str) -> Result<Option<usize>, CodecError> {
        let n = self.length(name, false)?;
        self.budget = self.budget.checked_sub(n.unwrap_or(0)).ok_or(CodecError::TooManyElements)?;
        Ok(n)
    }
    /// A string; it shares the frame's memory.
    pub fn string(&mut self, name: &'static str) -> Result<StrBytes, CodecError> {
        match self.nullable_string(name)? {
            Some(text) => Ok(text),
            None => self.null(name),
        }
    }
    pub fn nullable_string(&mut self, name: &'static str) -> Result<Option<StrBytes>, CodecError> {
        let Some(len) = self.length(name, true)? else { return Ok(None) };
        StrBytes::from_utf8(self.slice(len)).map(Some).map_err(super::super::refused)
    }
    /// Bytes or records; they share the frame's memory.
    pub fn nullable_blob(&mut self, name: &'static str) -> Result<Option<Bytes>, CodecError> {
        let len = self.length(name, false)?;
        Ok(len.map(|len| self.slice(len)))
    }

    /// The tagged fields that end a structure of a flexible version. `known` reads a field by its tag, and says false of one that
    /// it does not know.
    #[inline]
    pub fn tags(&mut self, known: impl FnMut(&mut Self, u32) -> Result<bool, CodecError>) -> Result<(), CodecError> {
        match self.rest {
            _ if !self.flexible => Ok(()),
            [0, rest @ ..] => {
                self.rest = rest;
                Ok(())
            }
            _ => self.some_tags(known),
        }
    }
    fn some_tags(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, CodecError>,
    ) -> Result<(), CodecError> {
        let n = self.varint("a number of tagged fields")?;
        for _ in 0..n {
            self.budget = self.budget.checked_sub(1).ok_or(CodecError::TooManyElements)?;
            let tag = self.varint("a tag")?;
            if i32::try_from(tag).is_err() {
                return Err(CodecError::Claim { field: "a tag", claimed: tag.into(), left: self.rest.len() });
            }
            let size = self.varint("a tagged field")? as usize;
            let before = self.rest.len();
            if !known(self, tag)? {
                self.rest = self.rest.get(size..).ok_or(CodecError::Truncated("a tagged field"))?;
            }
            if before - self.rest.len() != size {
                return Err(CodecError::Claim { field: "a tagged field", claimed: size as i64, left: before });
            }
        }
        Ok(())
    }
    /// Passes over the tagged fields of a structure that has none.
    #[inline]
    pub fn skip_tags(&mut self) -> Result<(), CodecError> {
        self.tags(|_, _| Ok(false))
    }
}
