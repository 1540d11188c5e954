//! Serving: connections with bounds, graceful end.

use std::{future::Future, io, time::Duration};

use futures::future::BoxFuture;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    app::{ApiState, App},
    router,
    routes::stream,
};

mod connection;

use connection::Bounded;
pub(crate) use connection::Connection;

/// After shutdown, open requests have this long to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the API ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Accepting connections failed for good.
    #[error("HTTP listener failed")]
    Listener(#[source] io::Error),
}

/// Serves the API and the page until `shutdown`; then ends event streams, lets open requests finish for 5 seconds, and returns.
///
/// # Errors
/// [`ServeError`] when the listener fails.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    serve_until(listener, state, Box::pin(shutdown)).await
}

/// Not generic, and so compiled here once instead of in every crate that serves.
async fn serve_until(
    listener: TcpListener,
    state: ApiState,
    shutdown: BoxFuture<'_, ()>,
) -> Result<(), ServeError> {
    let (end, ending) = watch::channel(false);
    let (connections_max, tls) = (state.settings.connections_max, state.settings.tls.clone());
    let app = App::new(state, ending.clone());
    let hub = tokio::spawn(stream::run(app.clone()));
    let service = router::router(app).into_make_service_with_connect_info::<Connection>();
    let mut told = ending;
    let graceful = async move {
        let _ = told.wait_for(|ending| *ending).await;
    };
    let serving =
        axum::serve(Bounded::new(listener, tls, connections_max), service).with_graceful_shutdown(graceful);
    let mut serving = std::pin::pin!(std::future::IntoFuture::into_future(serving));
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = shutdown => {
            end.send_replace(true);
            // What has not ended by then is cut off: its connections close with the runtime's tasks.
            tokio::time::timeout(DRAIN, serving).await.unwrap_or(Ok(()))
        }
    };
    hub.abort();
    outcome.map_err(ServeError::Listener)
}
