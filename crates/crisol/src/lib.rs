//! Run WebAssembly functions declared in a YAML registry: compiled once, pooled, limited, sandboxed
