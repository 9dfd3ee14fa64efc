//! Message for imports without a provider.

use std::fmt;

/// Imports of a core module that neither WASI preview 1 nor the WIT provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownImports {
    /// Imports by origin.
    pub(super) groups: Vec<Group>,
    /// Number of further imports.
    pub(super) more: usize,
}

/// Imports of one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Module and name of each, cut to the first ones.
    pub(super) imports: Vec<(String, String)>,
    pub(super) what: &'static str,
    pub(super) fix: &'static str,
}

impl UnknownImports {
    /// Advice for all groups.
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
            // Imports of one module are adjacent.
            match self.imports.get(at + 1) {
                Some((next, _)) if next == module => f.write_str(", ")?,
                Some(_) => write!(f, " from `{module}`; ")?,
                None => write!(f, " from `{module}`")?,
            }
        }
        Ok(())
    }
}
