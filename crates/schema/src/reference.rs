//! References between entries, by role of the target.

use std::marker::PhantomData;

use crisol_core::EntryId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{Decode, DecodeContext, text};
use crate::problems::Report;
use crate::role::Role;
use crate::rule::Rule;
use crate::yaml::{Node, quote};

/// Maximum length of an id in bytes: two names and a colon.
const MAX_ID: usize = 401;

/// A role as a type, for typed reference fields.
pub(crate) trait RoleType {
    const ROLE: Role;
    const EXAMPLE: &'static str;
}

macro_rules! targets {
    ($($name:ident, $example:literal;)*) => {
        $(#[derive(Debug)] pub(crate) enum $name {}
        impl RoleType for $name {
            const ROLE: Role = Role::$name;
            const EXAMPLE: &'static str = $example;
        })*
    };
}

targets! {
    Folder, "namespace:folder";
    Function, "namespace:function";
    Variable, "namespace:variable";
    Storage, "namespace:storage";
    Service, "namespace:service";
    Router, "namespace:router";
}

/// Id of an entry that plays a role, written `ns:name`, or `name` in the same namespace. Decoding records the
/// reference for linking.
#[derive(Debug)]
pub(crate) struct Ref<T> {
    pub(crate) id: EntryId,
    target: PhantomData<T>,
}

impl<T: RoleType> Decode for Ref<T> {
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let text = text(node, "text", Self::EXAMPLE, cx)?;
        // The message quotes the whole text, so its length must be limited.
        if text.len() > MAX_ID {
            let message = format!("{} is not an id: it is {} bytes long", quote(text), text.len());
            let help = format!("ids have at most {MAX_ID} bytes");
            cx.report(node.span, Report::error(Rule::BAD_NAME, message).help(help));
            return None;
        }
        match EntryId::resolve(text, &cx.namespace) {
            Ok(id) => {
                cx.link(node.span, &id, T::ROLE);
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

impl<T: RoleType> JsonSchema for Ref<T> {
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
