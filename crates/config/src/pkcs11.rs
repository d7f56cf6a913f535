//! Where a key lies in a PKCS#11 token: the part of RFC 7512 that names one key exactly.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::path::resolve;
use crate::scalar::text_value;
use crate::value::InvalidValue;

/// A key in a token: `pkcs11:token=hsm1;object=server?module-path=/usr/lib/softhsm/libsofthsm2.so
/// &pin-source=./pin`.
///
/// All four are required, and nothing else is taken but `type=private` and `serial`: the token and
/// the key by their labels, the module that speaks to it, and the file that holds the user's PIN.
/// Relative paths are taken from the folder of the file it is written in. There is no way to write
/// the PIN itself (`pin-value`). *Trusted: the module is loaded into the server.*
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pkcs11Uri {
    token: String,
    serial: Option<String>,
    object: String,
    module: PathBuf,
    pin: PathBuf,
}

text_value!(
    Pkcs11Uri,
    "a key such as pkcs11:token=hsm1;object=server?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=./pin",
    "^pkcs11:.+[?].+$"
);

// === impl Pkcs11Uri ===

impl Pkcs11Uri {
    /// The token's label.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The token's serial number, where several have one label.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The key's label.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The library that speaks to the token.
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// The file that holds the user's PIN.
    pub fn pin(&self) -> &Path {
        &self.pin
    }
}

impl FromStr for Pkcs11Uri {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        read(text).ok_or_else(Self::invalid)
    }
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pkcs11:")?;
        write_part(f, "token", &self.token)?;
        if let Some(serial) = &self.serial {
            f.write_str(";")?;
            write_part(f, "serial", serial)?;
        }
        f.write_str(";")?;
        write_part(f, "object", &self.object)?;
        f.write_str("?")?;
        write_part(f, "module-path", &self.module.to_string_lossy())?;
        f.write_str("&")?;
        write_part(f, "pin-source", &self.pin.to_string_lossy())
    }
}

fn read(text: &str) -> Option<Pkcs11Uri> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let (path, query) = text.strip_prefix("pkcs11:")?.split_once('?')?;
    let (mut token, mut serial, mut object, mut class) = (None, None, None, None);
    for part in path.split(';') {
        let (name, value) = part.split_once('=')?;
        let slot = match name {
            "token" => &mut token,
            "serial" => &mut serial,
            "object" => &mut object,
            "type" => &mut class,
            _ => return None,
        };
        set(slot, value)?;
    }
    let (mut module, mut pin) = (None, None);
    for part in query.split('&') {
        let (name, value) = part.split_once('=')?;
        let slot = match name {
            "module-path" => &mut module,
            "pin-source" => &mut pin,
            _ => return None,
        };
        set(slot, value)?;
    }
    if class.is_some_and(|class| class != "private") {
        return None;
    }
    let pin = pin?;
    Some(Pkcs11Uri {
        token: token?,
        serial,
        object: object?,
        module: resolve(&module?),
        pin: resolve(pin.strip_prefix("file:").unwrap_or(&pin)),
    })
}

/// Each once, and not empty.
fn set(slot: &mut Option<String>, value: &str) -> Option<()> {
    let value = decode(value).filter(|value| !value.is_empty() && !value.contains('\0'))?;
    slot.replace(value).is_none().then_some(())
}

/// Undoes percent-encoding (RFC 3986 §2.1).
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn write_part(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    write!(f, "{name}=")?;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// The longest URI read.
const MAX_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "pkcs11:token=hsm1;object=server?module-path=/usr/lib/p11.so&pin-source=/run/pin";

    #[test]
    fn reads_a_key_and_writes_it_back() {
        let key: Pkcs11Uri = GOOD.parse().unwrap();
        assert_eq!((key.token(), key.object()), ("hsm1", "server"));
        assert_eq!(key.module(), Path::new("/usr/lib/p11.so"));
        assert_eq!(key.pin(), Path::new("/run/pin"));
        assert_eq!(key.to_string(), GOOD);
        let odd = "pkcs11:object=cl%C3%A9%3b1;type=private;serial=0a;token=My%20token\
                   ?pin-source=file:/run/pin&module-path=/p11.so";
        let key: Pkcs11Uri = odd.parse().unwrap();
        assert_eq!((key.token(), key.object()), ("My token", "clé;1"));
        assert_eq!(key.serial(), Some("0a"));
        assert_eq!(key.pin(), Path::new("/run/pin"));
        assert_eq!(key.to_string().parse::<Pkcs11Uri>().unwrap(), key);
    }

    #[test]
    fn refuses_what_does_not_name_one_key_a_module_and_a_pin_file() {
        for refused in [
            "".to_owned(),
            "pkcs11:".to_owned(),
            GOOD.replace("pkcs11:", "file:"),
            GOOD.replace("token=hsm1;", ""),
            GOOD.replace(";object=server", ""),
            GOOD.replace("object=server", "object="),
            GOOD.replace("object=server", "object=%00"),
            GOOD.replace("object=server", "object=%f"),
            GOOD.replace("object=server", "object=%ff"),
            GOOD.replace("object=server", "object=server;object=other"),
            GOOD.replace("object=server", "object=server;type=public"),
            GOOD.replace("object=server", "object=server;colour=red"),
            GOOD.replace("module-path=/usr/lib/p11.so&", ""),
            GOOD.replace("&pin-source=/run/pin", ""),
            GOOD.replace("pin-source=/run/pin", "pin-value=1234"),
            format!("{GOOD}{}", "a".repeat(MAX_BYTES)),
        ] {
            assert!(refused.parse::<Pkcs11Uri>().is_err(), "{refused}");
        }
    }
}
