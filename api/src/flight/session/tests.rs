use std::time::{Duration, Instant};

use arrow_flight::BasicAuth;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use prost::Message;
use tonic::{Code, metadata::MetadataMap};

use super::{Sessions, TOKEN_LIFE, TOKENS_MAX, TOKENS_PER_USER_MAX, User};
use crate::{
    access::{Access, Caller, Role},
    pg::Verifier,
};

const IDLE: Duration = Duration::from_secs(600);

fn sessions(users: &[(&str, &str)]) -> Sessions {
    let users = users
        .iter()
        .map(|(name, password)| {
            let caller = Caller::new(name, [Role::Auditor], None);
            (caller, Verifier::of_password(password).unwrap())
        })
        .collect();
    Sessions::new((users, Access::default()), IDLE).unwrap()
}

fn head(authorization: &str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    if !authorization.is_empty() {
        metadata.insert("authorization", authorization.parse().unwrap());
    }
    metadata
}

fn basic(name: &str, password: &str) -> MetadataMap {
    head(&format!(
        "Basic {}",
        STANDARD.encode(format!("{name}:{password}"))
    ))
}

fn basic_unpadded(name: &str, password: &str) -> MetadataMap {
    head(&format!(
        "basic {}",
        STANDARD_NO_PAD.encode(format!("{name}:{password}"))
    ))
}

fn bearer(token: &str) -> MetadataMap {
    head(&format!("bearer {token}"))
}

async fn name_of(sessions: &Sessions, metadata: &MetadataMap) -> Result<String, Code> {
    let who = sessions.who(metadata).await;
    who.map(|user| user.name).map_err(|status| status.code())
}

async fn token(sessions: &Sessions, metadata: &MetadataMap) -> String {
    sessions.begin(metadata, async { None }).await.unwrap()
}

#[tokio::test]
async fn a_password_or_its_token_says_who_asks() {
    let sessions = sessions(&[("auditor", "watt:hours")]);
    let right = basic("auditor", "watt:hours");
    assert_eq!(name_of(&sessions, &right).await.as_deref(), Ok("auditor"));
    let unpadded = basic_unpadded("auditor", "watt:hours");
    assert_eq!(name_of(&sessions, &unpadded).await.as_deref(), Ok("auditor"));
    let given = token(&sessions, &right).await;
    assert_eq!(
        name_of(&sessions, &bearer(&given)).await.as_deref(),
        Ok("auditor")
    );
    for wrong in [
        basic("auditor", "watt"),
        basic("nobody", "watt:hours"),
        basic("", ""),
        bearer("guessed"),
        bearer(&given[1..]),
        head(""),
        head("Basic"),
        head("Basic ä"),
        head("Basic bm90aGluZw=="),
        head("Digest x"),
    ] {
        assert_eq!(
            name_of(&sessions, &wrong).await,
            Err(Code::Unauthenticated),
            "{wrong:?}"
        );
    }
    let long = basic("auditor", &"x".repeat(2_000));
    assert_eq!(name_of(&sessions, &long).await, Err(Code::InvalidArgument));
    sessions.end(&bearer(&given));
    assert_eq!(
        name_of(&sessions, &bearer(&given)).await,
        Err(Code::Unauthenticated)
    );
}

#[tokio::test]
async fn a_handshake_takes_the_password_from_its_first_message_too() {
    let sessions = sessions(&[("auditor", "watt hours")]);
    let say = |password: &str| {
        let basic = BasicAuth {
            username: "auditor".to_owned(),
            password: password.to_owned(),
        };
        basic.encode_to_vec()
    };
    let (right, wrong) = (say("watt hours"), say("watt"));
    let given = sessions.begin(&head(""), async { Some(right) }).await.unwrap();
    assert_eq!(
        name_of(&sessions, &bearer(&given)).await.as_deref(),
        Ok("auditor")
    );
    for said in [Some(wrong), None, Some(vec![1, 2, 3])] {
        assert!(sessions.begin(&head(""), async { said }).await.is_err());
    }
}

#[tokio::test]
async fn without_users_everybody_may_ask_under_his_name() {
    let sessions = sessions(&[]);
    assert_eq!(
        sessions.who(&head("")).await.unwrap(),
        User::anyone(String::new())
    );
    assert_eq!(
        name_of(&sessions, &basic("auditor", "any")).await.as_deref(),
        Ok("auditor")
    );
    let given = token(&sessions, &basic("auditor", "")).await;
    assert_eq!(
        name_of(&sessions, &bearer(&given)).await.as_deref(),
        Ok("auditor")
    );
    assert_eq!(
        name_of(&sessions, &bearer("other")).await,
        Err(Code::Unauthenticated)
    );
}

fn user(name: &str) -> User {
    User::anyone(name.to_owned())
}

#[test]
fn a_token_ends_when_it_is_idle_and_when_it_is_old() {
    let sessions = sessions(&[]);
    let begin = Instant::now();
    let given = sessions.give(user("auditor"), begin).unwrap();
    let idle = sessions.give(user("other"), begin).unwrap();
    let step = IDLE / 2;
    let mut now = begin;
    while now + step < begin + TOKEN_LIFE {
        now += step;
        assert_eq!(sessions.of_token(&given, now), Some(user("auditor")));
    }
    assert_eq!(sessions.of_token(&idle, now), None);
    assert_eq!(sessions.of_token(&given, now + step), None);
}

#[test]
fn tokens_are_bounded_for_each_user_and_for_all() {
    let sessions = sessions(&[]);
    let mut now = Instant::now();
    let other = sessions.give(user("other"), now).unwrap();
    let mut given = Vec::new();
    for _ in 0..=TOKENS_PER_USER_MAX {
        now += Duration::from_millis(1);
        given.push(sessions.give(user("auditor"), now).unwrap());
    }
    assert_eq!(sessions.lock().len(), TOKENS_PER_USER_MAX + 1);
    assert_eq!(sessions.of_token(&given[0], now), None, "the oldest");
    assert!(sessions.of_token(&given[1], now).is_some());
    assert!(sessions.of_token(&other, now).is_some(), "that of another");
    for number in 0..TOKENS_MAX {
        sessions.give(user(&number.to_string()), now).unwrap();
    }
    assert_eq!(sessions.lock().len(), TOKENS_MAX);
}
