//! Wasmtime narrowed to what Crisol uses: compile, link, instantiate, call, limit
