//! Functions of WebAssembly, whatever their code comes from.

use std::path::Path;

use serde::Serialize;

use super::slice::Content;
use crate::parts::{Code, Limits, Pool, Retry, SourceText, Transport, Wasi};
use crate::values::{Imports, Method};

/// A function of WebAssembly: `function.wat` or `function.wasm`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    /// What is compiled.
    #[serde(flatten)]
    pub code: Code,
    /// The export that is called.
    pub method: Method,
    /// The signature of a core module, as WIT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<SourceText>,
    /// How many calls run at once.
    pub pool: Pool,
    /// How a call's input and output become arguments and results.
    pub transport: Transport,
    /// Host interfaces that the guest may use.
    #[serde(skip_serializing_if = "Imports::is_empty")]
    pub imports: Imports,
    /// Whether an import that is not declared is refused at load.
    pub strict_imports: bool,
    /// What the guest gets of the outside.
    pub wasi: Wasi,
    /// What a call may use up.
    pub limits: Limits,
    /// How calls that failed are made again, from `meta.options.retry`.
    #[serde(skip)]
    pub retry: Option<Retry>,
}

impl Content for Function {
    fn source_file(&self, field: &str) -> Option<&Path> {
        match field {
            "source" => self.code.source_file(),
            "wit" => self.wit.as_ref()?.file(),
            _ => None,
        }
    }

    fn code(&self) -> Option<&Code> {
        Some(&self.code)
    }
}

/// Makes a function of the fields that every guest has and `pool`.
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
