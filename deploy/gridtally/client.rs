//! Talking to a running instance over HTTP.

use std::{io::Read, time::Duration};

use serde_json::Value;

use crate::exit::Failure;

/// A running instance.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    /// What `Authorization` says; `None`: nothing.
    authorization: Option<String>,
}

/// An answer whose status was not an error of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: ureq::Body,
}

impl Client {
    /// For the instance at `server`, such as `http://127.0.0.1:8080`; with the key of `GRIDTALLY_API_KEY`, where that is set.
    #[expect(
        clippy::disallowed_methods,
        reason = "a key is no flag, which the list of processes would show, and no configuration of the server"
    )]
    pub(crate) fn new(server: &str) -> Self {
        let key = std::env::var("GRIDTALLY_API_KEY").ok();
        let key = key.filter(|key| !key.trim().is_empty());
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("gridtally/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.into(),
            server: server.trim_end_matches('/').to_owned(),
            authorization: key.map(|key| format!("Bearer {}", key.trim())),
        }
    }

    /// Gets a path below the server's root, with query parameters.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.server);
        let mut request = self.agent.get(&url).header("accept", "application/json");
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let response = request.call().map_err(|source| no_answer(&url, source))?;
        let status = response.status().as_u16();
        Ok(Answer {
            status,
            body: response.into_body(),
        })
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
        self.send(path, (media_type, accept), body)
    }

    /// Posts what `body` gives, however long it is.
    pub(crate) fn post_all(
        &self,
        path: &str,
        media_type: &str,
        body: impl Read + 'static,
        accept: &str,
    ) -> Result<Answer, Failure> {
        self.send(
            path,
            (media_type, accept),
            ureq::SendBody::from_owned_reader(body),
        )
    }

    fn send(
        &self,
        path: &str,
        (media_type, accept): (&str, &str),
        body: impl ureq::AsSendBody,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.server);
        let mut request = self
            .agent
            .post(&url)
            .header("content-type", media_type)
            .header("accept", accept);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let sent = request.send(body);
        let response = sent.map_err(|source| no_answer(&url, source))?;
        let status = response.status().as_u16();
        Ok(Answer {
            status,
            body: response.into_body(),
        })
    }
}

fn no_answer(url: &str, source: ureq::Error) -> Failure {
    Failure::work(
        format!("no answer from {url}; is `gridtally serve` running there (--server)?"),
        source,
    )
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(mut self) -> Result<Value, Failure> {
        let text = self
            .body
            .with_config()
            // The server bounds the answer; a bound here would cut it off.
            .limit(u64::MAX)
            .read_to_string()
            .map_err(|source| Failure::work("the answer broke off", source))?;
        serde_json::from_str(&text)
            .map_err(|source| Failure::work(format!("the answer is not JSON: {text}"), source))
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
