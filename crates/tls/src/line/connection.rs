//! The connection under a line, and the task that drives it.

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

use crate::channel::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_FRAME, MAX_HEADER_LIST, WINDOW};
use crate::net::Stream;

/// Speaks HTTP/2 over `stream`. Ends by itself when nobody uses it any more, when the other side does,
/// or when that answers no ping.
pub(super) async fn start(stream: Stream) -> Result<SendRequest<Bytes>, h2::Error> {
    let handshake = Builder::new()
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEADER_LIST)
        .handshake::<_, Bytes>(stream);
    let (sender, mut connection) = handshake.await?;
    let pings = connection.ping_pong();
    tokio::spawn(drive(connection, pings));
    Ok(sender)
}

async fn drive(connection: Connection<Stream, Bytes>, pings: Option<PingPong>) {
    // How it ended is told to each call that was on it.
    tokio::select! {
        _ = connection => {}
        () = silence(pings) => {}
    }
}

/// Ends when a ping was not answered in time.
async fn silence(pings: Option<PingPong>) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(KEEPALIVE_INTERVAL).await;
        let answered = timeout(KEEPALIVE_TIMEOUT, pings.ping(Ping::opaque())).await;
        if !matches!(answered, Ok(Ok(_))) {
            return;
        }
    }
}
