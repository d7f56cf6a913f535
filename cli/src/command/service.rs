//! `entente service`: contracts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entente_clock::Timestamp;
use entente_contract::Direction;
use entente_directory::Sunset;
use entente_identity::{ElementName, ServiceName, SystemId};
use entente_reason::Lang;
use serde_json::{Value, json};

use super::desk::{DeskArgs, moment, office_failure};
use crate::exit::{Exit, Failure};
use crate::output::{Screen, print_out};
use crate::texts::{Fact, Text};

/// Publish contracts; list, show and retire them
///
/// A contract names the data element of each of its fields; agreements name elements, and both
/// servers enforce them.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    Publish(PublishArgs),
    List(ListArgs),
    Show(ShowArgs),
    Retire(RetireArgs),
}

/// Publish a contract of this member's systems
///
/// Example:
///   entente service publish demo.v1.Service contract.binpb --system ca-demo/agency/system
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct PublishArgs {
    /// The service's full name
    service: ServiceName,
    /// Its descriptor set, imports included: protoc --include_imports --descriptor_set_out
    descriptors: PathBuf,
    /// A system that provides it; may be repeated
    #[arg(long, required = true, value_name = "SYSTEM")]
    system: Vec<SystemId>,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Every service in the registry
///
/// Example: entente service list
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    desk: DeskArgs,
}

/// One service: its methods, and the elements each asks and releases
///
/// Example: entente service show entente.demo.vitalevents.v1.VitalEvents
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The service's full name
    service: ServiceName,
    #[command(flatten)]
    desk: DeskArgs,
}

/// Offer a service no longer, at once or from a day on
///
/// Calls of it are refused with UNKNOWN_SERVICE within 5 seconds on every connected server, whatever
/// agreements say, until it is published again. With --from, they go on until then, and everybody sees it
/// coming: `service list`, `service show`, and `status` of the members who call it. Examples:
///   entente service retire demo.v1.Service --config member.yaml
///   entente service retire demo.v1.Service --from 2027-04-01
///   entente service retire demo.v1.Service --cancel
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct RetireArgs {
    /// The service's full name
    service: ServiceName,
    /// Only from then on: a day, which begins in UTC, or 2027-04-01T04:00:00Z. Said again, it is moved
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: Option<Timestamp>,
    /// Take back what was announced with --from
    #[arg(long, conflicts_with = "from")]
    cancel: bool,
    #[command(flatten)]
    desk: DeskArgs,
}

pub(crate) async fn run(command: ServiceCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        ServiceCommand::Publish(args) => publish(args, screen).await,
        ServiceCommand::List(args) => list(&args, screen).await,
        ServiceCommand::Show(args) => show(&args, screen).await,
        ServiceCommand::Retire(args) => retire(&args, screen).await,
    }
}

async fn publish(args: PublishArgs, screen: &Screen) -> Result<(), Failure> {
    let set = super::read_file(&args.descriptors)?.into();
    let office = args.desk.office(screen).await?;
    let systems = args.system.into_iter().collect();
    let published = office.publish(&args.service, systems, set).await;
    office.close().await;
    let (hash, accepted) = published.map_err(|error| office_failure(&error, screen))?;
    let value = json!({
        "service": args.service,
        "descriptor_set": hash.to_string(),
        "index": accepted.index,
    });
    screen.show("service.published", value, |screen| {
        let facts: [Fact<'_>; 3] = [
            ("service", &args.service),
            ("hash", &hash),
            ("index", &accepted.index),
        ];
        print_out(screen.text(Text::ServicePublished, &facts));
    });
    Ok(())
}

