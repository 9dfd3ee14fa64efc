//! Parts that several kinds of entries share: pools, limits, guest grants. Knows no kind.

mod guest;
mod limits;
mod parent;
mod pem;
mod pool;
mod retry;
mod source_text;
mod wasi;

pub(crate) use guest::guest_shape;
pub use guest::{Code, Transport};
pub use limits::Limits;
pub use parent::Parent;
pub(crate) use parent::{
    EntryRoutes, ParentRef, ParentSlot, meta_schema as parent_schema, parent_in_meta,
    service_in_meta,
};
pub use pem::Pem;
pub use pool::{Pool, Strategy};
pub use retry::{Retry, RetryOn};
pub(crate) use retry::{RetryFields, in_meta as retry_in_meta, meta_schema as retry_schema};
pub use source_text::SourceText;
pub(crate) use wasi::warn_ungranted;
pub use wasi::{EnvMapping, Mount, Wasi};
