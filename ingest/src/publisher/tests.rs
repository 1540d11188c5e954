use gridtally_schemas::{GatewayId, MeterId};

use super::*;

fn asked(names: &[(&str, &str)]) -> Publishers {
    let mut publishers = Publishers::default();
    for (name, key) in names {
        publishers.add((*name).to_owned(), KeyHash::of(key.as_bytes()));
    }
    publishers
}

fn shown<'a>(user_name: Option<&'a str>, password: Option<&'a str>) -> Shown<'a> {
    Shown {
        certificate: None,
        user_name,
        password: password.map(str::as_bytes),
    }
}

#[test]
fn without_keys_and_authority_anybody_is_anybody() {
    let nobody_asked = Publishers::default();
    for (user, password) in [(None, None), (Some("M1"), Some("x"))] {
        assert_eq!(
            nobody_asked.identify(shown(user, password)),
            Ok(Identity::Anybody)
        );
    }
}

#[test]
fn a_key_is_of_its_name_alone() {
    let publishers = asked(&[("M1", "one"), ("M2", "two")]);
    let check = |user, password, expected| {
        assert_eq!(
            publishers.identify(shown(user, password)),
            expected,
            "{user:?} {password:?}"
        );
    };
    let m1 = Identity::Named(Box::from([Box::from("M1")]));
    check(Some("M1"), Some("one"), Ok(m1));
    check(Some("M1"), Some("two"), Err(Stranger::Wrong));
    check(Some("M3"), Some("one"), Err(Stranger::Wrong));
    check(Some("M1"), Some(""), Err(Stranger::Wrong));
    check(Some("M1"), None, Err(Stranger::Silent));
    check(None, None, Err(Stranger::Silent));
}

#[test]
fn a_certificate_counts_before_a_key_and_without_any() {
    let names: Box<[Box<str>]> = Box::from([Box::from("M1"), Box::from("G7")]);
    let mut publishers = Publishers::default();
    publishers.ask_everybody();
    let identity = publishers
        .identify(Shown {
            certificate: Some(names),
            user_name: Some("M9"),
            password: Some(b"wrong"),
        })
        .unwrap();
    let meter = |id| Publisher::Meter(MeterId::parse(id).unwrap());
    let gateway = |id| Publisher::Gateway(GatewayId::parse(id).unwrap());
    let may = [
        meter("M1"),
        gateway("M1"),
        gateway("G7"),
        meter("M9"),
        meter("m1"),
    ]
    .map(|who| identity.is(&who));
    assert_eq!(may, [true, true, true, false, false]);
}

#[test]
fn a_certificate_without_names_is_nobody() {
    assert!(names_of(b"no certificate").is_empty());
    let identity = Identity::Named(Box::default());
    assert!(!identity.is(&Publisher::Meter(MeterId::parse("M1").unwrap())));
}
