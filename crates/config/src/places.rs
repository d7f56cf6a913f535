//! Where each value of a document is written, for whoever asks where a setting comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::document::{Located, parse};
use crate::error::ConfigError;

/// A value of any shape, as far as its place matters.
enum Node {
    List(Vec<Located<Self>>),
    Map(Vec<(String, Located<Self>)>),
    Scalar,
}

struct AnyNode;

/// The line of each value in a text, from 1, by its path: `limits.drain`, `callers[0].unix`. Of lists and maps
/// the line of what is in them counts; an empty one has its own.
///
/// # Errors
/// When it is not strict YAML 1.2.
pub fn places(text: &str, name: &str) -> Result<BTreeMap<String, u64>, ConfigError> {
    let node: Located<Node> = parse(text, name)?;
    let mut places = BTreeMap::new();
    collect(&node, String::new(), &mut places);
    Ok(places)
}

fn collect(node: &Located<Node>, path: String, places: &mut BTreeMap<String, u64>) {
    match &node.value {
        Node::Map(items) if !items.is_empty() => {
            for (key, value) in items {
                let path = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                collect(value, path, places);
            }
        }
        Node::List(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                collect(value, format!("{path}[{index}]"), places);
            }
        }
        Node::List(_) | Node::Map(_) | Node::Scalar => {
            places.insert(path, node.line);
        }
    }
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyNode)
    }
}

// === impl AnyNode ===

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        Node::deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(item) = items.next_entry()? {
            map.push(item);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_the_line_it_is_written_on() {
        let text = "server: a/b/@c\n# a comment\nlimits:\n  drain: 30s\n  in_flight: 5\n\
                    callers:\n  - unix: ./x\n  - { loopback: { listen: \"127.0.0.1:1\", on: true } }\nnone: []\n";
        let places = places(text, "test").unwrap();
        let found: Vec<(&str, u64)> = places.iter().map(|(key, line)| (&**key, *line)).collect();
        assert_eq!(
            found,
            [
                ("callers[0].unix", 7),
                ("callers[1].loopback.listen", 8),
                ("callers[1].loopback.on", 8),
                ("limits.drain", 4),
                ("limits.in_flight", 5),
                ("none", 9),
                ("server", 1),
            ]
        );
        assert!(super::places("a: 1\na: 2\n", "test").is_err());
    }
}
