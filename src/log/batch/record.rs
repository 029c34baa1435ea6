//! Records inside a batch (`DefaultRecord`), borrowed from it.

use super::error::BatchError;
use super::varint::{take_i32, take_i64};
use crate::base::Offset;

/// One record; key, value and headers lie in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Milliseconds since 1970, or -1.
    pub timestamp: i64,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// The record's headers in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// Iterates the headers of a record: name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        // The record iterator has walked the same bytes before it handed the record out.
        take_header(&mut self.rest).ok()
    }
}

/// Iterates the records of one uncompressed batch; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
    base_offset: Offset,
    base_timestamp: i64,
    log_append_time: Option<i64>,
}

impl<'a> Records<'a> {
    pub(super) fn new(
        rest: &'a [u8],
        count: i32,
        base_offset: Offset,
        base_timestamp: i64,
        log_append_time: Option<i64>,
    ) -> Result<Self, BatchError> {
        if count < 0 {
            return Err(BatchError::Invalid("a batch claims a negative number of records"));
        }
        Ok(Self { rest, left: count, base_offset, base_timestamp, log_append_time })
    }

    fn take_record(&mut self) -> Result<Record<'a>, BatchError> {
        let len = take_i32(&mut self.rest).ok_or(BatchError::Invalid("a record has no length"))?;
        let mut body = take_bytes(&mut self.rest, len)?;
        let body = &mut body;
        take_bytes(body, 1)?; // attributes: none are defined
        let timestamp_delta = take_i64(body).ok_or(BatchError::Invalid("a record has no timestamp"))?;
        let offset_delta = take_i32(body).ok_or(BatchError::Invalid("a record has no offset"))?;
        let key = take_nullable(body)?;
        let value = take_nullable(body)?;
        let headers = take_headers(body)?;
        if !body.is_empty() {
            return Err(BatchError::Invalid("a record is shorter than it claims"));
        }
        Ok(Record {
            offset: Offset(self.base_offset.0.saturating_add(i64::from(offset_delta))),
            timestamp: self.log_append_time.unwrap_or(self.base_timestamp.saturating_add(timestamp_delta)),
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let unread = !std::mem::take(&mut self.rest).is_empty();
            return unread.then_some(Err(BatchError::Invalid("bytes follow the last record")));
        }
        self.left -= 1;
        let record = self.take_record();
        if record.is_err() {
            (self.left, self.rest) = (0, &[]);
        }
        Some(record)
    }
}

fn take_bytes<'a>(buf: &mut &'a [u8], len: i32) -> Result<&'a [u8], BatchError> {
    let len = usize::try_from(len).map_err(|_| BatchError::Invalid("a length is negative"))?;
    let (head, tail) = buf.split_at_checked(len).ok_or(BatchError::Invalid("a length reaches beyond its record"))?;
    *buf = tail;
    Ok(head)
}

fn take_nullable<'a>(buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    match take_i32(buf).ok_or(BatchError::Invalid("a length is missing"))? {
        len if len < 0 => Ok(None),
        len => take_bytes(buf, len).map(Some),
    }
}

fn take_header<'a>(buf: &mut &'a [u8]) -> Result<(&'a str, Option<&'a [u8]>), BatchError> {
    let name = take_nullable(buf)?.ok_or(BatchError::Invalid("a header has no name"))?;
    let name = std::str::from_utf8(name).map_err(|_| BatchError::Invalid("a header's name is not UTF-8"))?;
    Ok((name, take_nullable(buf)?))
}

fn take_headers<'a>(buf: &mut &'a [u8]) -> Result<Headers<'a>, BatchError> {
    let count = take_i32(buf).ok_or(BatchError::Invalid("a record has no header count"))?;
    if count < 0 {
        return Err(BatchError::Invalid("a record claims a negative number of headers"));
    }
    let headers = Headers { rest: buf, left: count };
    for _ in 0..count {
        take_header(buf)?;
    }
    Ok(headers)
}
