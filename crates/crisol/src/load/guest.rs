//! Guests of entries: compiled, linked, with their limits and WASI plan.

use crisol_core::chain;
use crisol_engine::{Allocation, FunctionPre, Grants};
use crisol_schema::{EntryField, Problems, Report, Transport};
use crisol_wasi::{Plan, PlanError};

use super::code::{CompileRequest, link_error};
use super::code_store::Ready;
use super::field_error::{BAD_FOLDER, FieldError};
use super::guest_entry::GuestEntry;
use super::imports;
use super::loading::{Inputs, Loading};
use crate::call::{Export, Guest, Linkage, settings};

impl<'a> Inputs<'a> {
    /// Builds the compile request of a guest.
    pub(super) fn request(&self, guest: &GuestEntry<'a>) -> CompileRequest<'a> {
        CompileRequest { verified: self.is_read(guest.id, &EntryField::Hash), ..guest.request() }
    }

    /// Tells whether an undeclared import is an error. It is not if the entry's `imports` cannot be read.
    pub(super) fn is_strict(&self, guest: &GuestEntry<'_>) -> bool {
        (self.strict_imports || guest.strict_imports)
            && self.is_read(guest.id, &EntryField::Imports)
    }
}

impl<'a> Loading<'a> {
    /// Compiles the code of a guest. If a field that linking needs cannot be read, only verifies the file and returns
    /// none.
    pub(super) fn compile(&self, guest: &GuestEntry<'a>) -> Result<Option<Ready>, FieldError> {
        let request = self.inputs.request(guest);
        if self.inputs.is_linkable(guest.id) {
            return self.code.compile(&request).map(Some);
        }
        self.code.look(&request).map(|()| None)
    }

    /// Links compiled code with the host functions that its entry grants.
    pub(super) fn link(
        &self,
        (guest, ready): (&GuestEntry<'_>, &Ready),
        problems: &mut Problems,
    ) -> Result<FunctionPre, FieldError> {
        let (engine, grants) = (self.inputs.engine, self.grants(guest));
        ready.link(engine, &grants).map_err(|error| {
            // Not under other transports: the code may be an HTTP handler, which may import more.
            if *guest.transport == Transport::Payload
                && self.inputs.is_strict(guest)
                && let Ok(imports) = engine.imports(&ready.compiled, &grants)
            {
                imports::refuse(guest, &imports, self.inputs.registry, problems);
            }
            link_error(error)
        })
    }

    /// Builds a guest from linked code: limits, WASI plan, outbound policy.
    pub(super) fn guest(
        &self,
        (guest, ready): (&GuestEntry<'_>, &Ready),
        export: Export,
    ) -> Result<Guest, FieldError> {
        let plan = self.plan(guest)?;
        let reachable = ready.reachable(export.name());
        let linkage = Linkage::new(export.code(), export.imports(), &reachable, &plan);
        Ok(Guest {
            undeclared: linkage.undeclared(),
            reachable,
            calls_others: export.calls_others(),
            export,
            limits: self.inputs.defaults.limits(guest.limits),
            settings: settings(&plan),
            plan,
            instances: self.instances(),
        })
    }

    /// Returns the grants of an entry.
    pub(super) fn grants(&self, guest: &GuestEntry<'_>) -> Grants {
        self.inputs.engine.grants(guest.id, |interface| guest.imports.grants(interface))
    }

    /// Returns the maximum number of instances in the engine.
    fn instances(&self) -> u64 {
        match self.inputs.engine.config().allocation {
            Allocation::Pooling { instances } => u64::from(instances),
            _ => u64::MAX,
        }
    }

    /// Resolves the WASI plan of a guest: variables, mounts, peers.
    fn plan(&self, guest: &GuestEntry<'_>) -> Result<Plan, FieldError> {
        crisol_wasi::resolve(guest.wasi, guest.id, self.env(), self.folders()).map_err(|error| {
            let help = "mount a folder that exists and can be read";
            let report = Report::error(BAD_FOLDER, chain(&error)).help(help);
            let wrong = FieldError::at(EntryField::Wasi, report);
            match error {
                PlanError::Mount { fs, .. } => wrong.in_folder(&fs),
                _ => wrong,
            }
        })
    }
}
