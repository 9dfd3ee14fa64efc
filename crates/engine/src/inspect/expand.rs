//! Size of a component once all nested components are instantiated.
//!
//! A component may instantiate another twice, which instantiates a third twice, and so on: thirty lines then make a
//! billion instances, and the compiler lays out each of them.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, FromReader, Instance, Payload, SectionLimited,
};

/// Maximum parts of an expanded component.
pub(crate) const MAX_PARTS: usize = 1_000_000;

/// Maximum instantiations that take components as arguments. Those components are not followed, and so few
/// cannot expand to much.
const MAX_UNFOLLOWED: usize = 20;

/// The bound that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpansionLimit {
    Parts(usize),
    Unfollowed(usize),
}

impl ExpansionLimit {
    /// The counted unit, the count, and the bound.
    pub(crate) fn describe(self) -> (&'static str, usize, usize) {
        match self {
            Self::Parts(found) => ("parts when all in it is instantiated", found, MAX_PARTS),
            Self::Unfollowed(found) => {
                ("instantiations beside components that are handed on", found, MAX_UNFOLLOWED)
            }
        }
    }
}

/// A component or module that is being read.
struct Frame {
    is_component: bool,
    /// Parts of one instance of it, as far as read.
    parts: usize,
    /// Parts of one instance of each of its components; `None` for a component that it got as an argument.
    components: Vec<Option<usize>>,
}

/// Follows a component from payload to payload.
#[derive(Default)]
pub(crate) struct Expansion {
    frames: Vec<Frame>,
    instantiations: usize,
    handed_on: bool,
}

impl Expansion {
    /// Counts the next payload. Malformed payloads count nothing, since the compiler rejects them.
    pub(crate) fn see(&mut self, payload: &Payload<'_>) -> Result<(), ExpansionLimit> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = *encoding == Encoding::Component;
                self.frames.push(Frame { is_component, parts: 1, components: Vec::new() });
            }
            Payload::End(_) => self.end(),
            Payload::InstanceSection(section) => {
                for instance in items(section) {
                    let args = match &instance {
                        Instance::Instantiate { args, .. } => args.len(),
                        Instance::FromExports(exports) => exports.len(),
                    };
                    self.add(args + 1)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in items(section) {
                    self.instance(&instance)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in items(section) {
                    self.alias(&alias)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in items(section) {
                    if matches!(import.ty, ComponentTypeRef::Component(_)) {
                        self.handed();
                    }
                    self.add(1)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in items(section) {
                    if export.kind == ComponentExternalKind::Component {
                        // An export also adds an index inside the component.
                        self.again(0, export.index);
                    }
                    self.add(1)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                self.add(section.count() as usize)?;
            }
            Payload::ComponentTypeSection(section) => self.add(section.count() as usize)?,
            _ => {}
        }
        if self.handed_on && self.instantiations > MAX_UNFOLLOWED {
            return Err(ExpansionLimit::Unfollowed(self.instantiations));
        }
        Ok(())
    }

    /// Ends the innermost component or module.
    fn end(&mut self) {
        let ended = self.frames.pop();
        if let (Some(ended), Some(frame)) = (ended, self.frames.last_mut())
            && ended.is_component
        {
            frame.components.push(Some(ended.parts));
        }
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<(), ExpansionLimit> {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                self.instantiations += 1;
                let inside = self.find(0, *component_index).flatten().unwrap_or(0);
                self.add(inside.saturating_add(args.len() + 1))
            }
            ComponentInstance::FromExports(exports) => self.add(exports.len() + 1),
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), ExpansionLimit> {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                self.handed();
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                self.again(*count, *index);
            }
            _ => {}
        }
        self.add(1)
    }

    /// The component `index` of the frame `count` levels further out.
    #[expect(clippy::option_option, reason = "what is not there, and what is there and not known")]
    fn find(&self, count: u32, index: u32) -> Option<Option<usize>> {
        let (count, index) = (usize::try_from(count).ok()?, usize::try_from(index).ok()?);
        self.frames.iter().rev().nth(count)?.components.get(index).copied()
    }

    /// Adds a further index for an existing component.
    fn again(&mut self, count: u32, index: u32) {
        let found = self.find(count, index);
        if let (Some(component), Some(frame)) = (found, self.frames.last_mut()) {
            frame.components.push(component);
        }
    }

    /// Adds a component that comes from outside.
    fn handed(&mut self) {
        self.handed_on = true;
        if let Some(frame) = self.frames.last_mut() {
            frame.components.push(None);
        }
    }

    fn add(&mut self, parts: usize) -> Result<(), ExpansionLimit> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        frame.parts = frame.parts.saturating_add(parts);
        if frame.parts > MAX_PARTS { Err(ExpansionLimit::Parts(frame.parts)) } else { Ok(()) }
    }
}

fn items<'a, T: FromReader<'a>>(
    section: &SectionLimited<'a, T>,
) -> impl Iterator<Item = T> + use<'a, T> {
    section.clone().into_iter().map_while(Result::ok)
}
