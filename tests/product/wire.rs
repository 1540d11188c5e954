//! PostgreSQL's simple query protocol, as little of it as a test needs: <https://www.postgresql.org/docs/15/protocol.html>.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::PATIENCE;

/// A session.
pub struct Session(TcpStream);

/// Rows as text; `None` is null.
pub type Rows = Vec<Vec<Option<String>>>;

impl Session {
    pub fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut session = Self(stream);
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        body.extend_from_slice(b"user\0auditor\0database\0gridtally\0\0");
        let length = u32::try_from(body.len() + 4).unwrap();
        session.0.write_all(&length.to_be_bytes()).unwrap();
        session.0.write_all(&body).unwrap();
        let refused = session.until_ready(&mut Vec::new());
        assert_eq!(refused, None, "the session is refused");
        session
    }

    /// The rows of a statement, or what it is refused with.
    pub fn query(&mut self, text: &str) -> Result<Rows, String> {
        let length = u32::try_from(text.len() + 5).unwrap();
        let mut message = vec![b'Q'];
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(text.as_bytes());
        message.push(0);
        self.0.write_all(&message).unwrap();
        let mut rows = Vec::new();
        match self.until_ready(&mut rows) {
            None => Ok(rows),
            Some(refused) => Err(refused),
        }
    }

    /// Reads until the server waits for a statement; gives the message of an error.
    fn until_ready(&mut self, rows: &mut Rows) -> Option<String> {
        let mut refused = None;
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap());
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            self.0.read_exact(&mut body).unwrap();
            match head[0] {
                b'Z' => return refused,
                b'D' => rows.push(row(&body)),
                b'E' => refused = Some(message(&body)),
                _ => {}
            }
        }
    }
}

fn row(body: &[u8]) -> Vec<Option<String>> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    let mut rest = &body[2..];
    let mut values = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_at(4);
        match usize::try_from(i32::from_be_bytes(length.try_into().unwrap())) {
            Ok(length) => {
                let (value, after) = after.split_at(length);
                values.push(Some(String::from_utf8(value.to_vec()).unwrap()));
                rest = after;
            }
            // -1: null.
            Err(_) => {
                values.push(None);
                rest = after;
            }
        }
    }
    values
}

/// The field `M` of an error.
fn message(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let text = fields.filter_map(|field| field.split_first());
    let text = text.filter(|(kind, _)| **kind == b'M').map(|(_, text)| text);
    String::from_utf8_lossy(&text.collect::<Vec<_>>().concat()).into_owned()
}
