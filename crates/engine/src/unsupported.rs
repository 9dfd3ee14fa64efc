//! Detection of proposals that code uses and an engine disables, so that it is not reported as invalid.

use std::fmt;

use wasmparser::{Validator, WasmFeatures};

/// Proposals of WebAssembly that code uses and this engine does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported(WasmFeatures);

/// Common names of proposals, with advice; other proposals are shown by their flag's name.
const KNOWN: &[(WasmFeatures, &str, &str)] = &[
    (
        WasmFeatures::THREADS,
        "threads (shared memory, atomic instructions)",
        "build it without threads: for `wasm32-wasip1` or `wasm32-wasip2`, and without `-pthread`",
    ),
    (
        WasmFeatures::LEGACY_EXCEPTIONS,
        "exceptions in their legacy encoding",
        "build it with `-mllvm -wasm-use-legacy-eh=false` (Emscripten: `-sWASM_LEGACY_EXCEPTIONS=0`), or without exceptions",
    ),
    (
        WasmFeatures::CM64,
        "a 64-bit memory in the interface of a component",
        "build it for `wasm32`",
    ),
];

impl Unsupported {
    /// Finds the proposals that `bytes` need beyond those of `engine`; `None` if no proposal makes them valid.
    pub(crate) fn find(bytes: &[u8], engine: WasmFeatures) -> Option<Self> {
        let is_valid =
            |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
        let mut needed = WasmFeatures::all();
        if !is_valid(needed) {
            return None;
        }
        for feature in (needed - engine).iter() {
            if is_valid(needed - feature) {
                needed -= feature;
            }
        }
        let missing = needed - engine;
        (!missing.is_empty()).then_some(Self(missing))
    }

    /// Advice for building the code without them.
    #[must_use]
    pub fn fix(&self) -> String {
        let known = KNOWN.iter().filter(|(feature, ..)| self.0.contains(*feature));
        let mut fixes: Vec<String> = known.map(|(_, _, fix)| (*fix).to_owned()).collect();
        if self.unknown().next().is_some() {
            let names: Vec<_> = self.unknown().map(|name| format!("`{name}`")).collect();
            fixes.push(format!("build it without {}", names.join(", ")));
        }
        fixes.join("; ")
    }

    /// Names of the proposals without an entry in [`KNOWN`].
    fn unknown(&self) -> impl Iterator<Item = String> {
        let known = KNOWN.iter().fold(WasmFeatures::empty(), |all, (feature, ..)| all | *feature);
        let names = (self.0 - known).iter_names();
        names.map(|(name, _)| {
            let name = name.to_lowercase().replace('_', "-");
            name.strip_prefix("cm-")
                .map_or_else(|| name.clone(), |of| format!("component-model-{of}"))
        })
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = KNOWN.iter().filter(|(feature, ..)| self.0.contains(*feature));
        let known = known.map(|(_, name, _)| (*name).to_owned());
        let unknown = self.unknown().map(|name| format!("the proposal `{name}`"));
        f.write_str(&known.chain(unknown).collect::<Vec<_>>().join(" and "))
    }
}
