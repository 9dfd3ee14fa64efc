//! Functions of the embedding program that guests may import, by interface.
//!
//! They are defined for each component at link time, from the types of its imports. Type mismatches are thus
//! found when an entry loads, and a call needs no lookup.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use crisol_core::{BoxError, EntryId, Signature, Value};
use crisol_wit::HostMapping;
use semver::Version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::component::{Linker, LinkerInstance, Val};

use super::{Capability, DefineError, ImportedInterface};
use crate::config::VariantKey;
use crate::host::Host;
use crate::releases::{Interface, Release, Ungranted, parse};

mod define;

/// An interface that the embedding program serves itself, with its functions.
///
/// A function is a closure over serde types: a tuple takes the arguments in order, a struct by name, and `()`
/// takes none. Its return value becomes the result. If the WIT result is a `result`, the return value is the
/// ok side, and [`HostError::answer`] makes the error side.
///
/// ```
/// use crisol_engine::{HostCall, HostError, HostInterface};
///
/// let users = HostInterface::new("acme:app/users@1.0.0")?
///     // find: func(id: u32) -> result<string, string>
///     .function("find", |_: HostCall, (id,): (u32,)| async move {
///         match id {
///             7 => Ok("Ann".to_owned()),
///             _ => Err(HostError::answer("no such user")),
///         }
///     });
/// assert_eq!(users.name(), "acme:app/users@1.0.0");
/// # Ok::<(), crisol_engine::HostInterfaceError>(())
/// ```
///
/// The future of a function is dropped when its call is aborted: at the deadline, or when no caller waits for
/// it any longer.
#[derive(Clone)]
pub struct HostInterface {
    name: String,
    /// Byte length of the name without its version.
    bare: usize,
    version: Option<Version>,
    functions: BTreeMap<String, Function>,
}

/// Error for an invalid or reserved interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostInterfaceError {
    /// The text does not have the form of an interface name.
    #[error(
        "invalid interface name `{name}`: write `namespace:package/interface`, in lower case with `-` between words, and append `@1.2.3` if it has a version"
    )]
    Form {
        /// The given name.
        name: String,
    },
    /// The package is reserved for the runtime.
    #[error(
        "reserved interface name `{name}`: the namespaces `wasi`, `wippy` and `crisol` belong to the runtime, so use another"
    )]
    Reserved {
        /// The given name.
        name: String,
    },
}

/// Context of a call to a host function.
#[derive(Debug, Clone)]
pub struct HostCall {
    entry: Option<EntryId>,
    deadline: Option<Instant>,
    signature: Arc<Signature>,
}

impl HostCall {
    /// The entry whose guest calls.
    #[must_use]
    pub fn entry(&self) -> Option<&EntryId> {
        self.entry.as_ref()
    }

    /// The deadline of the guest's own call, which also bounds this one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The function's signature, as the guest imports it.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }
}

/// Reason that a host function has no result.
///
/// The operator `?` converts any other error ([`HostError::failed`] also takes a text): it ends the guest's call
/// as a failure of the host, which the guest does not see.
pub struct HostError(Repr);

enum Repr {
    Answer(Value),
    Failed(BoxError),
}

impl HostError {
    /// The error side of the function's own `result`, which the guest receives.
    #[must_use]
    pub fn answer(error: impl Serialize) -> Self {
        match Value::from_serialize(&error) {
            Ok(value) => Self(Repr::Answer(value)),
            Err(error) => Self::failed(error),
        }
    }

