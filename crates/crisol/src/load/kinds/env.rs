//! `env.storage.*` and `env.variable`: opened with the host resources of a generation.

use crisol_core::EntryId;
use crisol_schema::{Entry, EnvStorage, EnvVariable};

use super::slice::{Read, Slice};
use crate::app::HostResources;
use crate::load::field_error::FieldError;
use crate::load::loading::{Loaded, Loading};

impl Slice for EnvStorage {
    fn load<'a>(&'a self, _: &'a Entry, _: &Loading<'a>, _: &mut Loaded) -> Result<(), FieldError> {
        Ok(())
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        match self {
            Self::Router { storages } => storages.iter().collect(),
            Self::Memory | Self::File { .. } | Self::Os | Self::Static { .. } => Vec::new(),
        }
    }

    fn is_same(&self, _: &EntryId, before: &HostResources, now: &HostResources) -> bool {
        match self {
            Self::File { path, .. } => !path.is_inside_app() || now.has_root_of(before),
            Self::Memory | Self::Os | Self::Static { .. } | Self::Router { .. } => true,
        }
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        Vec::new()
    }
}

impl Slice for EnvVariable {
    fn load<'a>(&'a self, _: &'a Entry, _: &Loading<'a>, _: &mut Loaded) -> Result<(), FieldError> {
        Ok(())
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        self.storage.iter().collect()
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        Vec::new()
    }
}
