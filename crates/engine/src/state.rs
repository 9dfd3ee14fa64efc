//! State of capabilities: settings of an entry, and the state of one instance, each found by its type.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Settings of one entry for the capabilities that it is granted, at most one of each type, such as
/// [`OutgoingHttp`](crate::OutgoingHttp). All instances of the entry share them. Cloning increments a reference count.
#[derive(Clone, Default)]
pub struct EntrySettings(Option<Arc<[Setting]>>);

type Setting = Arc<dyn Any + Send + Sync>;

impl EntrySettings {
    /// Adds the settings of a capability.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(self, setting: T) -> Self {
        let others = self.0.iter().flat_map(|all| all.iter()).filter(|other| !other.is::<T>());
        let all = others.cloned().chain([Arc::new(setting) as Setting]);
        Self(Some(all.collect()))
    }

    /// The settings of a type, if the entry has them.
    pub(crate) fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_deref()?.iter().find_map(|setting| setting.downcast_ref())
    }
}

impl fmt::Debug for EntrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.as_ref().map_or(0, |all| all.len());
        f.debug_tuple("EntrySettings").field(&count).finish()
    }
}

/// State of a capability in one instance, created when the guest first uses it.
pub(crate) trait InstanceState: Send + 'static {
    /// Creates the state for an instance of an entry with these settings.
    fn new(settings: &EntrySettings) -> Self;
}

/// States of the capabilities that an instance has used so far.
#[derive(Default)]
pub(crate) struct States(Vec<Box<dyn Any + Send>>);

impl States {
    /// The state of a capability that the instance has used.
    pub(crate) fn get_mut<S: InstanceState>(&mut self) -> Option<&mut S> {
        self.0.iter_mut().find_map(|state| state.downcast_mut())
    }

    /// The state of a capability, created on first use.
    pub(crate) fn get_or_create<S: InstanceState>(
        &mut self,
        settings: &EntrySettings,
    ) -> wasmtime::Result<&mut S> {
        if !self.0.iter().any(|state| state.is::<S>()) {
            self.0.push(Box::new(S::new(settings)));
        }
        self.get_mut().ok_or_else(|| wasmtime::Error::msg("a state without its own type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Doubled(u32);

    impl InstanceState for Doubled {
        fn new(settings: &EntrySettings) -> Self {
            Self(2 * settings.get::<u32>().copied().unwrap_or_default())
        }
    }

    #[test]
    fn state_is_created_from_settings_on_first_use() -> wasmtime::Result<()> {
        let settings = EntrySettings::default().with(1_u32).with("text").with(7_u32);
        assert_eq!((settings.get(), settings.get()), (Some(&7_u32), Some(&"text")));
        assert_eq!(settings.get::<u8>(), None);
        let mut states = States::default();
        assert!(states.get_mut::<Doubled>().is_none());
        states.get_or_create::<Doubled>(&settings)?.0 += 1;
        assert_eq!(states.get_or_create::<Doubled>(&settings)?.0, 15);
        assert_eq!(states.0.len(), 1);
        Ok(())
    }
}
