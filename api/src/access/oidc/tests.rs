use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const NOW: i64 = 1_775_000_000;

fn now() -> UtcMicros {
    UtcMicros(NOW * 1_000_000)
}

/// A provider's key, with what its set says of it.
struct Signer {
    algorithm: Algorithm,
    id: String,
    key: EncodingKey,
    jwk: Value,
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn ed(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = text(pair.public_key().as_ref());
        Self {
            algorithm: Algorithm::EdDSA,
            id: id.to_owned(),
            key: EncodingKey::from_ed_der(document.as_ref()),
            jwk: json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": x }),
        }
    }

    fn ec(id: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (text(&point[1..33]), text(&point[33..]));
        Self {
            algorithm: Algorithm::ES256,
            id: id.to_owned(),
            key: EncodingKey::from_ec_der(document.as_ref()),
            jwk: json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y }),
        }
    }

    fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        encode(&header, claims, &self.key).unwrap()
    }
}

fn settings(keys: KeySource) -> OidcSettings {
    OidcSettings {
        issuer: "https://id.example".to_owned(),
        audience: "gridtally".to_owned(),
        keys,
        name_claim: "sub".to_owned(),
        role_claim: "realm_access.roles".to_owned(),
        area_claim: Some("area".to_owned()),
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": ["other", "gridtally"], "sub": "meera", "exp": NOW + 300, "nbf": NOW - 10,
        "realm_access": { "roles": ["auditor", "offline_access"] }, "area": "F1",
    })
}

/// The claims with some of them set, or taken away by null.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in changes {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(*name);
        } else {
            claims[*name] = value.clone();
        }
    }
    claims
}

fn file_of(signers: &[&Signer]) -> (tempfile::NamedTempFile, KeySource) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut keys: Vec<Value> = signers.iter().map(|signer| signer.jwk.clone()).collect();
    // What cannot be used is left aside.
    keys.push(json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "hmac", "alg": "HS256" }));
    keys.push(json!({ "kty": "unheard-of" }));
    std::fs::write(file.path(), json!({ "keys": keys }).to_string()).unwrap();
    let source = KeySource::File(file.path().to_owned());
    (file, source)
}

async fn why(oidc: &Oidc, token: &str) -> String {
    match oidc.caller(token, now()).await {
        Ok(caller) => panic!("{caller:?}"),
        Err(unknown) => unknown.to_string(),
    }
}

