//! Kind `function.lua`: a function written in Lua.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, InlineOrFile, one_of, shape};
use crate::field::EntryField;
use crate::parts::{Limits, Pool, Retry, SourceText, retry_in_meta, retry_schema};
use crate::role::Role;
use crate::rule::Rule;
use crate::values::Method;
use crate::yaml::Node;

/// A function written in Lua: `function.lua`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LuaFunction {
    /// Lua source of the script.
    pub source: SourceText,
    /// Name of the function in the table that the script returns.
    pub method: Method,
    /// Modules that the script may `require`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub modules: BTreeSet<LuaModule>,
    /// Pool of workers and Lua states.
    pub pool: Pool,
    /// Resource limits of each call.
    pub limits: Limits,
    /// Retries of failed calls, from `meta.options.retry`.
    #[serde(skip)]
    pub retry: Option<Retry>,
}

/// `function.lua`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = LuaFunction;
    type Fields = LuaFunctionFields;

    const ROLE: Option<Role> = Some(Role::Function);

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<LuaFunction> {
        let retry = retry_in_meta(body.meta, cx);
        let fields = LuaFunctionFields::decode(body.fields, cx)?;
        Some(LuaFunction {
            source: fields.source.into(),
            method: fields.method,
            modules: fields.modules.unwrap_or_default().into_iter().collect(),
            pool: fields.pool.unwrap_or_default(),
            limits: fields.limits.unwrap_or_default(),
            retry: retry?,
        })
    }

    fn meta_schema() -> Json {
        retry_schema()
    }
}

impl KindContent for LuaFunction {
    fn source_file(&self, field: &EntryField) -> Option<&Path> {
        self.source.file().filter(|_| *field == EntryField::Source)
    }
}

/// A module that a script may `require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LuaModule {
    /// Calls to functions of the registry.
    Funcs,
    /// JSON encoding and decoding.
    Json,
    /// Log lines.
    Log,
    /// Clock and sleep.
    Time,
}

impl Decode for LuaModule {
    const EXAMPLE: &'static str = "funcs";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let words = [
            ("funcs", Self::Funcs),
            ("json", Self::Json),
            ("log", Self::Log),
            ("time", Self::Time),
        ];
        one_of(node, &words, Rule::UNKNOWN_VALUE, cx)
    }
}

shape! {
    /// A function written in Lua.
    pub(crate) struct LuaFunctionFields {
        /// Lua script, inline or as `file://path`. It returns a table of functions, or one function.
        source: InlineOrFile,
        /// Name of the function to call.
        method: Method,
        /// Modules that the script may `require`. Default: none.
        modules: Option<Vec<LuaModule>>,
        /// Concurrency of calls, and instances kept ready for them.
        pool: Option<Pool>,
        /// Resource limits of each call.
        limits: Option<Limits>,
    }
}
