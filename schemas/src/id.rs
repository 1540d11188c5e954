//! Identifiers, as text that has been checked once.
//!
//! An id is 1 to 64 bytes of printable ASCII without space, `/`, `+`, `#`, `,` or `"`: what fits into an MQTT topic level, a
//! URL path segment and a CSV cell without quoting.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

mod list;

pub use list::{IdList, Listed};

/// Longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("id is empty")]
    Empty,
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("id has {length} bytes, the limit is {ID_BYTES_MAX}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A character that cannot stand in an id.
    #[error(
        "id has a character that cannot stand in it at byte {at}: printable ASCII without space and / + # , \" only"
    )]
    Character {
        /// Byte offset of the first such character.
        at: usize,
    },
}

/// Checks that `text` can be an id.
///
/// # Errors
/// [`IdError`] names what is wrong with it.
pub fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong { length: text.len() });
    }
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'+' | b'#' | b',' | b'"');
    match text.bytes().position(|byte| !allowed(byte)) {
        Some(at) => Err(IdError::Character { at }),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the text of an id.
            ///
            /// # Errors
            /// [`IdError`] names what is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A meter, by the utility's number for it.
    MeterId
);
id!(
    /// A node of the hierarchy: discom, zone, circle, division, subdivision, section, substation, feeder or DT.
    NodeId
);
id!(
    /// A consumer (a service connection number).
    ConsumerId
);
id!(
    /// A head-end system or data concentrator that publishes for many meters.
    GatewayId
);
