//! The systems and adapters behind the role: whether they answer, and take its token.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entente_evidence::statement::Mode;
use entente_identity::SystemId;
use entente_keys::LocalToken;
use entente_security_server::{Dial, Serves};
use entente_tls::net::Endpoint;
use entente_tls::{Channel, ChannelOptions, channel};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use super::finding::{Finding, Group, Remedy, Said};
use super::site::{Role, Site};
use crate::exit::{Exit, Failure};
use crate::texts::Text;

/// What came of asking a system how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answered {
    /// It serves, or does not say how it is, which it need not.
    Well,
    /// It answers that it does not serve.
    NotServing,
    /// Its token is not what it was given.
    NoToken(String),
    /// Nobody is there.
    Unreached(String),
}

pub(super) async fn check(site: &Site) -> Vec<Finding> {
    match &site.role {
        Role::Registry(_) => Vec::new(),
        Role::Adapter(_) => {
            let folder = site.file.parent().unwrap_or_else(|| Path::new("."));
            let at = Endpoint::Unix(folder.join("adapter.sock"));
            let answered = ask(site, at.clone(), None).await;
            vec![own(&at, &answered)]
        }
        Role::Server(config) => {
            let mut findings = Vec::new();
            for (system, settings) in &config.systems {
                for (mode, dial) in settings.serves.iter().flat_map(Serves::by_mode) {
                    let (at, answered) = dialled(site, dial).await;
                    findings.push(judge(system, mode, &at, &answered));
                }
            }
            if findings.is_empty() {
                let found = Said::of(Text::DoctorNoSystems);
                findings.push(Finding::ok(Group::Adapters, CHECK, found));
            }
            findings
        }
    }
}

async fn dialled(site: &Site, dial: &Dial) -> (Endpoint, Answered) {
    let (at, token) = match dial {
        Dial::Unix(path) => (Endpoint::Unix(path.as_path().to_path_buf()), None),
        Dial::Loopback { dial, token } => (
            dial.clone().into(),
            Some(LocalToken::load(token.file.as_path())),
        ),
    };
    let token = match token.transpose() {
        Ok(token) => token,
        Err(error) => {
            let failure = Failure::of(Exit::Failed, &error);
            let why = [&[failure.what][..], &failure.because].concat().join(": ");
            return (at, Answered::NoToken(why));
        }
    };
    let answered = ask(site, at.clone(), token.as_ref()).await;
    (at, answered)
}

/// Asks gRPC health, which every adapter of ours has. Who does not know it is there all the same.
async fn ask(site: &Site, at: Endpoint, token: Option<&LocalToken>) -> Answered {
    let channel = channel(
        Arc::clone(&site.seams.net),
        at,
        None,
        &ChannelOptions::default(),
    );
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(WITHIN);
    let asked = async { HealthClient::new(channel.clone()).check(request).await };
    let status = match tokio::time::timeout(WITHIN, asked).await {
        Err(_) => return Answered::Unreached(format!("{} s", WITHIN.as_secs())),
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::NotServing => {
            return Answered::NotServing;
        }
        Ok(Ok(_)) => None,
        Ok(Err(status)) => Some(status),
    };
    if let Some(status) = status.filter(is_of_transport) {
        let failure = Failure::of(Exit::Unavailable, &status);
        return Answered::Unreached(failure.because.last().cloned().unwrap_or_default());
    }
    match token {
        Some(token) => show_token(channel, token).await,
        None => Answered::Well,
    }
}

/// Whether a status was made here, because nobody answered.
fn is_of_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// Shows the token with a call that no system serves: health is told to everybody.
async fn show_token(channel: Channel, token: &LocalToken) -> Answered {
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(WITHIN);
    if let Ok(token) = token.expose().parse() {
        request.metadata_mut().insert("entente-token", token);
    }
    let asked = async {
        let mut grpc = Grpc::new(channel);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        grpc.unary(request, PathAndQuery::from_static(NO_METHOD), codec)
            .await
    };
    match tokio::time::timeout(WITHIN, asked).await {
        Ok(Err(status)) if is_refusal(&status) => Answered::NoToken(status.message().to_owned()),
        _ => Answered::Well,
    }
}

fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    )
}

fn judge(system: &SystemId, mode: Mode, at: &Endpoint, answered: &Answered) -> Finding {
    let mode = match mode {
        Mode::Live => "live",
        Mode::Test => "test",
    };
    let said = |text| {
        Said::of(text)
            .with("system", system)
            .with("mode", mode)
            .with("address", at)
    };
    match answered {
        Answered::Well => Finding::ok(Group::Adapters, CHECK, said(Text::DoctorSystemWell)),
        Answered::NotServing => {
            let found = said(Text::DoctorSystemNotServing);
            let exit = Exit::Unavailable;
            Finding::fail(
                Group::Adapters,
                CHECK,
                exit,
                found,
                Text::DoctorSystemNotServingDo,
            )
        }
        Answered::NoToken(why) => {
            let found = said(Text::DoctorSystemToken).with("why", why);
            Finding::fail(
                Group::Adapters,
                CHECK,
                Exit::Failed,
                found,
                Text::DoctorSystemTokenDo,
            )
        }
        Answered::Unreached(why) => {
            let found = said(Text::DoctorSystemAway).with("why", why);
            let exit = Exit::Unavailable;
            Finding::fail(
                Group::Adapters,
                CHECK,
                exit,
                found,
                Text::DoctorSystemAwayDo,
            )
        }
    }
}

/// An adapter's own socket, at its usual place.
fn own(at: &Endpoint, answered: &Answered) -> Finding {
    let said = |text| Said::of(text).with("address", at);
    match answered {
        Answered::Well | Answered::NoToken(_) => {
            Finding::ok(Group::Adapters, CHECK, said(Text::DoctorAdapterWell))
        }
        Answered::NotServing => {
            let found = said(Text::DoctorAdapterNotServing);
            let remedy: Remedy = Text::DoctorSystemNotServingDo.into();
            Finding::fail(Group::Adapters, CHECK, Exit::Unavailable, found, remedy)
        }
        Answered::Unreached(why) => {
            let found = said(Text::DoctorUnreached).with("why", why);
            Finding::warn(Group::Adapters, CHECK, found, Text::DoctorAdapterStartDo)
        }
    }
}

const CHECK: &str = "adapters.answer";
const WITHIN: Duration = Duration::from_secs(5);
/// A method that nobody serves.
const NO_METHOD: &str = "/entente.doctor.v1.Nothing/Ask";

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, remedies};
    use super::*;

    #[test]
    fn a_system_that_does_not_answer_as_it_should_has_a_remedy_each() {
        let system: SystemId = "ca-demo/vital-events/registry".parse().unwrap();
        let at: Endpoint = "127.0.0.1:1".parse().unwrap();
        let judged = |answered: &Answered| judge(&system, Mode::Live, &at, answered);
        assert_eq!(judged(&Answered::Well).verdict(), Verdict::Ok);
        for (answered, exit, words) in [
            (Answered::NotServing, Exit::Unavailable, "source"),
            (Answered::NoToken("no".to_owned()), Exit::Failed, "--token"),
            (
                Answered::Unreached("no".to_owned()),
                Exit::Unavailable,
                "entente serve adapter",
            ),
        ] {
            let finding = judged(&answered);
            assert_eq!(finding.verdict(), Verdict::Fail(exit));
            assert!(remedies(&finding)[0].contains(words), "{finding:?}");
        }
        let down = own(&at, &Answered::Unreached("no".to_owned()));
        assert_eq!(down.verdict(), Verdict::Warn);
        assert!(remedies(&down)[0].contains("entente serve adapter"));
        let source = own(&at, &Answered::NotServing);
        assert!(remedies(&source)[0].contains("source"));
    }
}