#[tokio::test]
async fn a_token_of_the_provider_is_its_callers() {
    for signer in [Signer::ed("k"), Signer::ec("k")] {
        let (_file, source) = file_of(&[&signer]);
        let oidc = Oidc::new(settings(source)).unwrap();
        let caller = oidc.caller(&signer.token(&claims()), now()).await.unwrap();
        assert_eq!(caller.name(), "meera");
        assert_eq!(caller.roles().collect::<Vec<_>>(), [Role::Auditor]);
        assert_eq!(caller.area().unwrap().as_str(), "F1");
        let everything = signer.token(&with(&[("area", json!("*")), ("aud", json!("gridtally"))]));
        let caller = oidc.caller(&everything, now()).await.unwrap();
        assert_eq!(caller.area(), None);
    }
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused() {
    let signer = Signer::ed("k");
    let (_file, source) = file_of(&[&signer]);
    let oidc = Oidc::new(settings(source)).unwrap();
    for (changes, expected) in [
        (("iss", json!("https://id.example/")), "InvalidIssuer"),
        (("iss", Value::Null), "iss"),
        (("aud", json!("other")), "InvalidAudience"),
        (("aud", Value::Null), "aud"),
        (("exp", Value::Null), "exp"),
        (("exp", json!(NOW - 60)), "it has expired"),
        (("exp", json!("tomorrow")), "exp"),
        (("nbf", json!(NOW + 61)), "it does not hold yet"),
        (("sub", json!("")), "`sub` names nobody"),
        (("sub", json!("a\nb")), "`sub` names nobody"),
        (("area", Value::Null), "`area` names no area"),
        (("area", json!(7)), "`area` names no area"),
        (("area", json!("")), "`area` names no area"),
    ] {
        let said = why(&oidc, &signer.token(&with(std::slice::from_ref(&changes)))).await;
        assert!(said.starts_with("the token is refused: "), "{said}");
        assert!(said.contains(expected), "{changes:?}: {said}");
    }
    let leeway = signer.token(&with(&[("exp", json!(NOW - 59)), ("nbf", json!(NOW + 60))]));
    assert!(oidc.caller(&leeway, now()).await.is_ok());
    let roleless = signer.token(&with(&[("realm_access", Value::Null)]));
    assert_eq!(oidc.caller(&roleless, now()).await.unwrap().roles().count(), 0);
}

#[tokio::test]
async fn what_the_provider_did_not_sign_is_refused() {
    let (signer, stranger) = (Signer::ed("k"), Signer::ed("k"));
    let (_file, source) = file_of(&[&signer]);
    let oidc = Oidc::new(settings(source)).unwrap();
    assert!(
        why(&oidc, &stranger.token(&claims()))
            .await
            .contains("InvalidSignature")
    );
    let unheard = Signer::ed("unheard");
    let said = why(&oidc, &unheard.token(&claims())).await;
    assert!(said.contains("no key of the provider"), "{said}");
    // A public key taken for a secret, and no signature at all.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("hmac".to_owned());
    let hmac = encode(&header, &claims(), &EncodingKey::from_secret(b"secret").unwrap()).unwrap();
    assert!(
        why(&oidc, &hmac).await.contains("HS256"),
        "{}",
        why(&oidc, &hmac).await
    );
    let head = text(br#"{"alg":"none"}"#);
    let none = format!("{head}.{}.", text(claims().to_string().as_bytes()));
    why(&oidc, &none).await;
    // Another's claims under a signature that is right.
    let token = signer.token(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let forged = text(with(&[("sub", json!("admin"))]).to_string().as_bytes());
    let said = why(&oidc, &format!("{}.{forged}.{}", parts[0], parts[2])).await;
    assert!(said.contains("InvalidSignature"), "{said}");
    why(&oidc, "a.b.c").await;
    why(&oidc, &"a.".repeat(20_000)).await;
}

/// Serves whatever `keys` holds, and counts.
async fn provider(keys: Arc<std::sync::Mutex<String>>) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4_096];
            let _ = socket.read(&mut head).await;
            let body = keys.lock().unwrap().clone();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_one_is_not_known_but_not_at_will() {
    let (old, new) = (Signer::ed("old"), Signer::ed("new"));
    let served = Arc::new(std::sync::Mutex::new(json!({ "keys": [old.jwk] }).to_string()));
    let (url, asked) = provider(Arc::clone(&served)).await;
    let oidc = Oidc::new(settings(KeySource::Url(url))).unwrap();
    let known = |token: String| {
        let oidc = &oidc;
        async move { oidc.caller(&token, now()).await.is_ok() }
    };
    assert!(known(old.token(&claims())).await && known(old.token(&claims())).await);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    *served.lock().unwrap() = json!({ "keys": [new.jwk] }).to_string();
    assert!(!known(new.token(&claims())).await, "it asked a moment ago");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // As if it had been half a minute.
    oidc.held.write().unwrap().tried_at = None;
    assert!(known(new.token(&claims())).await);
    assert!(
        !known(old.token(&claims())).await,
        "the provider has taken it back"
    );
    // What cannot be read takes nothing away.
    for broken in ["", "{}", r#"{"keys":[]}"#, &"x".repeat(KEYS_BYTES_MAX + 1)] {
        *served.lock().unwrap() = broken.to_owned();
        oidc.held.write().unwrap().tried_at = None;
        oidc.held.write().unwrap().fetched_at = None;
        assert!(known(new.token(&claims())).await);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}
