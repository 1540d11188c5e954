//! The data types of MQTT (section 1.5) and its property lists (section 2.2.2), read from a slice.

use super::packet::Violation;

const TRUNCATED: Violation = Violation::malformed("packet ends inside a field");

/// What is left of a packet's body.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Violation> {
        let (taken, rest) = self.rest.split_first_chunk::<LENGTH>().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Violation> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    /// Binary data: its length in two bytes, and its bytes.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Violation> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A UTF-8 string; U+0000 must not occur in it (section 1.5.4).
    pub(super) fn text(&mut self) -> Result<&'a str, Violation> {
        let text =
            std::str::from_utf8(self.binary()?).map_err(|_| Violation::malformed("text is not UTF-8"))?;
        if text.as_bytes().contains(&0) {
            return Err(Violation::malformed("text contains U+0000"));
        }
        Ok(text)
    }

    /// A variable byte integer of at most four bytes.
    pub(super) fn variable_length(&mut self) -> Result<usize, Violation> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Violation::malformed("length has more than four bytes"))
    }

    /// Succeeds when nothing is left.
    pub(super) const fn end(&self, detail: &'static str) -> Result<(), Violation> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Violation::malformed(detail))
        }
    }
}

/// The properties that matter here; all others are checked for form and passed over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Properties<'a> {
    pub(super) content_type: Option<&'a str>,
    pub(super) topic_alias: Option<u16>,
    pub(super) session_expiry_seconds: Option<u32>,
    pub(super) has_authentication_method: bool,
}

impl<'a> Properties<'a> {
    /// Property ids allowed where (table 2-4); the user property, 0x26, is the only one that may come twice.
    pub(super) const OF_CONNECT: &'static [u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27];
    pub(super) const OF_WILL: &'static [u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26];
    pub(super) const OF_PUBLISH: &'static [u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26];
    pub(super) const OF_ACKNOWLEDGEMENT: &'static [u8] = &[0x1F, 0x26];
    pub(super) const OF_DISCONNECT: &'static [u8] = &[0x11, 0x1F, 0x26];
    pub(super) const OF_SUBSCRIPTION: &'static [u8] = &[0x0B, 0x26];

    /// Reads a property list with its length.
    pub(super) fn parse(reader: &mut Reader<'a>, allowed: &[u8]) -> Result<Self, Violation> {
        let length = reader.variable_length()?;
        let mut list = Reader::new(reader.take(length)?);
        let mut properties = Self::default();
        let mut seen = 0_u64;
        while !list.rest.is_empty() {
            let id = list.byte()?;
            if !allowed.contains(&id) {
                return Err(Violation::malformed(
                    "property is unknown or not allowed in this packet",
                ));
            }
            // Every allowed id is below 64.
            let bit = 1_u64 << (id & 0x3F);
            if seen & bit != 0 && id != 0x26 {
                return Err(Violation::protocol("property comes twice"));
            }
            seen |= bit;
            properties.read(id, &mut list)?;
        }
        Ok(properties)
    }

    fn read(&mut self, id: u8, list: &mut Reader<'a>) -> Result<(), Violation> {
        match id {
            0x03 => self.content_type = Some(list.text()?),
            0x11 => self.session_expiry_seconds = Some(list.u32()?),
            0x15 => {
                list.text()?;
                self.has_authentication_method = true;
            }
            0x21 if list.u16()? == 0 => return Err(Violation::protocol("receive maximum is 0")),
            0x21 => {}
            0x23 => self.topic_alias = Some(list.u16()?),
            0x27 if list.u32()? == 0 => return Err(Violation::protocol("maximum packet size is 0")),
            0x27 => {}
            0x01 | 0x17 | 0x19 if list.byte()? > 1 => {
                return Err(Violation::protocol("property is neither 0 nor 1"));
            }
            0x01 | 0x17 | 0x19 => {}
            0x22 => {
                list.u16()?;
            }
            0x02 | 0x18 => {
                list.u32()?;
            }
            0x0B => {
                list.variable_length()?;
            }
            0x09 | 0x16 => {
                list.binary()?;
            }
            0x26 => {
                list.text()?;
                list.text()?;
            }
            _ => {
                list.text()?;
            }
        }
        Ok(())
    }
}
