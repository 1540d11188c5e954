use bytes::BytesMut;

use super::{MESSAGE_BYTES_MAX, Named, Said, Start, put, put_text, read, read_start};

async fn heard(bytes: &[u8]) -> Option<Result<Said, String>> {
    let mut input = bytes;
    read(&mut input, MESSAGE_BYTES_MAX)
        .await
        .ok()
        .flatten()
        .map(|said| said.map_err(|problem| problem.sqlstate))
}

fn message(tag: u8, fill: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    put(&mut out, tag, fill);
    out
}

#[tokio::test]
async fn messages_are_read() {
    let query = message(b'Q', |out| put_text(out, "SELECT 1"));
    assert_eq!(heard(&query).await, Some(Ok(Said::Query("SELECT 1".to_owned()))));
    let bind = message(b'B', |out| {
        out.extend_from_slice(b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x01x\0\0");
    });
    let expected = Said::Bind {
        portal: "p".to_owned(),
        statement: "s".to_owned(),
        binary: vec![true],
        values: vec![None, Some("x".into())],
        wanted: vec![],
    };
    assert_eq!(heard(&bind).await, Some(Ok(expected)));
    let describe = message(b'D', |out| out.extend_from_slice(b"Pp\0"));
    assert_eq!(
        heard(&describe).await,
        Some(Ok(Said::Describe(Named::Portal("p".to_owned()))))
    );
    assert_eq!(heard(&message(b'S', |_| {})).await, Some(Ok(Said::Sync)));
    assert_eq!(heard(b"").await, None);
}

#[tokio::test]
async fn malformed_messages_are_errors() {
    let error = |sqlstate: &str| Some(Err(sqlstate.to_owned()));
    for (bytes, sqlstate) in [
        (&b"Q\0\0\0\x03"[..], "08P01"),
        (b"Q\x7f\xff\xff\xff", "08P01"),
        (b"Q\0\0\0\x06ab", "08P01"),
        (b"Q\0\0\0\x07a\0b", "08P01"),
        (b"Q\0\0\0\x06\xff\0", "22021"),
        (b"!\0\0\0\x04", "08P01"),
        (b"B\0\0\0\x0a\0\0\0\x01\0\x07", "08P01"),
        (b"D\0\0\0\x06X\0", "08P01"),
    ] {
        assert_eq!(heard(bytes).await, error(sqlstate), "{bytes:?}");
    }
    // Cut off in the middle.
    assert_eq!(heard(b"Q\0\0\0\x20SEL").await, None);
}

#[tokio::test]
async fn connections_begin_in_one_of_four_ways() {
    let start = |bytes: Vec<u8>| async move {
        let mut input = bytes.as_slice();
        read_start(&mut input)
            .await
            .ok()
            .map(|start| start.map_err(|problem| problem.sqlstate))
    };
    let with = |code: u32, rest: &[u8]| {
        let length = u32::try_from(8 + rest.len()).unwrap();
        [&length.to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
    };
    assert_eq!(start(with(80_877_103, b"")).await, Some(Ok(Start::Tls)));
    assert_eq!(start(with(80_877_104, b"")).await, Some(Ok(Start::Gss)));
    assert_eq!(
        start(with(80_877_102, &[0, 0, 0, 7, 0, 0, 0, 9])).await,
        Some(Ok(Start::Cancel { backend: 7, key: 9 }))
    );
    assert_eq!(
        start(with(3 << 16, b"user\0me\0\0")).await,
        Some(Ok(Start::Session {
            minor: 0,
            parameters: vec![("user".to_owned(), "me".to_owned())],
        }))
    );
    assert_eq!(start(with(2 << 16, b"")).await, Some(Err("0A000".to_owned())));
    assert_eq!(start(with(3 << 16, b"user")).await, Some(Err("08P01".to_owned())));
    assert_eq!(
        start(b"GET / HTTP/1.1\r\n\r\n".to_vec()).await,
        Some(Err("08P01".to_owned()))
    );
}
