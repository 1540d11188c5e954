use axum::http::{HeaderMap, HeaderValue, header};

use super::{Form, tagged};

fn accepted(accept: &str) -> Option<Form> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
    Form::accepted(&headers).ok()
}

#[test]
fn accept_chooses_the_form() {
    for (accept, form) in [
        ("", Some(Form::Json)),
        ("*/*", Some(Form::Json)),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Some(Form::Json)),
        ("text/csv", Some(Form::Csv)),
        ("text/csv, */*", Some(Form::Csv)),
        ("text/*", Some(Form::Csv)),
        ("text/csv;q=0.5, application/json", Some(Form::Json)),
        ("application/json;q=0.1, text/csv;q=0.9", Some(Form::Csv)),
        ("application/vnd.apache.arrow.stream", Some(Form::Arrow)),
        ("application/json;q=0, */*;q=0.5", Some(Form::Csv)),
        ("image/png", None),
        ("text/csv;q=nonsense", None),
    ] {
        assert_eq!(accepted(accept), form, "{accept}");
    }
}

#[test]
fn the_tag_follows_the_content() {
    let tag = |bytes: &[u8]| {
        tagged(&HeaderMap::new(), "text/plain", bytes.to_vec()).headers()[header::ETAG].clone()
    };
    assert_eq!(tag(b"a"), tag(b"a"));
    assert_ne!(tag(b"a"), tag(b"b"));
    let mut known = HeaderMap::new();
    let list = format!("\"x\", {}", tag(b"a").to_str().unwrap());
    known.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&list).unwrap());
    assert_eq!(tagged(&known, "text/plain", b"a".to_vec()).status(), 304);
    assert_eq!(tagged(&known, "text/plain", b"b".to_vec()).status(), 200);
}