async fn retire(args: &RetireArgs, screen: &Screen) -> Result<(), Failure> {
    let office = args.desk.office(screen).await?;
    let sunset = match args.from {
        Some(at) => Sunset::At(at),
        None if args.cancel => Sunset::Never,
        None => Sunset::Now,
    };
    let retired = office.retire(&args.service, sunset).await;
    let member = office.member().clone();
    let view = office.desk().view();
    office.close().await;
    let retired = retired.map_err(|error| office_failure(&error, screen))?;
    let index = retired.map(|accepted| accepted.index);
    let until = view.state.sunset(&args.service, &member);
    let value = json!({
        "service": args.service,
        "member": member,
        "retired": until.map(|at| at.to_string()),
        "changed": index.is_some(),
        "index": index,
    });
    screen.show("service.retired", value, |screen| {
        let service: Fact<'_> = ("service", &args.service);
        let (done, already) = match sunset {
            Sunset::Now => (Text::ServiceRetired, Text::ServiceRetiredAlready),
            Sunset::At(_) => (Text::ServiceSunset, Text::ServiceSunsetAlready),
            Sunset::Never => (Text::ServiceKept, Text::ServiceKeptAlready),
        };
        let mut facts = vec![service];
        if let (Sunset::At(_), Some(at)) = (sunset, &until) {
            facts.push(("at", at));
        }
        print_out(match &index {
            Some(index) => {
                facts.push(("index", index));
                screen.text(done, &facts)
            }
            None => screen.text(already, &facts),
        });
    });
    Ok(())
}

async fn list(args: &ListArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let sunset = |service: &_, member: &_| view.state.sunset(service, member);
    let items: Vec<Value> = view
        .state
        .services()
        .map(|service| {
            let systems = service.systems.iter().map(ToString::to_string);
            let newest = service.newest();
            let methods = newest.map(|version| {
                let methods = version.outline.methods();
                methods
                    .map(|name| name.method().to_owned())
                    .collect::<Vec<_>>()
            });
            json!({
                "service": service.service,
                "version": newest.map(|version| version.version),
                "systems": systems.collect::<Vec<_>>(),
                "methods": methods,
                "retired": sunset(&service.service, &service.member).map(|at| at.to_string()),
                "descriptor_set": newest.map(|version| version.descriptor_set.to_string()),
            })
        })
        .collect();
    let columns = [
        ("service", Text::HeadService),
        ("version", Text::HeadVersion),
        ("systems", Text::HeadSystems),
        ("methods", Text::HeadMethods),
        ("retired", Text::HeadRetired),
    ];
    screen.list("services", &items, &columns);
    Ok(())
}

async fn show(args: &ShowArgs, screen: &Screen) -> Result<(), Failure> {
    let reading = args.desk.read(screen).await?;
    let view = reading.view.clone();
    reading.desk.close().await;
    let missing = || {
        let what = screen.text(Text::ServiceUnknown, &[("service", &args.service)]);
        Failure::new(Exit::NotFound, what).note(Text::LabelDo, "entente service list")
    };
    let offer = view
        .state
        .offers(&args.service)
        .next()
        .ok_or_else(missing)?;
    let newest = offer.newest().ok_or_else(missing)?;
    let contract = view.contract(&newest.descriptor_set, &args.service);
    let contract = contract.ok_or_else(missing)?;
    let mut methods = Vec::new();
    for method in contract.methods() {
        let elements = |direction| -> Vec<String> {
            let elements = contract.elements(&method.name, direction);
            let elements = elements.unwrap_or_default();
            elements.iter().map(ElementName::to_string).collect()
        };
        let label = match screen.lang {
            Lang::En => &method.label_en,
            Lang::Fr => &method.label_fr,
        };
        methods.push(json!({
            "method": method.name.method(),
            "label": label,
            "asks": elements(Direction::Request),
            "holds": elements(Direction::Response),
        }));
    }
    let sunset = view.state.sunset(&args.service, &offer.member);
    let value = json!({
        "service": args.service,
        "member": offer.member,
        "version": newest.version,
        "descriptor_set": newest.descriptor_set.to_string(),
        "retired": sunset.map(|at| at.to_string()),
        "methods": methods,
    });
    screen.show("service", value, |screen| {
        let name = format!("{} v{}", args.service, newest.version);
        print_out(format!("{}  {}", screen.bold(&name), offer.member));
        let row = |label: Text, value: String| {
            print_out(format!("  {:<11} {value}", screen.text(label, &[])));
        };
        row(Text::HeadHash, newest.descriptor_set.to_string());
        if let Some(at) = sunset {
            row(Text::HeadRetired, at.to_string());
        }
        for method in &methods {
            let list = |key: &str| {
                let items = method[key].as_array().into_iter().flatten();
                items
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let label = method["label"].as_str().unwrap_or_default();
            let head = method["method"].as_str().unwrap_or_default();
            row(Text::HeadMethod, format!("{head}  {label}"));
            row(Text::HeadAsked, list("asks"));
            row(Text::HeadHolds, list("holds"));
        }
    });
    Ok(())
}
