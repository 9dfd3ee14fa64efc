//! Machine code of a component or core module, with a copy for each shard that calls it.

use crate::aot;
use crate::digest::Digest;
use crate::machine_code::MachineCode;
use crate::shards::Sharded;

/// Maximum bytes of machine code that is copied to make calls faster. Calls of larger code, such as an interpreter, take so
/// long that shared reference counts do not matter.
const MAX_COPIED: usize = 4 << 20;

/// Machine code with its copies.
pub(crate) struct Program {
    digest: Digest,
    copies: Sharded<MachineCode>,
}

impl Program {
    /// Wraps the code of the first shard.
    pub(crate) fn new(digest: Digest, code: MachineCode, shards: usize) -> Self {
        Self { digest, copies: Sharded::new(code, shards) }
    }

    /// The code of the first shard.
    pub(crate) fn first(&self) -> &MachineCode {
        self.copies.first()
    }

    /// Number of shards.
    pub(crate) fn shards(&self) -> usize {
        self.copies.count()
    }

    /// The code of a shard, if it was copied.
    pub(crate) fn get(&self, shard: usize) -> Option<&MachineCode> {
        self.copies.get(shard).flatten()
    }

    /// Returns true if copies are small enough to be made before another shard's slots are needed.
    pub(crate) fn is_small(&self) -> bool {
        self.first().size() <= MAX_COPIED
    }

    /// The code of a shard, copied on first use. `None` if it cannot be copied.
    pub(crate) fn on(&self, shard: usize, engine: &wasmtime::Engine) -> Option<&MachineCode> {
        self.copies.get_or_make(shard, || {
            let refused = |error: &wasmtime::Error| {
                tracing::warn!(digest = %self.digest, ?error, "compiled code cannot be copied");
            };
            aot::copy(engine, self.first()).inspect_err(refused).ok()
        })
    }
}
