//! A key in a PKCS#11 token, as a process of its own: where a module looks for its tokens is a matter
//! of the environment, and that is one for the whole process.
//!
//! Reads lines: `open URI` is answered with the public key (SPKI) in hexadecimal, `sign HEX` with the
//! signature; either with `error …` and all its causes.

use std::io::BufRead as _;

use entente_config::Pkcs11Uri;
use entente_keys::HsmKey;
use entente_signing::Signer as _;

fn main() -> anyhow::Result<()> {
    let mut key = None;
    for line in std::io::stdin().lock().lines() {
        match answer(&line?, &mut key) {
            Ok(answer) => print(&answer),
            Err(error) => print(&format!("error {error:#}")),
        }
    }
    Ok(())
}

fn answer(line: &str, key: &mut Option<HsmKey>) -> anyhow::Result<String> {
    match (line.split_once(' '), &key) {
        (Some(("open", uri)), _) => {
            let opened = HsmKey::open(&uri.parse::<Pkcs11Uri>()?)?;
            let spki = hex::encode(opened.verifying_key().spki_der());
            *key = Some(opened);
            Ok(spki)
        }
        (Some(("sign", message)), Some(key)) => Ok(hex::encode(key.sign(&hex::decode(message)?)?)),
        _ => anyhow::bail!("not understood"),
    }
}

#[allow(clippy::print_stdout, reason = "the line the test waits for")]
fn print(line: &str) {
    println!("{line}");
}
