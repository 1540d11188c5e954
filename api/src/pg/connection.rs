//! A connection from its first byte to its session: TLS, who it is, and then messages in the order in which they come.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, mpsc, watch},
};
use tokio_rustls::server::TlsStream;

use super::{
    Shared,
    message::{self, START_BYTES_MAX, Said, Start},
    problem::Problem,
    scram::{Exchange, MECHANISM, Verifier},
    session::{Client, Interrupt, Out, Session},
    settings::Settings,
};
use crate::{
    access::Caller,
    sql::{Sql, postgres::facts::DATABASE},
};

/// From the first byte until it is known who asks.
const START: Duration = Duration::from_secs(10);
/// Messages that may wait for a session.
const INBOX: usize = 2;

/// Bytes of a connection, with or without TLS.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Serves a connection to its end. Whatever its bytes are, nothing beyond it ends.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    (shared, arriving): (Arc<Shared>, OwnedSemaphorePermit),
    ending: watch::Receiver<bool>,
) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    let started = tokio::time::timeout(START, start(stream, peer, &shared)).await;
    drop(arriving);
    let Ok(Ok(Some((stream, client)))) = started else {
        return;
    };
    // A failure to write means that the client has gone.
    let _ = run(stream, client, &shared, ending).await;
}

/// A client that is known.
struct Known {
    user: String,
    /// What it may see of the tables.
    sql: Sql,
    settings: Settings,
    permit: OwnedSemaphorePermit,
}

/// Everything before a session; `None`: there is none.
async fn start(stream: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<Option<(Stream, Known)>> {
    let mut stream = Stream::Plain(stream);
    let (minor, parameters) = loop {
        match message::read_start(&mut stream).await? {
            Ok(Start::Session { minor, parameters }) => break (minor, parameters),
            Ok(Start::Cancel { backend, key }) => {
                shared.cancel(backend, key);
                return Ok(None);
            }
            Ok(Start::Gss) => stream.write_all(b"N").await?,
            Ok(Start::Tls) => match (stream, &shared.settings.tls) {
                (Stream::Plain(mut plain), Some(tls)) => {
                    plain.write_all(b"S").await?;
                    stream = Stream::Tls(Box::new(tls.acceptor().accept(plain).await?));
                }
                (mut other, _) => {
                    other.write_all(b"N").await?;
                    stream = other;
                }
            },
            Err(problem) => return refuse(&mut stream, &problem).await,
        }
    };
    if shared.settings.tls.is_some() && !peer.ip().is_loopback() && matches!(stream, Stream::Plain(_)) {
        let problem = Problem::new(
            "28000",
            "TLS is required: set sslmode=require, or better verify-full",
        );
        return refuse(&mut stream, &problem).await;
    }
    let Ok(permit) = Arc::clone(&shared.sessions).try_acquire_owned() else {
        let problem = Problem::new("53300", "sorry, too many clients already");
        return refuse(&mut stream, &problem).await;
    };
    if minor > 0 || parameters.iter().any(|(name, _)| name.starts_with("_pq_.")) {
        negotiate(&mut stream, &parameters).await?;
    }
    match known(&mut stream, &parameters, shared).await? {
        Ok((user, sql, settings)) => Ok(Some((
            stream,
            Known {
                user,
                sql,
                settings,
                permit,
            },
        ))),
        Err(problem) => refuse(&mut stream, &problem).await,
    }
}

/// Tells why there is no session.
async fn refuse(stream: &mut Stream, problem: &Problem) -> io::Result<Option<(Stream, Known)>> {
    let mut out = BytesMut::new();
    message::put_problem(&mut out, "FATAL", problem);
    stream.write_all(&out).await?;
    stream.flush().await?;
    stream.shutdown().await?;
    Ok(None)
}

/// Tells that nothing beyond 3.0 is spoken.
async fn negotiate(stream: &mut Stream, parameters: &[(String, String)]) -> io::Result<()> {
    let unknown: Vec<&str> = parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with("_pq_."))
        .collect();
    let mut out = BytesMut::new();
    message::put(&mut out, b'v', |out| {
        out.put_i32(0);
        out.put_u32(u32::try_from(unknown.len()).unwrap_or(u32::MAX));
        for name in &unknown {
            message::put_text(out, name);
        }
    });
    stream.write_all(&out).await
}

