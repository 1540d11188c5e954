//! Arrow Flight SQL over the published tables, for ADBC, JDBC and whatever else speaks it.
//!
//! This is a surface of [`crate::sql`]: every statement is held against its allow-list in the dialect of HTTP, and runs in a worker process
//! with its limits. No query runs here, and no result is decoded here: the Arrow messages that the worker writes are handed on, as fast as
//! the client takes them, with a few of them waiting at most. A statement ends with its process at its deadline, when its user asks for that
//! (`CancelFlightInfo`, `CancelQuery`), and when its client leaves the stream.
//!
//! - `connection`: TLS, how many, and for how long without a byte
//! - `surface`: the calls, each with its user; `session`: who that is
//! - `service`: the commands; `prepared`, `parameters`, `question`: statements with values; `catalog`: what there is
//! - `ticket`: what a client brings to fetch rows; nobody else can make one, and no other user use it
//! - `rows`, `pieces`, `running`: rows on their way
//!
//! Updates, ingest, transactions and Substrait are refused. Malformed messages end their own call, malformed bytes their own connection.

use std::{future::Future, io, sync::Arc, time::Duration};

use arrow_flight::flight_service_server::FlightServiceServer;
use gridtally_ingest::tls::Tls;
use gridtally_schemas::Clock;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::{
    access::{Access, Caller},
    pg::Verifier,
    sql::Sql,
};
use connection::Terms;
use prepared::Statements;
use running::Running;
use service::Service;
use session::Sessions;
use surface::Surface;
use ticket::Seal;

mod catalog;
mod connection;
mod parameters;
mod pieces;
mod prepared;
mod problem;
mod question;
mod rows;
mod running;
mod service;
mod session;
mod surface;
mod ticket;

/// After shutdown, calls have this long to end.
const DRAIN: Duration = Duration::from_secs(5);
/// From the first byte until a connection speaks, and until a call has said what it must.
const START: Duration = Duration::from_secs(10);
/// Connections at a time that do not speak yet.
const ARRIVING_MAX: usize = 64;
/// What the listener waits after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest message of a client, bytes: what `GetFlightInfo` answered, to be cancelled.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Calls of one connection at a time.
const CALLS_MAX: u32 = 64;
/// Longest head of a call, bytes.
const HEAD_BYTES_MAX: u32 = 16 << 10;

/// Settings of the surface.
#[derive(Debug, Clone)]
pub struct FlightSettings {
    /// Connections at a time; more are closed.
    pub connections_max: usize,
    /// A connection over which no byte goes for so long is closed; a token and a prepared statement that nobody uses for so long end.
    pub idle: Duration,
    /// Who may ask, each with a verifier of its password. Empty: everybody.
    pub users: Vec<(Caller, Verifier)>,
    /// Keys and tokens of who else may ask.
    pub access: Access,
    /// The configured clock, by which the network stands that an area is told from.
    pub clock: Clock,
    /// Certificate and key, and then nothing but TLS is spoken; `None`: TLS is not spoken.
    pub tls: Option<Tls>,
}

/// Serves until `shutdown`; then gives calls that are made 5 seconds, and returns.
///
/// # Errors
/// The system gives no random numbers, which tokens and tickets are made of.
pub async fn serve_flight(
    listener: TcpListener,
    sql: Sql,
    settings: FlightSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let surface = Surface(Service {
        sql,
        sessions: Sessions::new((settings.users, settings.access), settings.idle)
            .map_err(io::Error::other)?,
        clock: settings.clock,
        seal: Seal::new().map_err(io::Error::other)?,
        statements: Statements::new(settings.idle),
        running: Arc::new(Running::default()),
    });
    let terms = Terms {
        tls: settings.tls,
        connections_max: settings.connections_max,
        idle: settings.idle,
    };
    let (sender, connections) = mpsc::channel(1);
    let accepting = tokio::spawn(connection::accept(listener, terms, sender));
    let (end, ending) = oneshot::channel::<()>();
    let service = FlightServiceServer::new(surface)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
    let serving = Server::builder()
        .max_concurrent_streams(CALLS_MAX)
        .http2_max_header_list_size(HEAD_BYTES_MAX)
        .add_service(service)
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), async {
            // An error means that the sender is gone: an end as well.
            let _ = ending.await;
        });
    let mut serving = Box::pin(serving);
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = shutdown => None,
    };
    accepting.abort();
    let _ = end.send(());
    let ended = match ended {
        Some(ended) => ended,
        // What has not ended by then is cut off.
        None => tokio::time::timeout(DRAIN, serving).await.unwrap_or(Ok(())),
    };
    ended.map_err(io::Error::other)
}
