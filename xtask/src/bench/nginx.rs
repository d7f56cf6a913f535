//! Debian's nginx as a peer: two hops with mutual TLS 1.3 between them.

use std::net::TcpListener;
use std::path::Path;

use anyhow::Context as _;

/// The hop at the consumer: plain gRPC in at a Unix socket, mutual TLS out.
pub(crate) fn consumer_side(keys: &Path, socket: &Path, port: u16) -> String {
    let keys = keys.display();
    let socket = socket.display();
    configuration(
        &format!("127.0.0.1:{port}"),
        &format!("listen unix:{socket} http2;"),
        &format!(
            "grpc_pass grpcs://next;
            grpc_ssl_protocols TLSv1.3;
            grpc_ssl_certificate {keys}/nginx-a.crt;
            grpc_ssl_certificate_key {keys}/nginx-a.key;
            grpc_ssl_verify on;
            grpc_ssl_trusted_certificate {keys}/nginx-b.crt;
            grpc_ssl_name nginx-b;
            grpc_ssl_server_name on;"
        ),
    )
}

/// The hop at the provider: mutual TLS in, plain gRPC out to a Unix socket.
pub(crate) fn provider_side(keys: &Path, port: u16, echo: &Path) -> String {
    let keys = keys.display();
    configuration(
        &format!("unix:{}", echo.display()),
        &format!(
            "listen 127.0.0.1:{port} ssl http2;
        ssl_protocols TLSv1.3;
        ssl_certificate {keys}/nginx-b.crt;
        ssl_certificate_key {keys}/nginx-b.key;
        ssl_verify_client on;
        ssl_client_certificate {keys}/nginx-a.crt;"
        ),
        "grpc_pass grpc://next;",
    )
}

/// A port that was free a moment ago: nginx cannot say which one it took.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// One worker, like one runtime thread of a raw hop. Connections to the next hop are kept, one for
/// each call in flight, because nginx sends one call at a time over each.
fn configuration(next: &str, listen: &str, location: &str) -> String {
    format!(
        "user root;
worker_processes 1;
daemon off;
error_log stderr error;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 16m;
    client_body_buffer_size 64k;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    http2_max_concurrent_streams 1024;
    upstream next {{
        server {next};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        {listen}
        location / {{
            {location}
        }}
    }}
}}
"
    )
}
