//! Kind `function.wat`: a function in the WebAssembly text format.

use serde_json::Value as Json;

use super::definition::{EntryBody, KindDefinition, Placeholder};
use super::function::{Function, into_function};
use crate::decode::{Decode, DecodeContext, InlineOrFile};
use crate::parts::{
    Code, Pool, SourceText, guest_shape, retry_in_meta, retry_schema, warn_ungranted,
};
use crate::role::Role;

/// `function.wat`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = Function;
    type Fields = FunctionWatFields;

    const ROLE: Option<Role> = Some(Role::Function);
    const PLACEHOLDERS: &'static [Placeholder] = &[Placeholder::Method];

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<Function> {
        let retry = retry_in_meta(body.meta, cx);
        let fields = FunctionWatFields::decode(body.fields, cx)?;
        let code = Code::Wat { source: fields.source.into() };
        let function = into_function!(fields, code, retry?);
        warn_ungranted(body.fields, &function.wasi, &function.imports, cx);
        Some(function)
    }

    fn meta_schema() -> Json {
        retry_schema()
    }
}

guest_shape! {
    /// A function written in the WebAssembly text format.
    struct FunctionWatFields {
        /// WebAssembly text of a core module or a component, inline or as `file://path`.
        source: InlineOrFile,
        /// Concurrency of calls, and instances kept ready for them.
        pool: Option<Pool>,
    }
}
