//! Functions written in Lua.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::slice::{Body, Content, Slice};
use crate::decode::{Cx, Decode, Source, one_of, shape};
use crate::parts::{Limits, Pool, Retry, SourceText, retry_in, retry_schema};
use crate::role::Role;
use crate::rule::Rule;
use crate::values::Method;
use crate::yaml::Node;

/// A function written in Lua: `function.lua`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LuaFunction {
    /// The script.
    pub source: SourceText,
    /// The function in the table that the script returns.
    pub method: Method,
    /// What the script may `require`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub modules: BTreeSet<LuaModule>,
    /// How many calls run at once.
    pub pool: Pool,
    /// What a call may use up.
    pub limits: Limits,
    /// How calls that failed are made again, from `meta.options.retry`.
    #[serde(skip)]
    pub retry: Option<Retry>,
}

/// `function.lua`.
pub(super) enum This {}

impl Slice for This {
    type Value = LuaFunction;
    type Fields = LuaFunctionFields;

    const ROLE: Option<Role> = Some(Role::Function);

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<LuaFunction> {
        let retry = retry_in(body.meta, cx);
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

impl Content for LuaFunction {
    fn source_file(&self, field: &str) -> Option<&Path> {
        match field {
            "source" => self.source.file(),
            _ => None,
        }
    }
}

/// A module that a script may `require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LuaModule {
    /// Calls to functions of the registry.
    Funcs,
    /// JSON text.
    Json,
    /// Lines to the log.
    Log,
    /// The time, and waiting.
    Time,
}

impl Decode for LuaModule {
    const EXAMPLE: &'static str = "funcs";

    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
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
        /// The script, in place or as `file://path`. It returns a table of functions, or one function.
        source: Source,
        /// The function to call.
        method: Method,
        /// Modules that the script may `require`. Default: none.
        modules: Option<Vec<LuaModule>>,
        /// How many calls run at once, and what is kept ready for them.
        pool: Option<Pool>,
        /// What a call may use up.
        limits: Option<Limits>,
    }
}
