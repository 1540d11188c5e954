//! Keys by which programs and publishers are known, and what is kept of them.
//!
//! A key is 256 random bits, so nothing shortens a search for it: one SHA-256 is enough, and a slow hash, which passwords of people's making
//! need, would only make every connection and request slow. Whoever reads a configuration learns hashes, and no key.

use std::fmt;

use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};

const HASH_BYTES: usize = 32;
/// What every key begins with, so that a key that has got somewhere is known for what it is.
const PREFIX: &str = "gridtally_";
/// What every hash begins with.
const SCHEME: &str = "sha256:";

/// What is kept of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; HASH_BYTES]);

impl KeyHash {
    /// Of a key.
    #[must_use]
    pub fn of(key: impl AsRef<[u8]>) -> Self {
        let mut bytes = [0; HASH_BYTES];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, key.as_ref()).as_ref());
        Self(bytes)
    }

    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || {
            format!("needed is {SCHEME} and 64 hexadecimal digits, as the command prints it that makes keys")
        };
        let digits = text.trim().strip_prefix(SCHEME).ok_or_else(form)?;
        let mut bytes = [0; HASH_BYTES];
        if digits.len() != 2 * HASH_BYTES || !digits.is_ascii() {
            return Err(form());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).ok_or_else(form)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| form())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        f.write_str(&hexadecimal(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// A new key: the one time that it can be read.
pub struct NewKey(String);

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey(…)")
    }
}

impl NewKey {
    /// Makes one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn make() -> Result<Self, String> {
        Ok(Self(format!("{PREFIX}{}", random_text()?)))
    }

    /// The key itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

/// 256 random bits as text.
///
/// # Errors
/// The system gives no random numbers.
pub fn random_text() -> Result<String, String> {
    Ok(hexadecimal(random()?))
}

/// Random bytes.
///
/// # Errors
/// The system gives no random numbers.
pub fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(bytes)
}

fn hexadecimal(bytes: [u8; HASH_BYTES]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_new_each_time_and_their_hash_is_read_as_it_is_written() {
        let (one, other) = (NewKey::make().unwrap(), NewKey::make().unwrap());
        assert_ne!(one.text(), other.text());
        assert_eq!(one.text().len(), PREFIX.len() + 2 * HASH_BYTES);
        assert_eq!(KeyHash::parse(&one.hash().to_string()), Ok(one.hash()));
        // SHA-256 of "abc": FIPS 180-2, appendix B.1.
        assert_eq!(
            KeyHash::of("abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        for wrong in ["", "sha256:", "sha256:12", &"0".repeat(64)] {
            assert!(KeyHash::parse(wrong).is_err(), "{wrong}");
        }
        for digit in ["g", "é"] {
            assert!(KeyHash::parse(&format!("sha256:{}", digit.repeat(64))).is_err());
        }
    }
}
