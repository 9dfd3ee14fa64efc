//! References from one entry to another, by kind of target.

use std::marker::PhantomData;

use crisol_core::EntryId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{Cx, Decode, text};
use crate::kind::KindName;
use crate::problems::Report;
use crate::rule::Rule;
use crate::yaml::{Node, quote};

/// The longest id: two names and a colon, in bytes.
const MAX_ID: usize = 401;

/// What a reference may point at.
pub(crate) trait Target {
    const KINDS: &'static [KindName];
    const EXAMPLE: &'static str;
}

macro_rules! targets {
    ($($name:ident => $kinds:expr, $example:literal;)*) => {
        $(#[derive(Debug)] pub(crate) enum $name {}
        impl Target for $name {
            const KINDS: &'static [KindName] = $kinds;
            const EXAMPLE: &'static str = $example;
        })*
    };
}

targets! {
    Folder => &[KindName::FsDirectory], "namespace:folder";
    Function => KindName::FUNCTIONS, "namespace:function";
    Variable => &[KindName::EnvVariable], "namespace:variable";
    Storage => KindName::STORAGES, "namespace:storage";
    Service => &[KindName::HttpService], "namespace:service";
    Router => &[KindName::HttpRouter], "namespace:router";
}

/// The id of an entry of certain kinds, written `ns:name`, or `name` for the own namespace. Reading one
/// notes it for linking.
#[derive(Debug)]
pub(crate) struct Ref<T> {
    pub(crate) id: EntryId,
    target: PhantomData<T>,
}

impl<T: Target> Decode for Ref<T> {
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let text = text(node, "text", Self::EXAMPLE, cx)?;
        // The error has the whole text in it, which an id's length bounds.
        if text.len() > MAX_ID {
            let message = format!("{} is no id: it is {} bytes long", quote(text), text.len());
            let help = format!("ids have at most {MAX_ID} bytes");
            cx.report(node.span, Report::error(Rule::BAD_NAME, message).help(help));
            return None;
        }
        match EntryId::resolve(text, &cx.namespace) {
            Ok(id) => {
                cx.link(node.span, &id, T::KINDS);
                Some(Self { id, target: PhantomData })
            }
            Err(error) => {
                let help = "write `namespace:name`, or `name` for an entry of this namespace";
                cx.report(node.span, Report::error(Rule::BAD_NAME, error.to_string()).help(help));
                None
            }
        }
    }
}

impl<T: Target> JsonSchema for Ref<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([A-Za-z0-9_][A-Za-z0-9_.-]*:)?[A-Za-z0-9_][A-Za-z0-9_.-]*$"
        })
    }
}
