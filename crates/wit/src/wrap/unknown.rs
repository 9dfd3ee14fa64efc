//! Imports that nothing provides, as a message lists them.

use std::fmt;

/// Imports of a core module that neither WASI preview 1 nor the WIT provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownImports {
    /// Those of each origin.
    pub(super) groups: Vec<Group>,
    /// How many more there are.
    pub(super) more: usize,
}

/// Imports that a module came to in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Module and name of each, the first of them.
    pub(super) imports: Vec<(String, String)>,
    pub(super) what: &'static str,
    pub(super) fix: &'static str,
}

impl UnknownImports {
    /// What to do about them.
    #[must_use]
    pub fn fix(&self) -> String {
        let fixes: Vec<_> = self.groups.iter().map(|group| group.fix).collect();
        fixes.join("; ")
    }
}

impl fmt::Display for UnknownImports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the module imports ")?;
        for (at, group) in self.groups.iter().enumerate() {
            let is_last = at + 1 == self.groups.len();
            group.list(f)?;
            if is_last && self.more > 0 {
                write!(f, "; and {} more", self.more)?;
            }
            write!(f, ": {}{}", group.what, if is_last { "" } else { "; and " })?;
        }
        Ok(())
    }
}

impl Group {
    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        Ok(())
    }
}
