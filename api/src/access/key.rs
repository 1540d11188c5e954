//! API keys, and what is kept of them.
//!
//! A key is 256 random bits, so nothing shortens a search for it: one SHA-256 is enough, and a slow hash, which passwords of people's making
//! need, would only make every request slow. Whoever reads a configuration learns hashes, and no key.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; HASH_BYTES]);

impl KeyHash {
    /// Of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let mut bytes = [0; HASH_BYTES];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form =
            || format!("needed is {SCHEME} and 64 hexadecimal digits, as `gridtally access-key` prints it");
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
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
pub(super) fn random_text() -> Result<String, String> {
    let mut bytes = [0_u8; HASH_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
