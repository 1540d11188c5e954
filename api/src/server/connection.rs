//! A connection with bounds: how many there are, how long one may be silent, how long its peer may not read.

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
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};

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
    permits: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, connections_max: usize) -> Self {
        Self {
            listener,
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
            return (Stream::new(stream, permit), address);
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

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Stream {
    stream: TcpStream,
    connection: Connection,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        let reading = Box::pin(sleep_until(Instant::now() + IDLE));
        Self {
            stream,
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
        if let Poll::Ready(outcome) = Pin::new(&mut this.stream).poll_read(context, buffer) {
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
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(outcome) => {
                this.progressed();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.stalled(context).map(Err),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write_vectored(context, bytes) {
            Poll::Ready(outcome) => {
                this.progressed();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.stalled(context).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
