//! Benches of Crisol, each beside its twin on bare wasmtime.
