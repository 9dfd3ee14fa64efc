//! Errors of linking code.

use crisol_wit::UnsupportedType;

use crate::capability::{DefineError, versions};
use crate::config::EngineError;
use crate::exports::MethodError;

/// Reason that code could not be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The method matches no export, or several.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The function has a parameter or result type without values outside the guest.
    #[error("the export `{method}` cannot be called from outside")]
    Signature {
        /// The export.
        method: String,
        /// The parameter or result, and its type.
        source: UnsupportedType,
    },
    /// The component imports a core module or a component, which no host provides.
    #[error(
        "the component imports {what}, `{name}`, which no host provides: build it into the component"
    )]
    Import {
        /// The import.
        name: String,
        /// Kind of the import.
        what: &'static str,
    },
    /// A function that the embedding program serves is imported with a type that has no plain values.
    #[error("the import `{function}` cannot be served by a host function")]
    HostSignature {
        /// `interface#function`, as imported.
        function: String,
        /// The parameter or result, and its type.
        source: UnsupportedType,
    },
    /// An interface that the embedding program serves is imported with a resource.
    #[error(
        "the component imports `{interface}` with the resource `{resource}`, and host functions take and give plain values"
    )]
    HostResource {
        /// The interface, as imported.
        interface: String,
        /// The resource.
        resource: String,
    },
    /// A core module imports something other than a function, which no host provides.
    #[error(
        "the module imports {what}, `{name}` from `{module}`, which no host provides: define it in the module"
    )]
    CoreImport {
        /// Module name of the import.
        module: String,
        /// Field name of the import.
        name: String,
        /// Kind of the import.
        what: &'static str,
    },
    /// An import's type differs from that of the host's function of the same name.
    #[error("an import has an unexpected type: this host implements {}", versions())]
    Mismatch(#[source] wasmtime::Error),
    /// An engine for this kind of function could not be set up.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<DefineError> for LinkError {
    fn from(error: DefineError) -> Self {
        match error {
            DefineError::Signature { function, source } => Self::HostSignature { function, source },
            DefineError::Resource { interface, resource } => {
                Self::HostResource { interface, resource }
            }
            DefineError::Linker(error) => Self::Mismatch(error),
        }
    }
}