/// Who asks, and with which settings.
async fn known(
    stream: &mut Stream,
    parameters: &[(String, String)],
    shared: &Shared,
) -> io::Result<Result<(String, Sql, Settings), Problem>> {
    let given = |wanted: &str| {
        parameters
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let Some(user) = given("user") else {
        return Ok(Err(Problem::new(
            "28000",
            "no PostgreSQL user name specified in startup packet",
        )));
    };
    let sql = match allowed(stream, user, shared).await? {
        Ok(sql) => sql,
        Err(problem) => {
            tracing::warn!(target: "gridtally::audit", surface = "pg", who = user, reason = problem.message, "refused");
            return Ok(Err(problem));
        }
    };
    if let Some(database) = given("database").filter(|name| *name != user && *name != DATABASE) {
        return Ok(Err(Problem::new(
            "3D000",
            format!("database \"{database}\" does not exist; there is one, {DATABASE}"),
        )));
    }
    if given("replication").is_some_and(|value| !["false", "off", "no", "0"].contains(&value)) {
        return Ok(Err(Problem::new("0A000", "replication is not supported")));
    }
    Ok(settings(parameters, user, shared).map(|settings| (user.to_owned(), sql, settings)))
}

/// What a user may see of the tables, once its password is checked; without any configured user everybody sees everything.
async fn allowed(stream: &mut Stream, user: &str, shared: &Shared) -> io::Result<Result<Sql, Problem>> {
    if shared.settings.users.is_empty() {
        return Ok(Ok(shared.sql.clone()));
    }
    if let Err(problem) = authenticate(stream, user, shared).await? {
        return Ok(Err(problem));
    }
    let own = shared
        .settings
        .users
        .iter()
        .find(|(caller, _)| caller.name() == user);
    let nobody = Caller::new(user, [], None);
    let caller = own.map_or(&nobody, |(caller, _)| caller);
    let sql = shared.sql.on_behalf_of(caller, &shared.settings.clock);
    Ok(sql.map_err(|error| Problem::new("28000", error.to_string())))
}

/// Settings that the client begins with.
fn settings(parameters: &[(String, String)], user: &str, shared: &Shared) -> Result<Settings, Problem> {
    let mut settings = Settings::new(&shared.sql.config().zone, user);
    for (name, value) in parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => {
                for (name, value) in options(value) {
                    settings.set(&name, Some(&value))?;
                }
            }
            name if name.starts_with("_pq_.") => {}
            name => {
                settings.set(name, Some(value))?;
            }
        }
    }
    settings.began();
    Ok(settings)
}

/// `-c name=value` and `--name=value`; a backslash before a space keeps it.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => words
                .last_mut()
                .into_iter()
                .for_each(|word| word.extend(letters.next())),
            letter if letter.is_whitespace() => words.push(String::new()),
            letter => words.last_mut().into_iter().for_each(|word| word.push(letter)),
        }
    }
    words
        .iter()
        .filter_map(|word| {
            let word = word
                .strip_prefix("-c")
                .or_else(|| word.strip_prefix("--"))
                .unwrap_or(word);
            let (name, value) = word.split_once('=')?;
            Some((name.replace('-', "_"), value.to_owned()))
        })
        .collect()
}

/// Asks for the password, which never comes over the wire.
async fn authenticate(stream: &mut Stream, user: &str, shared: &Shared) -> io::Result<Result<(), Problem>> {
    let failed = || {
        Problem::new(
            "28P01",
            format!("password authentication failed for user \"{user}\""),
        )
    };
    let own = shared
        .settings
        .users
        .iter()
        .find(|(caller, _)| caller.name() == user);
    let verifier = match own {
        Some((_, verifier)) => verifier.clone(),
        None => match Verifier::of_nobody(&shared.secret, user) {
            Ok(verifier) => verifier,
            Err(error) => return Ok(Err(Problem::new("XX000", error))),
        },
    };
    send(stream, 10, |out| {
        message::put_text(out, MECHANISM);
        out.put_u8(0);
    })
    .await?;
    let first = match password(stream).await? {
        Ok(bytes) => bytes,
        Err(problem) => return Ok(Err(problem)),
    };
    let exchange =
        initial(&first).and_then(|text| Exchange::begin(verifier, &text).map_err(Problem::protocol));
    let exchange = match exchange {
        Ok(exchange) => exchange,
        Err(problem) => return Ok(Err(problem)),
    };
    send(stream, 11, |out| {
        out.put_slice(exchange.server_first().as_bytes())
    })
    .await?;
    let last = match password(stream).await? {
        Ok(bytes) => bytes,
        Err(problem) => return Ok(Err(problem)),
    };
    let last = String::from_utf8_lossy(&last);
    match exchange.finish(&last) {
        Ok(Some(server_last)) if own.is_some() => {
            send(stream, 12, |out| out.put_slice(server_last.as_bytes())).await?;
            Ok(Ok(()))
        }
        Ok(_) => Ok(Err(failed())),
        Err(error) => Ok(Err(Problem::protocol(error))),
    }
}

