//! What an exchange costs, beside a direct call, two bare hops and nginx, each server its own
//! process.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Options;
use super::case::{Case, Site};
use super::conditions::Conditions;
use super::figures::{CONNECTIONS, IN_FLIGHT, PAYLOAD, Results, Round, Sample, Setting};
use super::goals::judge;
use crate::{needs, workspace};

/// Builds, starts every case, measures them in turn, and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let profile = if options.dev { "debug" } else { "release" };
    if !options.built {
        build(options.dev)?;
    }
    let bin = workspace::target().join(profile);
    let nginx = options.wants("nginx2") && provide_nginx(options.json);
    // Before the cases, so that it is dropped after them.
    let site = Site::new(&bin)?;
    let mut cases = Vec::new();
    if options.wants("direct") {
        cases.push(site.direct()?);
    }
    if options.wants("hops2") {
        cases.push(site.hops2()?);
    }
    if nginx {
        cases.push(site.nginx2()?);
    }
    if options.wants("exchange") {
        cases.push(site.exchange()?);
    }

    let mut results = Results::default();
    for round in 1..=options.rounds {
        for case in &cases {
            let measured = measure(&site, case, options.window)
                .inspect_err(|_| eprintln!("{}", case.last_words()))
                .with_context(|| format!("measuring {} in round {round}", case.name))?;
            eprintln!(
                "   round {round}/{}: {} {:.0} calls/s, {:.0} us alone",
                options.rounds, case.name, measured.full.calls_per_s, measured.single.p50_us
            );
            results.add(case.name, measured);
        }
    }
    drop(cases);

    let conditions = Conditions::read(site.data(), !options.dev);
    let setting = Setting {
        conditions: &conditions,
        seconds: options.window.as_secs_f64(),
    };
    if options.json {
        for figure in results.json(setting) {
            println!("{figure}");
        }
    } else {
        println!("{}", results.text(setting));
    }
    judge(&results.goals(), options)?;
    if options.check && results.errors() > 0 {
        bail!("{} calls failed", results.errors());
    }
    Ok(())
}

fn build(dev: bool) -> anyhow::Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args([
        "build",
        "-p",
        "entente-cli",
        "-p",
        "entente-tests",
        "--bin",
        "entente",
        "--bin",
        "bench-peer",
    ]);
    if !dev {
        cargo.arg("--release");
    }
    // Not `shown`: stdout is for figures, and cargo tells its progress on stderr.
    let status = cargo.status().context("starting cargo build")?;
    if !status.success() {
        bail!("cargo build ended with {status}");
    }
    Ok(())
}

/// Whether nginx is there. Installing talks on stdout, which JSON cannot share.
fn provide_nginx(json: bool) -> bool {
    if json && !needs::present(needs::BENCH) {
        eprintln!("   nginx2 NOT RUN: nginx is missing; without `-o json` it is installed");
        return false;
    }
    match needs::provide(needs::BENCH) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("   nginx2 NOT RUN: {error:#}");
            false
        }
    }
}

fn measure(site: &Site, case: &Case, window: Duration) -> anyhow::Result<Round> {
    Ok(Round {
        full: sample(site, case, IN_FLIGHT, CONNECTIONS, window)?,
        single: sample(site, case, 1, 1, window * 2 / 3)?,
    })
}

fn sample(
    site: &Site,
    case: &Case,
    in_flight: usize,
    connections: usize,
    window: Duration,
) -> anyhow::Result<Sample> {
    let mut args = case.to.clone();
    for (name, value) in [
        ("--payload", PAYLOAD.to_string()),
        ("--in-flight", in_flight.to_string()),
        ("--connections", connections.to_string()),
        ("--measure-ms", window.as_millis().to_string()),
    ] {
        args.extend([name.to_owned(), value]);
    }
    for pid in case.servers.iter().chain(&case.others) {
        args.extend(["--watch".to_owned(), pid.to_string()]);
    }
    let line = site.load(&args, window + PATIENCE)?;
    let said: Value = serde_json::from_str(&line).context("reading what the load printed")?;
    let sample = understand(&said, case.servers.len()).context("reading the load's figures")?;
    if sample.errors > 0 {
        eprintln!(
            "   {} failed calls through {}, the first with: {}",
            sample.errors, case.name, said["first_error"]
        );
    }
    Ok(sample)
}

/// The figures in a load's answer, whose first `servers` watched processes are the case's own.
fn understand(said: &Value, servers: usize) -> Option<Sample> {
    let number = |key: &str| said[key].as_f64();
    let watched = |key: &str| -> Option<Vec<f64>> {
        let values = said[key].as_array()?.get(..servers)?;
        values.iter().map(Value::as_f64).collect()
    };
    let cpu: f64 = watched("watched_cpu_us")?.iter().sum();
    let peak = watched("watched_peak_kib")?.into_iter().fold(0.0, f64::max);
    Some(Sample {
        calls_per_s: number("calls_per_s")?,
        p50_us: number("p50_us")?,
        p99_us: number("p99_us")?,
        cpu_us_per_call: cpu / number("calls")?,
        rss_mib: peak / 1024.0,
        errors: said["errors"].as_u64()?,
        not_ours: number("not_ours")?,
    })
}

/// What a load may take beyond its window: connecting, warm-up, the last calls.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_servers_of_the_case_count() {
        let said = json!({
            "calls": 100, "calls_per_s": 50.0, "errors": 0, "first_error": null,
            "p50_us": 7, "p99_us": 9, "not_ours": 0.01,
            "watched_cpu_us": [1000, 2000, 50_000], "watched_peak_kib": [1024, 2048, 9999],
        });
        let sample = understand(&said, 2).unwrap();
        assert_eq!((sample.cpu_us_per_call, sample.rss_mib), (30.0, 2.0));
        assert!(understand(&said, 4).is_none());
        assert!(understand(&json!({}), 0).is_none());
    }
}
