//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it, and the verifiers that it keeps instead of passwords.
//!
//! A verifier is `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the text of PostgreSQL's `pg_authid.rolpassword`: whoever reads it
//! cannot log in with it. Channel binding is not offered.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD};
use gridtally_ingest::key::random;
use ring::{digest, hmac, pbkdf2};

const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// Iterations of new verifiers, as PostgreSQL has them.
const ITERATIONS: u32 = 4_096;
/// Most iterations that a verifier may ask of its clients.
const ITERATIONS_MAX: u32 = 10_000_000;
/// The one mechanism.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
const PREFIX: &str = "SCRAM-SHA-256$";

/// What a password is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{PREFIX}{}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

impl Verifier {
    /// Reads the text of a verifier.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "needed is {PREFIX}iterations:salt$StoredKey:ServerKey, as `gridtally pg-password` prints it"
            )
        };
        let rest = text.trim().strip_prefix(PREFIX).ok_or_else(form)?;
        let (head, keys) = rest.split_once('$').ok_or_else(form)?;
        let (iterations, salt) = head.split_once(':').ok_or_else(form)?;
        let (stored, server) = keys.split_once(':').ok_or_else(form)?;
        let key = |text: &str| -> Option<[u8; KEY_BYTES]> { STANDARD.decode(text).ok()?.try_into().ok() };
        Ok(Self {
            iterations: iterations
                .parse()
                .ok()
                .filter(|count| (1..=ITERATIONS_MAX).contains(count))
                .ok_or_else(form)?,
            salt: STANDARD
                .decode(salt)
                .ok()
                .filter(|salt| !salt.is_empty())
                .ok_or_else(form)?,
            stored_key: key(stored).ok_or_else(form)?,
            server_key: key(server).ok_or_else(form)?,
        })
    }

    /// A new one for a password.
    ///
    /// # Errors
    /// The password has other than printable ASCII letters (for others clients and server would have to agree on SASLprep), or the
    /// system gives no random numbers.
    pub fn of_password(password: &str) -> Result<Self, String> {
        if password.is_empty() || !password.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err("a password of printable ASCII letters is needed".to_owned());
        }
        Ok(Self::derive(password, &random::<SALT_BYTES>()?, ITERATIONS))
    }

    fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = [0; KEY_BYTES];
        let count = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            count,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: hash(&sign(&salted, b"Client Key")),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// Whether it is of this password; as slow for one as for another.
    pub(crate) fn fits(&self, password: &str) -> bool {
        let given = Self::derive(password, &self.salt, self.iterations);
        same(&given.stored_key, &self.stored_key)
    }

    /// One that no password fits, for a name that nobody has: who asks does not learn that.
    pub(crate) fn of_nobody(secret: &[u8], name: &str) -> Result<Self, String> {
        let salt = sign(secret, name.as_bytes());
        Ok(Self {
            iterations: ITERATIONS,
            salt: salt.get(..SALT_BYTES).unwrap_or_default().to_vec(),
            stored_key: random()?,
            server_key: random()?,
        })
    }
}

fn sign(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Whether they are the same; in the same time wherever they differ.
fn same(one: &[u8; KEY_BYTES], other: &[u8; KEY_BYTES]) -> bool {
    let differs = one
        .iter()
        .zip(other)
        .fold(0, |differs, (one, other)| differs | (one ^ other));
    differs == 0
}

fn hash(message: &[u8]) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    bytes
}

/// An exchange after the client's first message.
#[derive(Debug)]
pub(super) struct Exchange {
    verifier: Verifier,
    /// The client's header, which it repeats.
    header: String,
    client_first_bare: String,
    nonce: String,
    server_first: String,
}

impl Exchange {
    /// Takes the client's first message.
    pub(super) fn begin(verifier: Verifier, client_first: &str) -> Result<Self, String> {
        let nonce = STANDARD.encode(random::<18>()?);
        Self::begin_with(verifier, client_first, &nonce)
    }

    fn begin_with(verifier: Verifier, client_first: &str, own_nonce: &str) -> Result<Self, String> {
        let bad = || "malformed SCRAM message".to_owned();
        let mut parts = client_first.splitn(3, ',');
        let (binding, identity, bare) = (
            parts.next().ok_or_else(bad)?,
            parts.next().ok_or_else(bad)?,
            parts.next().ok_or_else(bad)?,
        );
        if binding.starts_with("p=") {
            return Err("channel binding is not supported".to_owned());
        }
        if !(binding == "n" || binding == "y") || !identity.is_empty() {
            return Err(bad());
        }
        let client_nonce = bare
            .split(',')
            .find_map(|part| part.strip_prefix("r="))
            .filter(|nonce| !nonce.is_empty())
            .ok_or_else(bad)?;
        let nonce = format!("{client_nonce}{own_nonce}");
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&verifier.salt),
            verifier.iterations
        );
        Ok(Self {
            verifier,
            header: format!("{binding},{identity},"),
            client_first_bare: bare.to_owned(),
            nonce,
            server_first,
        })
    }

    /// The server's first message.
    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's last message: the server's last, or `None` where the password is another.
    pub(super) fn finish(&self, client_final: &str) -> Result<Option<String>, String> {
        let bad = || "malformed SCRAM message".to_owned();
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or_else(bad)?;
        let mut parts = without_proof.split(',');
        let header = parts
            .next()
            .and_then(|part| part.strip_prefix("c="))
            .ok_or_else(bad)?;
        let nonce = parts
            .next()
            .and_then(|part| part.strip_prefix("r="))
            .ok_or_else(bad)?;
        if STANDARD.decode(header).ok().as_deref() != Some(self.header.as_bytes()) || nonce != self.nonce {
            return Err(bad());
        }
        let proof: [u8; KEY_BYTES] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or_else(bad)?;
        let message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = sign(&self.verifier.stored_key, message.as_bytes());
        let mut client_key = [0; KEY_BYTES];
        for ((key, proof), signature) in client_key.iter_mut().zip(proof).zip(signature) {
            *key = proof ^ signature;
        }
        if !same(&hash(&client_key), &self.verifier.stored_key) {
            return Ok(None);
        }
        let signature = sign(&self.verifier.server_key, message.as_bytes());
        Ok(Some(format!("v={}", STANDARD.encode(signature))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, STANDARD, Verifier};
    use base64::Engine;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard_is_reproduced() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive("pencil", &salt, 4_096);
        let exchange = Exchange::begin_with(
            verifier,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .unwrap();
        assert_eq!(
            exchange.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(
            exchange.finish(last).unwrap().as_deref(),
            Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
        let other = last.replace("dHz", "eHz");
        assert_eq!(exchange.finish(&other).unwrap(), None);
        assert!(
            exchange
                .finish("c=biws,r=other,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
                .is_err()
        );
    }

    #[test]
    fn a_verifier_is_read_back_as_it_was_written() {
        let verifier = Verifier::of_password("watt hours").unwrap();
        assert_eq!(Verifier::parse(&verifier.to_string()), Ok(verifier.clone()));
        for text in [
            "",
            "secret",
            "SCRAM-SHA-256$0:AA==$AA==:AA==",
            "SCRAM-SHA-256$4096:AA==$AA==:AA==",
        ] {
            assert!(Verifier::parse(text).is_err(), "{text}");
        }
        assert!(verifier.fits("watt hours") && !verifier.fits("watt hour"));
        assert!(Verifier::of_password("pässword").is_err());
        assert!(Verifier::of_password("").is_err());
    }
}
