//! Entente's own contracts: generated messages and services, and their descriptor sets.
//!
//! The `.proto` files lie under `proto/entente/<area>/v1/`. They are compiled at build time without
//! protoc. Every `bytes` field is [`bytes::Bytes`], so that a payload is shared and never copied.
//!
//! Nothing here decides anything: what the options mean is `entente-contract`'s business.

pub mod raw;
pub mod status;

/// The options a contract carries: `(entente.v1.privacy)` and `(entente.v1.access)`.
#[allow(clippy::all, missing_docs, unreachable_pub, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("entente.v1");
}

/// The protocol between two security servers.
pub mod exchange {
    /// Version 1.
    #[allow(clippy::all, clippy::use_self, clippy::or_fun_call, missing_docs)]
    #[allow(unreachable_pub, unused_qualifications)]
    pub mod v1 {
        tonic::include_proto!("entente.exchange.v1");
    }
}

/// The central registry.
pub mod registry {
    /// Version 1.
    #[allow(clippy::all, clippy::use_self, clippy::or_fun_call, missing_docs)]
    #[allow(unreachable_pub, unused_qualifications)]
    pub mod v1 {
        tonic::include_proto!("entente.registry.v1");
    }
}

/// Reading a ledger.
pub mod oversight {
    /// Version 1.
    #[allow(clippy::all, clippy::use_self, clippy::or_fun_call, missing_docs)]
    #[allow(unreachable_pub, unused_qualifications)]
    pub mod v1 {
        tonic::include_proto!("entente.oversight.v1");
    }
}

/// What an adapter says about itself.
pub mod adapter {
    /// Version 1.
    #[allow(clippy::all, clippy::use_self, clippy::or_fun_call, missing_docs)]
    #[allow(unreachable_pub, unused_qualifications)]
    pub mod v1 {
        tonic::include_proto!("entente.adapter.v1");
    }
}

/// Contracts of the demonstration.
pub mod demo {
    /// The register of deaths.
    pub mod vitalevents {
        /// Version 1.
        #[allow(clippy::all, clippy::use_self, clippy::or_fun_call, missing_docs)]
        #[allow(unreachable_pub, unused_qualifications)]
        pub mod v1 {
            tonic::include_proto!("entente.demo.vitalevents.v1");
        }
    }
}

/// Every contract here as an encoded `google.protobuf.FileDescriptorSet`, imports and options
/// included, comments left out. For reflection and for tools.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/entente.binpb"));

/// The demonstration's contract alone, with its imports: what its provider publishes.
pub const VITAL_EVENTS_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/vital_events.binpb"));

/// Field number of the `(entente.v1.privacy)` option.
pub const PRIVACY_OPTION: u32 = 50_201;

/// Field number of the `(entente.v1.access)` option.
pub const ACCESS_OPTION: u32 = 50_202;

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn descriptor_sets_keep_the_options_and_stand_alone() {
        for set in [DESCRIPTOR_SET, VITAL_EVENTS_DESCRIPTOR_SET] {
            let pool = DescriptorPool::decode(set).unwrap();
            let privacy = pool.get_extension_by_name("entente.v1.privacy").unwrap();
            assert_eq!(privacy.number(), PRIVACY_OPTION);
            let access = pool.get_extension_by_name("entente.v1.access").unwrap();
            assert_eq!(access.number(), ACCESS_OPTION);
            let request = pool
                .get_message_by_name("entente.demo.vitalevents.v1.LookupDeathRequest")
                .unwrap();
            let options = request
                .get_field_by_name("person_number")
                .unwrap()
                .options();
            let privacy = options.get_extension(&privacy);
            let element = privacy
                .as_message()
                .unwrap()
                .get_field_by_name("element")
                .unwrap();
            assert_eq!(element.as_str(), Some("person.number"));
        }
    }

    #[test]
    fn bytes_fields_are_shared_not_copied() {
        let wire = {
            use prost::Message as _;
            let open = exchange::v1::Open {
                sealed: vec![7; 64].into(),
                ..Default::default()
            };
            bytes::Bytes::from(open.encode_to_vec())
        };
        let open: exchange::v1::Open = prost::Message::decode(wire.clone()).unwrap();
        assert!(wire.as_ptr_range().contains(&open.sealed.as_ptr()));
    }
}
