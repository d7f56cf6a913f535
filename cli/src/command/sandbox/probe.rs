//! Asking a role whether it is ready, over its admin port.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whether `/readyz` answers 200 within a second.
pub(crate) async fn is_ready(admin: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(admin).await.ok()?;
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.ok()?;
        Some(head == *b"HTTP/1.1 200")
    };
    matches!(timeout(Duration::from_secs(1), asked).await, Ok(Some(true)))
}
