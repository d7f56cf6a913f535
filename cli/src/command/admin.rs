//! Asking a role over its admin port: plain HTTP, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use entente_config::ListenAddr;
use entente_tls::http::{HttpUrl, send};
use entente_tls::net::Net;
use http::Request;

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) is_ok: bool,
    pub(crate) text: String,
}

/// Gets `path` from where a role listens for its monitoring.
///
/// # Errors
/// In words, when nobody answers there.
pub(crate) async fn ask(net: &dyn Net, admin: &ListenAddr, path: &str) -> Result<Answer, String> {
    let ListenAddr::Tcp(mut address) = *admin else {
        return Err(format!("{admin}: no HTTP on a Unix socket"));
    };
    // Whoever listens on every address listens on this one.
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let url: HttpUrl = format!("http://{address}{path}")
        .parse()
        .map_err(|error: entente_tls::http::InvalidHttpUrl| error.to_string())?;
    let asked = send(net, &url, Request::new(Bytes::new()), LONGEST);
    match tokio::time::timeout(WITHIN, asked).await {
        Ok(Ok(answer)) => Ok(Answer {
            is_ok: answer.status().is_success(),
            text: String::from_utf8_lossy(answer.body()).into_owned(),
        }),
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error);
            Err(cause.map_or_else(|| error.to_string(), ToString::to_string))
        }
        Err(_) => Err(format!("{} s", WITHIN.as_secs())),
    }
}

const WITHIN: Duration = Duration::from_secs(3);
/// 4,096 series of a histogram are about this long.
const LONGEST: usize = 32 * 1024 * 1024;
