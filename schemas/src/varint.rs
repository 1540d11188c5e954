//! Whole numbers in as many bytes as they need, seven bits each, the lowest first (LEB128, as protobuf writes them).

/// Appends a number: 1 to 10 bytes.
#[inline]
pub fn push(mut number: u64, bytes: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7F);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Appends a number with its sign beside the lowest bit (protobuf's `ZigZag`), so that one near zero is short on either side.
#[inline]
pub fn push_signed(number: i64, bytes: &mut Vec<u8>) {
    push(((number << 1) ^ (number >> 63)).cast_unsigned(), bytes);
}

/// Takes the number off the front that [`push`] wrote; `None`, and nothing taken, when the bytes end in it or it has more than 64 bits.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut rest) = (0_u64, *bytes);
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        rest = after;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            *bytes = rest;
            return Some(number);
        }
    }
    None
}

/// The number whose bits [`push_signed`] wrote.
#[inline]
#[must_use]
pub const fn signed(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
}
