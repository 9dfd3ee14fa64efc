//! Fields of a map: known or unknown, present or missing.

use std::sync::Arc;

use crisol_core::suggest;

use super::context::{Decode, DecodeContext};
use crate::problems::Report;
use crate::rule::Rule;
use crate::yaml::{Data, Node, Pair, quote};

/// A map whose fields are being decoded.
pub(crate) struct Fields<'n> {
    node: &'n Node,
    /// Fields present under a misspelt name. They are not reported as missing too.
    misspelt: Vec<String>,
    /// Unknown fields without a similar known one.
    unknown: Vec<&'n str>,
}

/// Returns the known field most similar to an unknown key; absent fields first.
fn nearest_field<'k>(node: &Node, key: &str, known: &[&'k str]) -> Option<&'k str> {
    let absent: Vec<&str> = known.iter().filter(|name| node.get(name).is_none()).copied().collect();
    suggest::nearest_word(key, &absent).or_else(|| suggest::nearest(key, known.iter().copied()))
}

/// Corrects misspelt keys for the fields `wanted`. Returns the corrected map and the original pairs with
/// their intended fields, or `None` if there are none. Compares nothing if all of the fields are present.
pub(crate) fn correct_misspelt(
    node: &Node,
    known: &[&str],
    wanted: &[&'static str],
) -> Option<(Node, Vec<(Pair, &'static str)>)> {
    let mut pairs = node.pairs().to_vec();
    let mut found: Vec<(Pair, &'static str)> = Vec::new();
    for name in wanted.iter().filter(|name| node.get(name).is_none()) {
        let is_meant = |pair: &&mut Pair| {
            !known.contains(&&*pair.key) && suggest::nearest(&pair.key, [*name]).is_some()
        };
        if let Some(pair) = pairs.iter_mut().find(is_meant) {
            found.push((pair.clone(), name));
            pair.key = (*name).into();
        }
    }
    (!found.is_empty()).then(|| (Node::new(node.span, Data::Map(pairs)), found))
}

/// Reports an unknown field in a map; `what` is the map's name.
pub(crate) fn report_unknown_field(
    pair: &Pair,
    what: &str,
    help: String,
    cx: &mut DecodeContext<'_>,
) {
    let message = format!("{what} has no field {}", quote(&pair.key));
    let report = Report::error(Rule::UNKNOWN_FIELD, message).help(help);
    cx.within(&pair.key, |cx| cx.report(pair.key_span, report));
}

impl<'n> Fields<'n> {
    /// Opens a map and reports its unknown fields.
    pub(crate) fn open(node: &'n Node, known: &[&str], cx: &mut DecodeContext<'_>) -> Option<Self> {
        let Data::Map(pairs) = &node.data else {
            let example = known.first().map_or_else(String::new, |field| format!("{{{field}: …}}"));
            cx.wrong_type(node, "a map of fields", &example);
            return None;
        };
        let mut fields = Self { node, misspelt: Vec::new(), unknown: Vec::new() };
        for pair in pairs.iter().filter(|pair| !known.contains(&&*pair.key)) {
            let known_here = if cx.diagnostics.is_full() { &[] } else { known };
            let help = match nearest_field(node, &pair.key, known_here) {
                Some(near) => {
                    cx.misspelt(near);
                    fields.misspelt.push(near.to_owned());
                    format!("did you mean `{near}`?")
                }
                None => {
                    fields.unknown.push(&pair.key);
                    match known {
                        [] => "remove it: no fields are allowed here".to_owned(),
                        known => format!("its fields are {}", suggest::list(known)),
                    }
                }
            };
            report_unknown_field(pair, &cx.current_name(), help, cx);
        }
        Some(fields)
    }

    /// Decodes a field, or reports that it is missing.
    pub(crate) fn take<T: Decode>(&self, name: &str, cx: &mut DecodeContext<'_>) -> Option<T> {
        match (self.node.get(name), T::absent()) {
            (Some(value), Some(absent)) if value.is_null() => Some(absent),
            (Some(value), None) if value.is_null() => self.missing::<T>(name, cx),
            (Some(value), _) => cx.within(name, |cx| T::decode(value, cx)),
            (None, Some(absent)) => Some(absent),
            (None, None) => self.missing::<T>(name, cx),
        }
    }

    fn missing<T: Decode>(&self, name: &str, cx: &mut DecodeContext<'_>) -> Option<T> {
        if self.misspelt.iter().any(|one| one == name) {
            return None;
        }
        let add = T::REMEDY.map_or_else(|| format!("add `{name}: {}`", T::EXAMPLE), str::to_owned);
        let help = match self.unknown.as_slice() {
            [key] => format!("{add}, or rename {} to `{name}`", quote(key)),
            _ => add,
        };
        let report =
            Report::error(Rule::MISSING_FIELD, format!("{} needs `{name}`", cx.current_name()))
                .help(help);
        let span = self.node.pair(name).map_or(self.node.span, |pair| pair.key_span);
        cx.within(name, |cx| cx.report(span, report));
        None
    }
}

/// Strips the `r#` that `stringify!` keeps of a raw identifier.
pub(crate) const fn field_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Declares the fields of a map once: as a struct, as its reader and, through schemars, as its JSON Schema.
/// The doc comments become its descriptions.
macro_rules! shape {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $vis struct $name {
            $($(#[$field_meta])* pub(crate) $field: $type,)*
        }

        impl $name {
            /// Names of the fields.
            pub(crate) const FIELDS: &'static [&'static str] =
                &[$($crate::decode::field_name(stringify!($field))),*];
        }

        impl $crate::decode::Decode for $name {
            const EXAMPLE: &'static str = "{…}";

            fn decode(
                node: &$crate::yaml::Node,
                cx: &mut $crate::decode::DecodeContext<'_>,
            ) -> Option<Self> {
                let fields = $crate::decode::Fields::open(node, Self::FIELDS, cx)?;
                // All fields are decoded before the first `?`, so that each reports its own problem.
                $(let $field = fields.take($crate::decode::field_name(stringify!($field)), cx);)*
                let _ = &fields;
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

pub(crate) use shape;

impl<T: Decode> Decode for Vec<T> {
    const EXAMPLE: &'static str = "[…]";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let Data::List(items) = &node.data else {
            cx.wrong_type(node, "a list", &format!("[{}]", T::EXAMPLE));
            return None;
        };
        let read = |(at, item): (usize, &Arc<Node>)| {
            cx.within(&format!("[{at}]"), |cx| T::decode(item, cx))
        };
        let read: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect()
    }
}
