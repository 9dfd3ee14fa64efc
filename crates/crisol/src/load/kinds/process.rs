//! `process.wasm`: a guest as a command.

use std::num::NonZeroUsize;
use std::sync::Weak;

use crisol_core::EntryId;
use crisol_pool::strategy::Lazy;
use crisol_pool::{Config, Pool};
use crisol_schema::{Entry, Process};

use super::slice::{Read, Slice};
use crate::app::Generation;
use crate::call::{Command, Export, Pooled, Runs};
use crate::load::field_error::FieldError;
use crate::load::guest_entry::GuestEntry;
use crate::load::loading::{Loaded, Loading};

impl Slice for Process {
    fn load<'a>(
        &'a self,
        entry: &'a Entry,
        loading: &Loading<'a>,
        loaded: &mut Loaded,
    ) -> Result<(), FieldError> {
        let guest = GuestEntry::of_process(&entry.id, self);
        let Some(ready) = loading.compile(&guest)? else { return Ok(()) };
        let linked = loading.link((&guest, &ready), &mut loaded.problems)?;
        let export = Export::Function(linked.clone());
        let made = loading.guest((&guest, &ready), export)?;
        // Unlimited concurrent runs; no run leaves a worker behind.
        let config = Config::new(Lazy::new().with_max(NonZeroUsize::MAX));
        loaded.assembled.commands.push(Command {
            name: self.command.as_ref().map(|name| name.as_str().to_owned()),
            linked,
            runs: Pooled {
                id: entry.id.clone(),
                limit: self.limits.max_execution,
                pool: Pool::new(Runs(made), config),
            },
            generation: Weak::<Generation>::new(),
        });
        Ok(())
    }

    fn guest<'a>(&'a self, id: &'a EntryId) -> Option<GuestEntry<'a>> {
        Some(GuestEntry::of_process(id, self))
    }

    fn depends_on(&self) -> Vec<&EntryId> {
        crate::load::guest_entry::depends_on(&self.wasi)
    }

    fn reads<'a>(&'a self, _: &'a EntryId) -> Vec<Read<'a>> {
        super::function::reads(&self.code, &self.wasi)
    }
}
