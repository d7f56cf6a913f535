//! Opening a stream, whatever became of the connection before.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, interval_at, timeout};

use super::stream::Stream;
use super::{Broken, Session};

impl Session {
    /// Opens a stream of what comes after that which was worked off.
    ///
    /// Always over a new connection: nobody says that the last one is dead. What was being said when a line
    /// was cut may never arrive either, so every [`NEXT`] another attempt is made beside those under way, at
    /// another address first where there are several. None is given up for it: on a slow line, or at a
    /// registry that a whole country comes back to, the first may well be the one that succeeds.
    pub(super) async fn open(&self) -> Result<Stream, Broken> {
        let from = self.ahead.size();
        let attempt = |nth| {
            let client = self.client.afresh(nth);
            async move {
                let stream = client.follow(from).await;
                stream.map(|stream| (client, stream))
            }
        };
        let first_to_succeed = async {
            let mut attempts = FuturesUnordered::from_iter([attempt(0)]);
            let mut made = 1;
            let mut next = interval_at(Instant::now() + NEXT, NEXT);
            loop {
                tokio::select! {
                    Some(ended) = attempts.next() => match ended {
                        Ok(opened) => return Ok(opened),
                        Err(error) if attempts.is_empty() => return Err(error),
                        // Those under way may fare better.
                        Err(_) => {}
                    },
                    _ = next.tick() => {
                        attempts.push(attempt(made));
                        made += 1;
                    }
                }
            }
        };
        let opened = timeout(OPENING, first_to_succeed).await;
        let (client, stream) = opened.map_err(|_| Broken::Silent)?.map_err(Broken::Open)?;
        self.client.take_over(&client);
        Ok(Stream::new(stream))
    }
}

/// Between attempts.
const NEXT: Duration = Duration::from_secs(2);
/// Dialling, the handshake and the stream's headers, of all attempts together.
const OPENING: Duration = Duration::from_secs(9);
