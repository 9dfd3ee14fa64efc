//! Functions of the embedding program that guests may import, by interface.
//!
//! They are defined for each component when it is linked, from the types that it imports them with: so
//! what does not fit is found when an entry loads, as far as types tell, and a call looks nothing up.

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
use wasmtime::component::Val;

use crate::releases::is_compatible;

mod define;

/// An interface that the embedding program serves itself, with its functions.
///
/// A function is a closure over serde types: a tuple takes the arguments in order, a struct by name, `()`
/// takes none, and what it answers with becomes the result. Of a function whose result is a `result`, what
/// it answers with is the ok side, and [`HostError::answer`] the other.
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
/// The future of a function is dropped when the call that it is part of is given up: at its deadline, or
/// when nobody waits for it any longer.
#[derive(Clone)]
pub struct HostInterface {
    name: String,
    /// Where the version begins in it.
    bare: usize,
    version: Option<Version>,
    functions: BTreeMap<String, Function>,
}

/// Why a text is not the name of an interface that a program can serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostInterfaceError {
    /// It is not of the form of such names.
    #[error(
        "`{name}` is not the name of an interface: write `namespace:package/interface`, in lower case with `-` between words, and `@1.2.3` after it if it has a version"
    )]
    Form {
        /// The text.
        name: String,
    },
    /// The runtime serves it, or may do so one day.
    #[error("`{name}` is in a package of the runtime's own: name the interface differently")]
    Reserved {
        /// The text.
        name: String,
    },
}

/// What a host function knows of the call that it serves.
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

    /// When the guest's own call must be over, and with it this one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What the function takes and gives, as the guest imports it.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }
}

/// Why a host function has no result.
///
/// Any other error becomes one by `?` ([`HostError::failed`] takes a text too): it ends the guest's call as a
/// failure of the host, which the guest does not see.
pub struct HostError(Repr);

enum Repr {
    Answer(Value),
    Failed(BoxError),
}

impl HostError {
    /// The error side of the function's own `result`: the guest goes on with it.
    #[must_use]
    pub fn answer(error: impl Serialize) -> Self {
        match Value::from_serialize(&error) {
            Ok(value) => Self(Repr::Answer(value)),
            Err(error) => Self::failed(error),
        }
    }

    /// A failure of the host: the call that the guest is serving ends with it.
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
    /// An interface without functions. Guests import it by this name, of this version or one compatible by
    /// the rules of semantic versions.
    ///
    /// # Errors
    /// When `name` is no such name, or one of the runtime's own interfaces.
    pub fn new(name: impl Into<String>) -> Result<Self, HostInterfaceError> {
        let name = name.into();
        let Some((bare, version)) = parse(&name) else {
            return Err(HostInterfaceError::Form { name });
        };
        let bare = bare.len();
        if is_reserved(&name) {
            return Err(HostInterfaceError::Reserved { name });
        }
        Ok(Self { name, bare, version, functions: BTreeMap::new() })
    }

    /// Adds a function under its name in WIT. One of the same name is replaced.
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
            // Made before anything waits: the future need not hold the arguments.
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

    /// Adds a function for arguments and a result whose types are known only when it is called:
    /// [`HostCall::signature`] has them. One of the same name is replaced.
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

    /// The name that it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without its version, by which `imports` grants it.
    #[must_use]
    pub fn bare_name(&self) -> &str {
        self.name.get(..self.bare).unwrap_or(&self.name)
    }

    fn serves(&self, bare: &str, version: Option<&Version>) -> bool {
        bare == self.bare_name()
            && match (&self.version, version) {
                (None, None) => true,
                (Some(own), Some(wanted)) => is_compatible(own, wanted),
                _ => false,
            }
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

/// All interfaces of the embedding program.
#[derive(Debug, Default)]
pub(crate) struct HostInterfaces(Vec<HostInterface>);

impl HostInterfaces {
    /// Of two with the same name, the functions of both; of a function in both, the later.
    pub(crate) fn new(interfaces: Vec<HostInterface>) -> Self {
        let mut all: Vec<HostInterface> = Vec::new();
        for interface in interfaces {
            match all.iter_mut().find(|one| one.name == interface.name) {
                Some(one) => one.functions.extend(interface.functions),
                None => all.push(interface),
            }
        }
        Self(all)
    }

    /// The one that serves an import, by the name that the guest has.
    pub(crate) fn serving(&self, import: &str) -> Option<&HostInterface> {
        if self.0.is_empty() {
            return None;
        }
        let (bare, version) = parse(import)?;
        self.0.iter().find(|one| one.serves(bare, version.as_ref()))
    }

    /// Their names without versions.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(HostInterface::bare_name)
    }
}

/// A name's parts: `namespace:package/interface`, and its version.
fn parse(name: &str) -> Option<(&str, Option<Version>)> {
    let (bare, version) = match name.split_once('@') {
        Some((bare, version)) => (bare, Some(Version::parse(version).ok()?)),
        None => (name, None),
    };
    let (package, interface) = bare.split_once('/')?;
    let (namespace, package) = package.split_once(':')?;
    [namespace, package, interface].into_iter().all(is_label).then_some((bare, version))
}

/// Whether it is words joined by `-`, each of a letter and then letters and digits.
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
