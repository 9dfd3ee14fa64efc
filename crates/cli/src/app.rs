//! Loading of the app that the arguments name.

use crisol::engine::{Allocation, CodeCache, EngineConfig};
use crisol::registry::{Color, Problems};
use crisol::{Builder, LoadError, Runtime};
use etcetera::BaseStrategy as _;

use crate::arguments::AppArguments;
use crate::output;

/// Makes the builder for the arguments.
pub(crate) fn builder(arguments: &AppArguments) -> Builder {
    let mut builder =
        Runtime::builder().app(&arguments.app).strict_imports(arguments.strict_imports);
    if let Some(namespace) = &arguments.namespace {
        builder = builder.namespace(namespace.clone());
    }
    if let Some(instances) = arguments.instances {
        let allocation = Allocation::Pooling { instances: instances.get() };
        builder = builder.engine(EngineConfig { allocation, ..EngineConfig::default() });
    }
    // After the engine, because these change its configuration.
    if let Some(memory) = arguments.memory {
        builder = builder.memory(memory);
    }
    if let Some(cache) = cache(arguments) {
        builder = builder.code_cache(cache);
    }
    arguments.set.iter().fold(builder, |builder, text| builder.override_field(text))
}

/// Cache of compiled code; `None` with `--no-cache`, or for a user without a cache folder.
pub(crate) fn cache(arguments: &AppArguments) -> Option<CodeCache> {
    if arguments.no_cache {
        return None;
    }
    let user = || Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("crisol/code"));
    arguments.cache_dir.clone().or_else(user).map(CodeCache::new)
}

/// Loads the app; its problems are the error.
pub(crate) fn load(arguments: &AppArguments) -> anyhow::Result<Runtime> {
    load_by(builder(arguments), arguments)
}

/// Loads the app for inspection: no folder or file of it is created.
pub(crate) fn look(arguments: &AppArguments) -> anyhow::Result<Runtime> {
    load_by(builder(arguments).auto_init(false), arguments)
}

fn load_by(builder: Builder, arguments: &AppArguments) -> anyhow::Result<Runtime> {
    builder.load().map_err(|error| match error {
        LoadError::App(problems) => does_not_load(arguments, &problems),
        other => other.into(),
    })
}

/// Error of a command for an app that does not load.
pub(crate) fn does_not_load(arguments: &AppArguments, problems: &Problems) -> anyhow::Error {
    let text = show_errors(problems);
    anyhow::anyhow!("the app `{}` does not load\n\n{}", arguments.app.display(), text.trim_end())
}

/// Warnings about the app as a whole, such as a folder that cannot be listed and is not served.
#[cfg(feature = "http")]
pub(crate) fn warnings(runtime: &Runtime) -> Vec<String> {
    let generation = runtime.generation();
    let of_app = generation.warnings().iter().filter(|one| one.location().is_none());
    of_app.map(|one| format!("warning: {}", one.message())).collect()
}

/// The problems as text for stderr.
pub(crate) fn show(problems: &Problems) -> String {
    let color = if output::is_colored() { Color::Always } else { Color::Never };
    problems.render(color)
}

/// Errors among the problems as text. Warnings are left out: they belong to an app that loads.
pub(crate) fn show_errors(problems: &Problems) -> String {
    show(&problems.clone().without_warnings())
}
