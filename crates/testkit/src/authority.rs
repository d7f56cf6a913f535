//! A time-stamping authority: `openssl ts` with a root and a certificate of its own.
//!
//! It answers queries as bytes; carrying them is the test's. [`Authority::sign`] makes tokens that no
//! honest authority would, from a `TSTInfo` that the test altered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use entente_clock::Timestamp;

/// An authority, in a folder.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    /// One reply at a time: `openssl ts` counts serial numbers in a file.
    turn: Mutex<u32>,
}

/// What kind of keys it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// ECDSA over P-256.
    P256,
    /// RSA of 2,048 bits.
    Rsa,
}

/// What a signer's certificate is for, when it is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Time stamping alone, critical: as it must be.
    Good,
    /// Without the extension.
    NoPurpose,
    /// Time stamping, not critical.
    NotCritical,
    /// Time stamping and something else.
    Other,
}

/// How [`Authority::sign`] signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With signed attributes that name the certificate.
    Cades,
    /// Without signed attributes.
    NoAttributes,
    /// With signed attributes that do not name the certificate.
    Plain,
}

// === impl Authority ===

impl Authority {
    /// The policy its tokens are issued under, unless another is asked for.
    pub const POLICY: &str = "1.2.3.4.1";
    /// Another policy it issues tokens under.
    pub const OTHER_POLICY: &str = "1.2.3.4.5";

    /// Sets one up in `dir`, which is created.
    pub fn create(dir: &Path, keys: Keys) -> Self {
        fs::create_dir_all(dir).expect("a folder can be created");
        let this = Self {
            dir: dir.to_owned(),
            turn: Mutex::new(0),
        };
        let pkey: &[&str] = match keys {
            Keys::P256 => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Keys::Rsa => &["-newkey", "rsa:2048"],
        };
        let root = "req -x509 -nodes -keyout root.key -out root.pem -subj /CN=Root -days 3650 \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign";
        this.openssl(&[&words(root)[..], pkey].concat());
        let request = "req -new -nodes -keyout tsa.key -out tsa.csr -subj /CN=Authority";
        this.openssl(&[&words(request)[..], pkey].concat());
        let stamping = "extendedKeyUsage=";
        for (signer, purpose) in [
            (Signer::Good, Some("critical,timeStamping")),
            (Signer::NoPurpose, None),
            (Signer::NotCritical, Some("timeStamping")),
            (Signer::Other, Some("critical,timeStamping,codeSigning")),
        ] {
            let mut extensions = "keyUsage=critical,digitalSignature\n".to_owned();
            if let Some(purpose) = purpose {
                extensions += &format!("{stamping}{purpose}\n");
            }
            this.write("extensions", extensions.as_bytes());
            this.openssl(&words(&format!(
                "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 \
                 -extfile extensions -out {}.pem",
                signer.file()
            )));
        }
        this.write("ts.cnf", CONFIG.as_bytes());
        this.write("serial", b"01\n");
        this
    }

    /// Its root, in PEM.
    pub fn root(&self) -> Vec<u8> {
        self.read("root.pem")
    }

    /// Where its root is.
    pub fn root_file(&self) -> PathBuf {
        self.dir.join("root.pem")
    }

    /// Answers a query as the authority does.
    pub fn reply(&self, query: &[u8]) -> Vec<u8> {
        let mut turn = self.turn.lock().expect("no reply panics");
        *turn += 1;
        self.write("query.tsq", query);
        self.openssl(&words(
            "ts -reply -config ts.cnf -queryfile query.tsq -out reply.tsr",
        ));
        self.read("reply.tsr")
    }

    /// The token in a reply.
    pub fn token_of(&self, reply: &[u8]) -> Vec<u8> {
        let _turn = self.turn.lock().expect("no reply panics");
        self.write("in.tsr", reply);
        self.openssl(&words("ts -reply -in in.tsr -token_out -out out.der"));
        self.read("out.der")
    }

    /// The `TSTInfo` in a token.
    pub fn info_of(&self, token: &[u8]) -> Vec<u8> {
        let _turn = self.turn.lock().expect("no reply panics");
        self.write("in.der", token);
        self.openssl(&words(
            "cms -verify -noverify -inform DER -in in.der -out info.der -binary",
        ));
        self.read("info.der")
    }

    /// Signs a `TSTInfo` into a token, in whatever form.
    pub fn sign(&self, info: &[u8], signer: Signer, form: Form) -> Vec<u8> {
        let _turn = self.turn.lock().expect("no reply panics");
        self.write("info.der", info);
        let form = match form {
            Form::Cades => "-cades",
            Form::NoAttributes => "-noattr",
            Form::Plain => "-nosmimecap",
        };
        self.openssl(&words(&format!(
            "cms -sign -nodetach -binary -md sha256 -outform DER -in info.der -out out.der {form} \
             -econtent_type id-smime-ct-TSTInfo -signer {}.pem -inkey tsa.key",
            signer.file()
        )));
        self.read("out.der")
    }

    /// A token like this one that states a time so much later; earlier would be before its certificate.
    pub fn later(&self, token: &[u8], by: Duration) -> Vec<u8> {
        let mut info = self.info_of(token);
        let at = info.windows(3).position(|w| w == [0x18, 15, b'2']);
        let time = &mut info[at.expect("a time") + 2..][..14];
        let text = String::from_utf8(time.to_vec()).expect("digits");
        let part = |range| text.get(range).expect("14 digits");
        let (date, clock) = (
            [part(0..4), part(4..6), part(6..8)].join("-"),
            [part(8..10), part(10..12), part(12..14)].join(":"),
        );
        let stated: Timestamp = format!("{date}T{clock}Z").parse().expect("a time");
        let later = stated.saturating_add(by);
        let digits = later.to_string().replace(['-', ':', 'T'], "");
        time.copy_from_slice(&digits.as_bytes()[..14]);
        self.sign(&info, Signer::Good, Form::Cades)
    }

    /// Whether `openssl ts -verify` accepts a token over `content` under this authority's root.
    pub fn accepts(&self, token: &[u8], content: &[u8]) -> bool {
        let _turn = self.turn.lock().expect("no reply panics");
        self.write("in.der", token);
        self.write("content", content);
        let verify = "ts -verify -data content -in in.der -token_in -CAfile root.pem";
        let output = self.run(&words(verify));
        output.status.success()
    }

    fn openssl(&self, args: &[&str]) {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "openssl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        let started = Command::new("openssl")
            .args(args)
            .current_dir(&self.dir)
            .output();
        started.expect("openssl is installed; `cargo xtask test` installs it")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.join(name), bytes).expect("the folder can be written");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).expect("openssl wrote it")
    }
}

// === impl Signer ===

impl Signer {
    const fn file(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NoPurpose => "no-purpose",
            Self::NotCritical => "not-critical",
            Self::Other => "other",
        }
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

const CONFIG: &str = "\
[tsa]
default_tsa = tsa1
[tsa1]
serial = serial
crypto_device = builtin
signer_cert = good.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha256
accuracy = secs:1, millisecs:500
ess_cert_id_alg = sha256
";
