use axum::http::{HeaderMap, HeaderValue};

use super::*;

const NOW: i64 = 1_775_000_000_000_000;

fn access(keys: Vec<(&str, Caller)>) -> Access {
    Access::new(AccessSettings {
        keys: keys
            .into_iter()
            .map(|(key, caller)| AccessKey {
                hash: KeyHash::of(key),
                caller,
            })
            .collect(),
        oidc: None,
        metrics_open: false,
        session: Duration::from_secs(3_600),
        clock: Clock::fixed(UtcMicros(NOW)),
    })
    .unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_key_is_its_callers_and_another_nobodys() {
    let viewer = Caller::new("wall", [Role::Viewer], None);
    let old = Caller::new("old", [Role::Admin], None).known_until(Some(UtcMicros(NOW)));
    let access = access(vec![("k1", viewer.clone()), ("k2", old)]);
    let check = |pairs: &'static [(&'static str, &'static str)], expected: Result<Caller, Unknown>| {
        let access = access.clone();
        async move { assert_eq!(access.caller(&headers(pairs)).await, expected, "{pairs:?}") }
    };
    let refused = |why: &str| Err(Unknown::Refused(why.to_owned()));
    check(&[("authorization", "Bearer k1")], Ok(viewer.clone())).await;
    check(&[("authorization", "bearer  k1 ")], Ok(viewer)).await;
    check(&[], Err(Unknown::Silent)).await;
    check(&[("authorization", "Bearer k3")], refused("the key is not known")).await;
    check(
        &[("authorization", "Bearer k2")],
        refused("the key `old` has expired"),
    )
    .await;
    let form = "`Authorization` must be `Bearer` with a key or a token";
    check(&[("authorization", "Basic azE6")], refused(form)).await;
    check(&[("authorization", "Bearer")], refused(form)).await;
    check(&[("x-api-key", "k1")], Err(Unknown::Silent)).await;
    let over = "the session has ended: sign in again";
    check(&[("cookie", "gridtally_session=k1")], refused(over)).await;
}

#[tokio::test]
async fn without_keys_anybody_may_everything() {
    let access = access(Vec::new());
    assert!(access.is_open());
    let caller = access.caller(&HeaderMap::new()).await.unwrap();
    assert!(caller.may(Need::Administer) && caller.area().is_none() && caller.name().is_empty());
}

#[tokio::test]
async fn a_session_stands_for_its_key_until_it_is_ended() {
    let soon = UtcMicros(NOW + 60_000_000);
    let caller = Caller::new("wall", [Role::Viewer], None).known_until(Some(soon));
    let access = access(vec![("k1", caller.clone())]);
    assert!(access.begin("k2").await.is_err());
    let session = access.begin(" k1\n").await.unwrap().unwrap();
    assert_eq!(session.seconds, 60, "no longer than its key");
    let cookie = format!("theme=dark; gridtally_session={}", session.id);
    let with = headers(&[("cookie", &cookie)]);
    assert_eq!(access.caller(&with).await, Ok(caller));
    let set = set_cookie(&headers(&[]), "x", 60).unwrap();
    assert_eq!(
        set,
        "gridtally_session=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
    );
    let set = set_cookie(&headers(&[("origin", "https://grid.example")]), "x", 60).unwrap();
    assert!(set.to_str().unwrap().ends_with("; Secure"));
    access.end(&with);
    assert!(access.caller(&with).await.is_err());
}

#[test]
fn each_role_may_what_the_contract_says() {
    let needs = [
        Need::Look,
        Need::Consumers,
        Need::Credit,
        Need::Sql,
        Need::Operate,
        Need::Administer,
    ];
    let check = |role: Role, expected: [bool; 6]| {
        let caller = Caller::new("x", [role], None);
        assert_eq!(needs.map(|need| caller.may(need)), expected, "{role}");
    };
    check(Role::Viewer, [true, true, false, false, false, false]);
    check(Role::Auditor, [true, true, false, true, false, false]);
    check(Role::Billing, [false, true, true, false, false, false]);
    check(Role::Operator, [true, true, false, false, true, false]);
    check(Role::Admin, [true; 6]);
    assert_eq!(Need::Sql.in_words(), "auditor or admin");
    assert_eq!(Need::Administer.in_words(), "admin");
}

#[test]
fn the_authenticated_name_stands_last_and_an_approval_has_it_alone() {
    let known = Caller::new("control-room", [Role::Operator], None);
    assert_eq!(known.person("A. Kulkarni"), "A. Kulkarni (control-room)");
    assert_eq!(known.person(" "), "control-room");
    assert_eq!(known.person("control-room"), "control-room");
    assert_eq!(known.person("boss (admin)"), "boss (admin) (control-room)");
    assert_eq!(known.hand("somebody else"), "control-room");
    assert_eq!(Caller::anyone().person("A. Kulkarni"), "A. Kulkarni");
    assert_eq!(Caller::anyone().hand("A. Kulkarni"), "A. Kulkarni");
}
