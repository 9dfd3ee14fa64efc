//! Environment, mounts, network and stdio of a guest, from configuration to a WASI context
