//! `function.lua`: a script as a function. Without the feature `lua`, such an entry is refused.

use crisol_core::EntryId;
use crisol_schema::{Entry, LuaFunction};

use super::slice::{Read, Slice};
use crate::load::field_error::FieldError;
use crate::load::loading::{Loaded, Loading};

/// A kind whose feature the program was built without.
#[cfg(not(feature = "lua"))]
const MISSING_FEATURE: crisol_schema::Rule = crisol_schema::Rule::new("missing-feature");

impl Slice for LuaFunction {
    #[cfg(feature = "lua")]
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError> {
        script::load(self, &entry.id, loading, loaded)
    }

    #[cfg(not(feature = "lua"))]
    fn load<'a>(&'a self, _: &'a Entry, _: &Loading<'a>, _: &mut Loaded) -> Result<(), FieldError> {
        let message = "this program was built without Lua: a `function.lua` cannot run";
        let report = crisol_schema::Report::error(MISSING_FEATURE, message);
        Err(FieldError::at(
            crisol_schema::EntryField::Kind,
            report.help("build it with the feature `lua`"),
        ))
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        Vec::new()
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        Vec::new()
    }
}

#[cfg(feature = "lua")]
mod script;
