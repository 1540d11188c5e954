//! Connections: accepted in bounded number, with TLS where there is a certificate, and left when nothing comes over them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use gridtally_ingest::tls::Tls;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, Sleep},
};
use tonic::transport::server::Connected;

use super::{ARRIVING_MAX, PAUSE, START};

/// Bytes, with or without TLS.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// A connection. It ends with an error when no byte goes over it for the time that is configured, or none comes at the start.
pub(super) struct Connection {
    bytes: Box<dyn Bytes>,
    idle: Duration,
    /// When it is left.
    left: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(bytes: Box<dyn Bytes>, idle: Duration, permit: OwnedSemaphorePermit) -> Self {
        Self {
            bytes,
            idle,
            left: Box::pin(tokio::time::sleep(START.min(idle))),
            _permit: permit,
        }
    }

    fn moved<T>(&mut self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Ok(_)) = &poll {
            self.left.as_mut().reset(Instant::now() + self.idle);
        }
        poll
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.bytes).poll_read(context, buffer);
        if poll.is_pending() && self.left.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.moved(poll)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.bytes).poll_write(context, bytes);
        self.moved(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

/// What connections are taken with.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) tls: Option<Tls>,
    pub(super) connections_max: usize,
    pub(super) idle: Duration,
}

/// Accepts connections and hands them on, until nobody takes them any more.
pub(super) async fn accept(
    listener: TcpListener,
    terms: Terms,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    let places = Arc::new(Semaphore::new(terms.connections_max));
    let mut arriving = JoinSet::new();
    loop {
        if arriving.len() >= ARRIVING_MAX {
            arriving.join_next().await;
        }
        let accepted = tokio::select! {
            () = sender.closed() => return,
            accepted = listener.accept() => accepted,
        };
        while arriving.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(permit) => {
                    arriving.spawn(begin(stream, terms.clone(), permit, sender.clone()));
                }
                // There is no word for it before the first request: the client sees that it ends.
                Err(_) => tracing::warn!(
                    %peer,
                    connections_max = terms.connections_max,
                    "a Flight SQL connection more than may be was refused"
                ),
            },
            Err(error) => {
                tracing::warn!(%error, "a Flight SQL connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection's start.
async fn begin(
    stream: TcpStream,
    terms: Terms,
    permit: OwnedSemaphorePermit,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    let bytes: Box<dyn Bytes> = match &terms.tls {
        None => Box::new(stream),
        // A client that fails here has gone, or does not speak TLS.
        Some(tls) => match tokio::time::timeout(START, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(_)) | Err(_) => return,
        },
    };
    let connection = Connection::new(bytes, terms.idle, permit);
    // An error means that the surface has ended.
    let _ = sender.send(Ok(connection)).await;
}
