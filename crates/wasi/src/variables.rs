//! Variables of an app: every `env.variable` entry, and the storages with their values.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crisol_core::EntryId;
use crisol_schema::{EnvName, EnvStorage, EnvVariable, Kind, Registry};

use crate::directory::Directory;
use crate::env_file::EnvFile;
use crate::error::EnvError;
use crate::folders::MissingFiles;

/// Longest value that can be written, in bytes.
const MAX_VALUE: usize = 128 * 1024;

/// Values of `env.variable` entries, at call time.
pub trait EnvSource: Send + Sync + 'static {
    /// Returns the current value or the entry's `default`; `None` without either.
    ///
    /// # Errors
    /// Fails when there is no such entry, or its storage cannot be read.
    fn value(&self, variable: &EntryId) -> Result<Option<String>, EnvError>;

    /// Place where a value is expected, for the error about a missing one: the end of a sentence that begins with
    /// "set".
    fn place(&self, variable: &EntryId) -> String {
        format!("`{variable}`")
    }
}

/// Variables that a registry declares, read from its storages.
#[derive(Debug, Default)]
pub struct Variables {
    variables: HashMap<EntryId, Variable>,
    storages: HashMap<EntryId, Arc<Storage>>,
}

#[derive(Debug)]
struct Variable {
    name: EnvName,
    /// Storage that the entry names, for messages.
    named: Option<EntryId>,
    /// Storages to read, in order: the named one with routers resolved.
    storages: Vec<Arc<Storage>>,
    default: Option<String>,
    readonly: bool,
}

/// Storage with values of its own.
#[derive(Debug)]
struct Storage {
    id: EntryId,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Memory(RwLock<HashMap<EnvName, String>>),
    File(EnvFile),
    Os,
    Static(BTreeMap<EnvName, String>),
}

impl Variables {
    /// Reads the declarations of a registry; `app` is the base of relative paths.
    ///
    /// Reads no values yet, and only creates files with `auto_init`. Problems of a file appear when a value is read.
    #[must_use]
    pub fn new(registry: &Registry, app: Option<&Path>) -> Self {
        Self::replacing(&Self::default(), registry, app)
    }

    /// Like [`Variables::new`], for a registry that replaces another: values written to an `env.storage.memory` stay,
    /// and both registries see later writes of each other.
    #[must_use]
    pub fn replacing(before: &Self, registry: &Registry, app: Option<&Path>) -> Self {
        Self::replacing_with(before, registry, app, MissingFiles::Create)
    }

    /// Like [`Variables::replacing`], with `missing` deciding about missing files.
    #[must_use]
    pub fn replacing_with(
        before: &Self,
        registry: &Registry,
        app: Option<&Path>,
        missing: MissingFiles,
    ) -> Self {
        let storages = storages(registry, app, before, missing);
        let mut variables = HashMap::new();
        for entry in registry {
            let Kind::EnvVariable(EnvVariable { storage, variable, default, readonly }) =
                &entry.kind
            else {
                continue;
            };
            let read_from = storage.iter().flat_map(|storage| value_storages(registry, storage));
            let variable = Variable {
                name: variable.clone(),
                named: storage.clone(),
                storages: read_from.filter_map(|id| storages.get(&id).cloned()).collect(),
                default: default.clone(),
                readonly: *readonly,
            };
            variables.insert(entry.id.clone(), variable);
        }
        Self { variables, storages }
    }

    /// Writes a value, or removes it with `None`, in the first writable storage of the variable. The next call sees it.
    ///
    /// # Errors
    /// Fails when the entry is `readonly`, when it has no writable storage or an earlier one has a value that would
    /// hide the new one, when the value is over 128 KiB or has a NUL, and when a file cannot be written.
    pub fn set(&self, variable: &EntryId, value: Option<&str>) -> Result<(), EnvError> {
        let found = self.find(variable)?;
        if found.readonly {
            return Err(EnvError::ReadOnly { id: variable.clone() });
        }
        let problem = match value {
            Some(value) if value.contains('\0') => Some("has a NUL character: remove it"),
            Some(value) if value.len() > MAX_VALUE => Some("exceeds 128 KiB: store it in a file"),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(EnvError::BadValue { id: variable.clone(), problem });
        }
        for storage in &found.storages {
            if storage.write(&found.name, value)? {
                return Ok(());
            }
            if storage.read(&found.name)?.is_some() {
                let storage = storage.id.clone();
                return Err(EnvError::Shadowed { id: variable.clone(), storage });
            }
        }
        Err(EnvError::NotWritable { id: variable.clone() })
    }

