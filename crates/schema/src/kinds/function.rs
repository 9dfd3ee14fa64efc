//! Value type shared by the kinds of WebAssembly functions.

use std::path::Path;

use serde::Serialize;

use super::definition::KindContent;
use crate::field::EntryField;
use crate::parts::{Code, Limits, Pool, Retry, SourceText, Transport, Wasi};
use crate::values::{Imports, Method};

/// A WebAssembly function: `function.wat` or `function.wasm`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    /// Code of the module or component.
    #[serde(flatten)]
    pub code: Code,
    /// Export to call.
    pub method: Method,
    /// Signature of a core module, as WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<SourceText>,
    /// Pool of workers and instances.
    pub pool: Pool,
    /// Mapping between a call's input and output and the export's arguments and results.
    pub transport: Transport,
    /// Host interfaces granted to the guest.
    #[serde(skip_serializing_if = "Imports::is_empty")]
    pub imports: Imports,
    /// True to reject undeclared imports at load.
    pub strict_imports: bool,
    /// WASI configuration of the guest.
    pub wasi: Wasi,
    /// Resource limits of each call.
    pub limits: Limits,
    /// Retries of failed calls, from `meta.options.retry`.
    #[serde(skip)]
    pub retry: Option<Retry>,
}

impl KindContent for Function {
    fn source_file(&self, field: &EntryField) -> Option<&Path> {
        if *field == EntryField::Wit {
            return self.wit.as_ref()?.file();
        }
        self.code.source_file().filter(|_| *field == EntryField::Source)
    }

    fn code(&self) -> Option<&Code> {
        Some(&self.code)
    }

    fn transport(&self) -> Option<&Transport> {
        Some(&self.transport)
    }
}

/// Builds a function from the fields shared by all guests and `pool`.
macro_rules! into_function {
    ($fields:ident, $code:expr, $retry:expr) => {
        Function {
            code: $code,
            method: $fields.method,
            wit: $fields.wit.map(SourceText::from),
            pool: $fields.pool.unwrap_or_default(),
            transport: $fields.transport.unwrap_or_default(),
            imports: $fields.imports.unwrap_or_default(),
            strict_imports: $fields.strict_imports.unwrap_or(false),
            wasi: $fields.wasi.unwrap_or_default(),
            limits: $fields.limits.unwrap_or_default(),
            retry: $retry,
        }
    };
}

pub(super) use into_function;
