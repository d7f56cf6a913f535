//! The adapter file, version 1: what an owner writes, as strict YAML.
//!
//! Only the syntax is here. What the file means against a contract is [`crate::binding`]'s business.

mod field;
mod schema;

use std::collections::BTreeMap;

use entente_config::{ByteSize, DurationText, FilePath, Located, Rate, SecretFile};
use entente_identity::ServiceName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

pub(crate) use field::{Absent, BindSpec, BindType, ColumnType, FieldSpec};
pub(crate) use schema::schema;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdapterFile {
    #[serde(rename = "adapter")]
    _version: Version,
    pub(crate) name: Located<String>,
    /// The full protobuf name of the service.
    #[schemars(with = "String")]
    pub(crate) service: Located<ServiceName>,
    pub(crate) descriptors: Located<Descriptors>,
    pub(crate) sources: BTreeMap<String, Located<SourceSpec>>,
    #[serde(default)]
    pub(crate) limits: LimitsSpec,
    pub(crate) methods: BTreeMap<String, Located<MethodSpec>>,
    #[serde(default)]
    pub(crate) examples: Vec<Located<ExampleSpec>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Version {
    #[serde(rename = "v1")]
    V1,
}

/// Where the contract is.
#[derive(Debug)]
pub(crate) enum Descriptors {
    File(FilePath),
    Registry,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSpec {
    pub(crate) sql: Option<SqlSource>,
    #[serde(default, rename = "soap")]
    #[schemars(skip)]
    _soap: NotInThisBuild,
    #[serde(default, rename = "http")]
    #[schemars(skip)]
    _http: NotInThisBuild,
    #[serde(default, rename = "file")]
    #[schemars(skip)]
    _file: NotInThisBuild,
    #[serde(default, rename = "ldap")]
    #[schemars(skip)]
    _ldap: NotInThisBuild,
}

/// A kind of source that other adapters serve.
#[derive(Debug, Default)]
struct NotInThisBuild;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlSource {
    pub(crate) driver: Driver,
    /// SQLite: the database file.
    pub(crate) file: Option<FilePath>,
    /// PostgreSQL: a host, or the folder of its Unix socket.
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) database: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretFile>,
    #[serde(default)]
    pub(crate) pool: PoolSpec,
    pub(crate) read_only: Option<Located<bool>>,
    pub(crate) statement_timeout: Option<DurationText>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Postgres,
    Sqlite,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolSpec {
    pub(crate) max: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsSpec {
    pub(crate) deadline: Option<DurationText>,
    pub(crate) in_flight: Option<u32>,
    pub(crate) rate: Option<Rate>,
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<ByteLimit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteLimit {
    None,
    At(ByteSize),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodSpec {
    pub(crate) source: Located<String>,
    pub(crate) query: Located<String>,
    #[serde(default)]
    pub(crate) bind: BTreeMap<String, Located<BindSpec>>,
    pub(crate) returns: Option<Located<Returns>>,
    pub(crate) none: Option<NoneSpec>,
    pub(crate) page: Option<Located<PageSpec>>,
    pub(crate) rows_into: Option<Located<String>>,
    pub(crate) batch: Option<Located<u32>>,
    #[serde(default)]
    pub(crate) limits: LimitsSpec,
    pub(crate) writes: Option<Located<bool>>,
    pub(crate) fields: BTreeMap<String, Located<FieldSpec>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Returns {
    List,
    One,
    Stream,
}

/// What is answered when the source has no row.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoneSpec {
    pub(crate) code: Code,
    pub(crate) reason: Located<String>,
}

/// The gRPC codes a file may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Code {
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageSpec {
    #[serde(rename = "keys")]
    _keys: Vec<String>,
    #[serde(rename = "default")]
    _default: u32,
    #[serde(rename = "max")]
    _max: u32,
}

/// One example: a test, and the answer of test mode.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExampleSpec {
    pub(crate) call: String,
    #[serde(default)]
    pub(crate) request: serde_json::Map<String, serde_json::Value>,
    pub(crate) response: Option<serde_json::Map<String, serde_json::Value>>,
    pub(crate) error: Option<ExpectedError>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedError {
    pub(crate) code: Code,
    pub(crate) reason: Option<String>,
    pub(crate) field: Option<String>,
}

// === impl Descriptors ===

impl<'de> Deserialize<'de> for Descriptors {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FileOrRegistry;

        impl<'de> Visitor<'de> for FileOrRegistry {
            type Value = Descriptors;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the path of a descriptor set, or {registry: name@version}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Descriptors, E> {
                text.parse().map(Descriptors::File).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Descriptors, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct InRegistry {
                    #[serde(rename = "registry")]
                    _registry: String,
                }
                InRegistry::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Descriptors::Registry)
            }
        }

        from.deserialize_any(FileOrRegistry)
    }
}

// === impl NotInThisBuild ===

impl<'de> Deserialize<'de> for NotInThisBuild {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom(
            "this kind of source is not in this build; it has sql",
        ))
    }
}

// === impl Driver ===

impl<'de> Deserialize<'de> for Driver {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        match name.as_str() {
            "postgres" => Ok(Self::Postgres),
            "sqlite" => Ok(Self::Sqlite),
            "mysql" | "sqlserver" | "odbc" => Err(de::Error::custom(format!(
                "driver {name} is not in this build; it has postgres and sqlite"
            ))),
            _ => Err(de::Error::custom("expected driver postgres or sqlite")),
        }
    }
}

// === impl ByteLimit ===

impl<'de> Deserialize<'de> for ByteLimit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::At).map_err(de::Error::custom)
    }
}
