//! Imports that nothing provides, as a message lists them.

use std::fmt;

/// Imports of a core module that neither WASI preview 1 nor the WIT provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownImports {
    /// Module and name of each, the first of them.
    pub(super) imports: Vec<(String, String)>,
    /// How many more there are.
    pub(super) more: usize,
    pub(super) what: &'static str,
    pub(super) fix: &'static str,
}

impl UnknownImports {
    /// What to do about them.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        self.fix
    }
}

impl fmt::Display for UnknownImports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the module imports ")?;
        for (at, import) in self.imports.iter().enumerate() {
            let (module, name) = import;
            write!(f, "`{name}`")?;
            // Those of one module stand together.
            match self.imports.get(at + 1) {
                Some((next, _)) if next == module => f.write_str(", ")?,
                Some(_) => write!(f, " from `{module}`; ")?,
                None => write!(f, " from `{module}`")?,
            }
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        write!(f, ": {}", self.what)
    }
}
