//! A connection with bounds: how many there are, how long one may be silent, how long its peer may not read. With TLS its handshake is
//! part of the first read, so that it neither holds up others nor escapes these bounds.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use gridtally_ingest::tls::Tls;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::{Accept, server::TlsStream};

/// A connection on which no request is open is closed after this: half-open ones and those kept alive for nothing.
const IDLE: Duration = Duration::from_secs(30);
/// A connection whose peer does not read what is sent is closed after this.
const STALL: Duration = Duration::from_secs(20);

/// What requests know of their connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// Requests that are being answered.
    open: Arc<AtomicUsize>,
}

/// Keeps a connection from counting as idle while a request is answered.
#[derive(Debug)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Connection {
    pub(crate) fn open(&self) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A listener that accepts as many connections as there may be open.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    tls: Option<Tls>,
    permits: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, tls: Option<Tls>, connections_max: usize) -> Self {
        Self {
            listener,
            tls,
            permits: Arc::new(Semaphore::new(connections_max)),
        }
    }
}

impl Listener for Bounded {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                continue;
            };
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // Small answers go out at once.
            let _ = stream.set_nodelay(true);
            let bytes = match &self.tls {
                None => Bytes::Plain(stream),
                Some(tls) => Bytes::Arriving(Box::new(tls.acceptor().accept(stream))),
            };
            return (Stream::new(bytes, permit), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        stream.io().connection.clone()
    }
}

/// A connection's bytes, with or without TLS.
enum Bytes {
    Plain(TcpStream),
    /// In the middle of the handshake.
    Arriving(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Failed,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Arriving(_) => "Arriving",
            Self::Tls(_) => "Tls",
            Self::Failed => "Failed",
        })
    }
}

/// What can be read from and written to once the handshake is over.
trait Ready: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Ready for T {}

impl Bytes {
    /// The bytes themselves; the handshake goes on until they are there.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Ready>>> {
        if let Self::Arriving(accept) = self {
            *self = match ready!(Pin::new(accept).poll(context)) {
                Ok(stream) => Self::Tls(Box::new(stream)),
                Err(error) => {
                    *self = Self::Failed;
                    return Poll::Ready(Err(error));
                }
            };
        }
        match self {
            Self::Plain(stream) => Poll::Ready(Ok(Pin::new(stream))),
            Self::Tls(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            Self::Arriving(_) => Poll::Pending,
            Self::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    bytes: Bytes,
    connection: Connection,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    fn new(bytes: Bytes, permit: OwnedSemaphorePermit) -> Self {
        let reading = Box::pin(sleep_until(Instant::now() + IDLE));
        Self {
            bytes,
            connection: Connection::default(),
            reading,
            writing: None,
            _permit: permit,
        }
    }

    /// Whether the peer has not read for too long; begins to count when it does not read.
    fn stalled(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let timer = self
            .writing
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read"))
    }

    fn progressed(&mut self) {
        self.writing = None;
        self.reading.as_mut().reset(Instant::now() + IDLE);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = match this.bytes.poll_ready(context) {
            Poll::Ready(Ok(bytes)) => bytes.poll_read(context, buffer),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        if let Poll::Ready(outcome) = read {
            // Single bytes do not count as progress of a request head: only a request that was taken up does.
            if this.connection.open.load(Ordering::Relaxed) > 0 {
                this.progressed();
            }
            return Poll::Ready(outcome);
        }
        while this.reading.as_mut().poll(context).is_ready() {
            if this.connection.open.load(Ordering::Relaxed) == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the connection is idle",
                )));
            }
            this.reading.as_mut().reset(Instant::now() + IDLE);
        }
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match this.bytes.poll_ready(context) {
            Poll::Ready(Ok(stream)) => stream.poll_write(context, bytes),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match written {
            Poll::Ready(outcome) => {
                this.progressed();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.stalled(context).map(Err),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().bytes.poll_ready(context))?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Bytes::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Bytes::Arriving(_) | Bytes::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match this.bytes.poll_ready(context) {
            Poll::Ready(Ok(stream)) => stream.poll_write_vectored(context, bytes),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match written {
            Poll::Ready(outcome) => {
                this.progressed();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.stalled(context).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.bytes, Bytes::Plain(_))
    }
}