    /// A failure of the host, which ends the call that the guest is serving.
    #[must_use]
    pub fn failed(error: impl Into<BoxError>) -> Self {
        Self(Repr::Failed(error.into()))
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for HostError {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}

impl fmt::Debug for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Answer(value) => f.debug_tuple("Answer").field(value).finish(),
            Repr::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Option<Val>, BoxError>> + Send>>;
type Function = Arc<dyn Fn(HostCall, Arc<HostMapping>, Vec<Val>) -> Answer + Send + Sync>;

impl HostInterface {
    /// Creates an interface without functions. Guests import it by this name, in this version or one that is
    /// compatible by semantic versioning.
    ///
    /// # Errors
    /// Fails when `name` is not an interface name, or is in a package of the runtime's own.
    pub fn new(name: impl Into<String>) -> Result<Self, HostInterfaceError> {
        let name = name.into();
        let Some((bare, version)) = parse_name(&name) else {
            return Err(HostInterfaceError::Form { name });
        };
        let bare = bare.len();
        if is_reserved(&name) {
            return Err(HostInterfaceError::Reserved { name });
        }
        Ok(Self { name, bare, version, functions: BTreeMap::new() })
    }

    /// Adds a function under its WIT name, replacing one of the same name.
    #[must_use]
    pub fn function<A, R, F>(
        self,
        name: impl Into<String>,
        body: impl Fn(HostCall, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
        F: Future<Output = Result<R, HostError>> + Send + 'static,
    {
        let body = move |call, mapping: Arc<HostMapping>, args: Vec<Val>| -> Answer {
            // Lifting happens before the first await, so the future does not hold the arguments.
            let answer = mapping.lift(&args).map(|args| body(call, args));
            Box::pin(async move {
                match answer?.await {
                    Ok(answer) => Ok(mapping.lower(&answer)?),
                    Err(error) => error.lower(&mapping),
                }
            })
        };
        self.with(name.into(), Arc::new(body))
    }

    /// Adds a function whose argument and result types are known only at the call, from
    /// [`HostCall::signature`], replacing one of the same name.
    #[must_use]
    pub fn function_values<F>(
        self,
        name: impl Into<String>,
        body: impl Fn(HostCall, Vec<Value>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Value, HostError>> + Send + 'static,
    {
        let body = move |call, mapping: Arc<HostMapping>, args: Vec<Val>| -> Answer {
            let answer = mapping.lift_values(&args).map(|args| body(call, args));
            Box::pin(async move {
                match answer?.await {
                    Ok(answer) => Ok(mapping.lower_value(answer)?),
                    Err(error) => error.lower(&mapping),
                }
            })
        };
        self.with(name.into(), Arc::new(body))
    }

    fn with(mut self, name: String, function: Function) -> Self {
        self.functions.insert(name, function);
        self
    }

    /// The interface name, including any version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without its version, by which `imports` grants it.
    #[must_use]
    pub fn bare_name(&self) -> &str {
        self.name.get(..self.bare).unwrap_or(&self.name)
    }
}

impl HostError {
    fn lower(self, mapping: &HostMapping) -> Result<Option<Val>, BoxError> {
        match self.0 {
            Repr::Answer(error) => Ok(mapping.lower_error(error)?),
            Repr::Failed(error) => Err(error),
        }
    }
}

impl fmt::Debug for HostInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostInterface")
            .field("name", &self.name)
            .field("functions", &self.functions.keys())
            .finish_non_exhaustive()
    }
}

/// The interfaces of the embedding program, defined for each component that imports them.
#[derive(Debug, Default)]
pub(crate) struct HostInterfaces {
    interfaces: Vec<HostInterface>,
    /// The release of each interface, in the same order.
    releases: Vec<Release>,
}

impl HostInterfaces {
    /// Merges interfaces with the same name; the later definition of a function wins.
    pub(crate) fn new(interfaces: Vec<HostInterface>) -> Self {
        let mut all: Vec<HostInterface> = Vec::new();
        for interface in interfaces {
            match all.iter_mut().find(|one| one.name == interface.name) {
                Some(one) => one.functions.extend(interface.functions),
                None => all.push(interface),
            }
        }
        let releases = all.iter().map(HostInterface::release).collect();
        Self { interfaces: all, releases }
    }

    /// Finds the interface that serves an import, by the name in the guest.
    fn serving(&self, import: &str) -> Option<&HostInterface> {
        let (bare, version) = parse(import)?;
        let is_served = |release: &Release| release.serving(bare, version.as_ref()).is_some();
        self.interfaces.get(self.releases.iter().position(is_served)?)
    }
}

impl HostInterface {
    fn release(&self) -> Release {
        let name = Cow::Owned(self.bare_name().to_owned());
        let interface = Interface { name, ungranted: Ungranted::Denied };
        let version = self.version.clone();
        Release { family: "", version, interfaces: Cow::Owned(vec![interface]) }
    }
}

impl Capability for HostInterfaces {
    fn releases(&self) -> &[Release] {
        &self.releases
    }

    fn add_to_linker(&self, _: &mut Linker<Host>, _: VariantKey) -> wasmtime::Result<()> {
        Ok(())
    }

    fn define(
        &self,
        import: &ImportedInterface<'_>,
        into: &mut LinkerInstance<'_, Host>,
    ) -> Result<(), DefineError> {
        self.serving(import.name).map_or(Ok(()), |interface| interface.define(import, into))
    }

    fn would_define(&self, import: &str, function: &str) -> bool {
        self.serving(import).is_some_and(|interface| interface.functions.contains_key(function))
    }
}

/// Splits a name into `namespace:package/interface` and its version, if it has that form.
fn parse_name(name: &str) -> Option<(&str, Option<Version>)> {
    let (bare, version) = parse(name)?;
    let (package, interface) = bare.split_once('/')?;
    let (namespace, package) = package.split_once(':')?;
    [namespace, package, interface].into_iter().all(is_label).then_some((bare, version))
}

/// Returns true for words joined by `-`, each a letter followed by letters and digits.
fn is_label(text: &str) -> bool {
    text.split('-').all(|word| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

fn is_reserved(name: &str) -> bool {
    ["wasi:", "wippy:", "crisol:"].iter().any(|namespace| name.starts_with(namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_package_and_an_interface() {
        for name in ["acme:app/greeter", "acme:app/greeter@1.0.0", "a1:b-c/d-e2@0.1.0-rc.1"] {
            assert!(HostInterface::new(name).is_ok(), "{name}");
        }
        for name in ["", "greeter", "app/greeter", "acme:greeter", "acme:app/", "Acme:app/x"] {
            let error = HostInterface::new(name).err();
            assert_eq!(error, Some(HostInterfaceError::Form { name: name.to_owned() }));
        }
        for name in ["acme:app/greeter@", "acme:app/greeter@1", "acme:app/a--b", "acme:a/b/c"] {
            assert!(HostInterface::new(name).is_err(), "{name}");
        }
        for name in ["wasi:cli/stdout@0.2.0", "crisol:runtime/funcs", "wippy:runtime/funcs"] {
            let error = HostInterface::new(name).err();
            assert_eq!(error, Some(HostInterfaceError::Reserved { name: name.to_owned() }));
        }
    }

    #[test]
    fn an_import_of_a_compatible_version_is_served() -> Result<(), HostInterfaceError> {
        let serves = |own: &str, import: &str| -> Result<bool, HostInterfaceError> {
            let all = HostInterfaces::new(vec![HostInterface::new(own)?]);
            Ok(all.serving(import).is_some())
        };
        for (own, import, expected) in [
            ("a:b/c", "a:b/c", true),
            ("a:b/c", "a:b/d", false),
            ("a:b/c", "a:b/c@1.0.0", false),
            ("a:b/c@1.0.0", "a:b/c", false),
            ("a:b/c@1.2.0", "a:b/c@1.0.4", true),
            ("a:b/c@1.2.0", "a:b/c@2.0.0", false),
            ("a:b/c@0.2.0", "a:b/c@0.2.9", true),
            ("a:b/c@0.2.0", "a:b/c@0.3.0", false),
            ("a:b/c@0.0.2", "a:b/c@0.0.3", false),
            ("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0", false),
            ("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0-rc.1", true),
        ] {
            assert_eq!(serves(own, import)?, expected, "{own} for {import}");
        }
        Ok(())
    }
}