/// A message of authentication.
async fn send(stream: &mut Stream, kind: i32, fill: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
    let mut out = BytesMut::new();
    message::put(&mut out, b'R', |out| {
        out.put_i32(kind);
        fill(out);
    });
    stream.write_all(&out).await?;
    stream.flush().await
}

async fn password(stream: &mut Stream) -> io::Result<Result<bytes::Bytes, Problem>> {
    Ok(match message::read(stream, START_BYTES_MAX).await? {
        Some(Ok(Said::Password(bytes))) => Ok(bytes),
        Some(Ok(_)) => Err(Problem::protocol(
            "an answer to the question of authentication is needed",
        )),
        Some(Err(problem)) => Err(problem),
        None => return Err(io::ErrorKind::UnexpectedEof.into()),
    })
}

/// The client's first message of SCRAM, with the mechanism before it.
fn initial(bytes: &[u8]) -> Result<String, Problem> {
    let mut reader = message::Reader { rest: bytes };
    let mechanism = reader.text()?;
    if mechanism != MECHANISM {
        return Err(Problem::protocol(format!("authentication is by {MECHANISM}")));
    }
    let length = reader.i32()?;
    let length = usize::try_from(length).map_err(|_| Problem::protocol("malformed SCRAM message"))?;
    String::from_utf8(reader.bytes(length)?.to_vec())
        .map_err(|_| Problem::protocol("malformed SCRAM message"))
}

/// The session of a client that is known.
async fn run(
    stream: Stream,
    known: Known,
    shared: &Arc<Shared>,
    ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let (entered, key, cancel) = shared.enter().map_err(io::Error::other)?;
    let (reader, writer) = tokio::io::split(stream);
    let mut out = Out::new(Box::new(writer));
    message::put(&mut out.buffer, b'R', |out| out.put_i32(0));
    message::put(&mut out.buffer, b'K', |out| {
        out.put_i32(entered.backend);
        out.put_i32(key);
    });
    let (gone, told) = watch::channel(false);
    let (sender, inbox) = mpsc::channel(INBOX);
    let reading = tokio::spawn(read(reader, sender, gone));
    let client = Client {
        user: known.user,
        backend: entered.backend,
    };
    let parts = (out, Interrupt::new(cancel, told));
    let mut session = Session::new(known.sql, client, known.settings, parts);
    let greeted = session.greet().await;
    if greeted.is_ok() {
        session.run(inbox, shared.settings.idle, ending).await;
    }
    reading.abort();
    drop(known.permit);
    greeted
}

/// Reads messages for a session while it works, so that the end of the connection is seen at once.
async fn read(
    reader: impl AsyncRead + Unpin,
    sender: mpsc::Sender<Result<Said, Problem>>,
    gone: watch::Sender<bool>,
) {
    let mut reader = BufReader::new(reader);
    loop {
        let said = match message::read(&mut reader, message::MESSAGE_BYTES_MAX).await {
            Ok(Some(said)) => said,
            Ok(None) | Err(_) => break,
        };
        let is_last = said.is_err() || said == Ok(Said::Terminate);
        if sender.send(said).await.is_err() || is_last {
            break;
        }
    }
    // A client that has closed its side waits for nothing any more.
    gone.send_replace(true);
}

#[cfg(test)]
mod tests {
    use super::options;

    #[test]
    fn options_of_the_start_are_read() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            options("-c TimeZone=Asia/Kolkata --statement-timeout=5s -csearch_path=a,\\ b"),
            [
                pair("TimeZone", "Asia/Kolkata"),
                pair("statement_timeout", "5s"),
                pair("search_path", "a, b")
            ]
        );
        assert_eq!(options(""), []);
    }
}
