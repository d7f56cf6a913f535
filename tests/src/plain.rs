//! Both ends of an exchange as they stand on the wire: a provider's system that says any bytes, and a
//! consumer's that sees every byte that comes back.

mod onlooker;
mod puppet;

pub use onlooker::{Onlooker, Seen};
pub use puppet::{Heard, Puppet, Says};

/// A message as gRPC frames it: uncompressed, with its length.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message below 4 GiB");
    [&[0], &length.to_be_bytes()[..], message].concat()
}