    fn find(&self, id: &EntryId) -> Result<&Variable, EnvError> {
        self.variables.get(id).ok_or_else(|| EnvError::Unknown { id: id.clone() })
    }
}

impl EnvSource for Variables {
    fn value(&self, variable: &EntryId) -> Result<Option<String>, EnvError> {
        let variable = self.find(variable)?;
        for storage in &variable.storages {
            if let Some(value) = storage.read(&variable.name)? {
                return Ok(Some(value));
            }
        }
        Ok(variable.default.clone())
    }

    fn place(&self, variable: &EntryId) -> String {
        match self.variables.get(variable) {
            Some(Variable { name, named: Some(storage), .. }) => {
                format!("`{name}` in `{storage}`, or a `default` in `{variable}`")
            }
            _ => format!("a `default` in `{variable}`"),
        }
    }
}

impl Storage {
    fn read(&self, name: &EnvName) -> Result<Option<String>, EnvError> {
        match &self.values {
            Values::Memory(values) => {
                let values = values.read().unwrap_or_else(PoisonError::into_inner);
                Ok(values.get(name).cloned())
            }
            Values::File(file) => file.value(name),
            Values::Static(values) => Ok(values.get(name).cloned()),
            Values::Os => {
                match std::env::var_os(name.as_str()).map(std::ffi::OsString::into_string) {
                    None => Ok(None),
                    Some(Ok(value)) => Ok(Some(value)),
                    Some(Err(_)) => {
                        Err(EnvError::NotText { storage: self.id.clone(), variable: name.clone() })
                    }
                }
            }
        }
    }

    /// Writes if this storage is writable; returns true if it is.
    fn write(&self, name: &EnvName, value: Option<&str>) -> Result<bool, EnvError> {
        match &self.values {
            Values::Memory(values) => {
                let mut values = values.write().unwrap_or_else(PoisonError::into_inner);
                match value {
                    Some(value) => values.insert(name.clone(), value.to_owned()),
                    None => values.remove(name),
                };
                Ok(true)
            }
            Values::File(file) => file.set(name, value).map(|()| true),
            Values::Os | Values::Static(_) => Ok(false),
        }
    }
}

/// Storages of the registry with values of their own.
fn storages(
    registry: &Registry,
    app: Option<&Path>,
    before: &Variables,
    missing: MissingFiles,
) -> HashMap<EntryId, Arc<Storage>> {
    let mut root: Option<Directory> = None;
    let mut storages = HashMap::new();
    for entry in registry {
        let Kind::EnvStorage(storage) = &entry.kind else { continue };
        let values = match storage {
            EnvStorage::Memory => {
                let old = before.storages.get(&entry.id);
                if let Some(old) = old.filter(|old| matches!(old.values, Values::Memory(_))) {
                    storages.insert(entry.id.clone(), Arc::clone(old));
                    continue;
                }
                Values::Memory(RwLock::default())
            }
            EnvStorage::Os => Values::Os,
            EnvStorage::Static { values } => Values::Static(values.clone()),
            EnvStorage::File { path, auto_init, mode } => {
                if root.is_none() && path.is_inside_app() {
                    root = app.and_then(|app| Directory::open(app, false, None).ok());
                }
                let mode = mode.map(crisol_schema::FileMode::bits);
                let file = EnvFile::new(&entry.id, path, root.as_ref(), *auto_init, mode);
                if missing == MissingFiles::Create {
                    file.prepare();
                }
                Values::File(file)
            }
            EnvStorage::Router { .. } => continue,
        };
        storages.insert(entry.id.clone(), Arc::new(Storage { id: entry.id.clone(), values }));
    }
    storages
}

/// Resolves the routers of a storage to the storages with values, each once: a second read gives nothing new. Uses an
/// explicit stack, because a chain of routers may be as long as the app.
fn value_storages(registry: &Registry, storage: &EntryId) -> Vec<EntryId> {
    let mut value_storages = Vec::new();
    let mut seen = HashSet::new();
    let mut next = vec![storage];
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        match registry.get(id.as_str()).map(|entry| &entry.kind) {
            Some(Kind::EnvStorage(EnvStorage::Router { storages })) => {
                next.extend(storages.iter().rev());
            }
            Some(Kind::EnvStorage(_)) => value_storages.push(id.clone()),
            _ => {}
        }
    }
    value_storages
}
