use axum::http::{HeaderMap, HeaderValue, Method, header};

use super::{check_origin, host_name};

fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

#[test]
fn the_host_name_is_read_without_its_port() {
    for (host, name) in [
        ("a.example", "a.example"),
        ("a.example:80", "a.example"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:80", "::1"),
    ] {
        assert_eq!(host_name(&headers(&[(header::HOST, host)])), Some(name));
    }
    assert_eq!(host_name(&HeaderMap::new()), None);
}

#[test]
fn only_the_own_origin_may_change_anything() {
    let post = |origin: &str| {
        check_origin(
            &Method::POST,
            &headers(&[(header::HOST, "a:80"), (header::ORIGIN, origin)]),
        )
        .is_ok()
    };
    assert!(post("http://a:80"));
    for foreign in ["http://a:81", "http://b:80", "null", "http://a:80.evil"] {
        assert!(!post(foreign), "{foreign}");
    }
    assert!(
        check_origin(&Method::POST, &headers(&[(header::HOST, "a:80")])).is_ok(),
        "programs send none"
    );
    assert!(check_origin(&Method::GET, &headers(&[(header::ORIGIN, "http://b")])).is_ok());
}
