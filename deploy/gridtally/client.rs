//! Talking to a running instance over HTTP, with or without TLS.

use std::{
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, RequestBuilder, Response, header};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::exit::Failure;

/// What is read of a body at a time, bytes.
const PIECE_BYTES: usize = 256 << 10;

/// A running instance.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Where requests run; a command has nothing else to do meanwhile.
    runtime: Arc<Runtime>,
    server: String,
    /// What `Authorization` says; `None`: nothing.
    authorization: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    response: Response,
    runtime: Arc<Runtime>,
}

impl Client {
    /// For the instance at `server`, such as `http://127.0.0.1:8080`; with the key of `GRIDTALLY_API_KEY`, where that is set. Over TLS its
    /// certificate must be of an authority that this machine trusts, or of one in the file that `SSL_CERT_FILE` names.
    #[expect(
        clippy::disallowed_methods,
        reason = "a key is no flag, which the list of processes would show, and no configuration of the server"
    )]
    pub(crate) fn new(server: &str) -> Result<Self, Failure> {
        let key = std::env::var("GRIDTALLY_API_KEY").ok();
        let key = key.filter(|key| !key.trim().is_empty());
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("gridtally/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| Failure::work("requests cannot be made", source))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            http,
            runtime: Arc::new(
                runtime.map_err(|source| Failure::work("the runtime cannot be started", source))?,
            ),
            server: server.trim_end_matches('/').to_owned(),
            authorization: key.map(|key| format!("Bearer {}", key.trim())),
        })
    }

    /// Gets a path below the server's root, with query parameters.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        let url = self.url(path);
        self.ask(&url, self.http.get(&url).query(query), "application/json")
    }

    /// Posts `body` of a media type to a path below the server's root, with its length: the server may answer without reading it, and
    /// must then know that nothing more comes, or it closes the connection that the next request is sent on.
    pub(crate) fn post(
        &self,
        path: &str,
        media_type: &str,
        body: &str,
        accept: &str,
    ) -> Result<Answer, Failure> {
        self.send(path, (media_type, accept), Body::from(body.to_owned()))
    }

    /// Posts what `body` gives, however long it is.
    pub(crate) fn post_all(
        &self,
        path: &str,
        media_type: &str,
        body: impl Read + Send + 'static,
        accept: &str,
    ) -> Result<Answer, Failure> {
        let pieces = stream::iter(Pieces(Some(body)));
        self.send(path, (media_type, accept), Body::wrap_stream(pieces))
    }

    fn send(&self, path: &str, (media_type, accept): (&str, &str), body: Body) -> Result<Answer, Failure> {
        let url = self.url(path);
        let request = self.http.post(&url).header(header::CONTENT_TYPE, media_type);
        self.ask(&url, request.body(body), accept)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    fn ask(&self, url: &str, mut request: RequestBuilder, accept: &str) -> Result<Answer, Failure> {
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let sent = request.header(header::ACCEPT, accept).send();
        let response = self.runtime.block_on(sent).map_err(|source| {
            Failure::work(
                format!("no answer from {url}; is `gridtally serve` running there (--server)?"),
                source.without_url(),
            )
        })?;
        Ok(Answer {
            status: response.status().as_u16(),
            response,
            runtime: Arc::clone(&self.runtime),
        })
    }
}

/// What a reader gives, piece by piece; it ends after an error.
struct Pieces<R>(Option<R>);

impl<R: Read> Iterator for Pieces<R> {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let limit = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
        match self.0.as_mut()?.take(limit).read_to_end(&mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(piece.into())),
            Err(error) => {
                self.0 = None;
                Some(Err(error))
            }
        }
    }
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(self) -> Result<String, Failure> {
        let text = self.runtime.block_on(self.response.text());
        text.map_err(broke_off)
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let value = self.response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    }

    /// The body as JSON.
    pub(crate) fn json(self) -> Result<Value, Failure> {
        let text = self.text()?;
        serde_json::from_str(&text)
            .map_err(|source| Failure::work(format!("the answer is not JSON: {text}"), source))
    }

    /// Writes the body as it comes.
    pub(crate) fn copy_to(self, out: &mut impl Write) -> Result<(), Failure> {
        let mut pieces = self.response.bytes_stream();
        while let Some(piece) = self.runtime.block_on(pieces.next()) {
            out.write_all(&piece.map_err(broke_off)?)
                .map_err(|source| Failure::work("the answer cannot be written", source))?;
        }
        out.flush()
            .map_err(|source| Failure::work("the answer cannot be written", source))
    }

    /// The answer itself, or what its problem document (RFC 9457) says.
    pub(crate) fn accepted(self, accepted: &[u16]) -> Result<Self, Failure> {
        if accepted.contains(&self.status) {
            return Ok(self);
        }
        let status = self.status;
        let problem = self.json()?;
        let text = |field: &str| {
            problem
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let hint = if status == 401 {
            " (GRIDTALLY_API_KEY holds the key of the command line)"
        } else {
            ""
        };
        Err(Failure::Found(format!(
            "{} ({status}): {}{hint}",
            text("title"),
            text("detail")
        )))
    }
}

fn broke_off(source: reqwest::Error) -> Failure {
    Failure::work("the answer broke off", source)
}
