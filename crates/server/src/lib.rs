//! The HTTP edge of Crisol: services, routers and endpoints over any `Invoke`.
//!
//! [`Service`]s are plain values: an address, limits, timeouts, and [`Router`]s with [`Route`]s. A [`Server`]
//! checks all of them and serves them. [`Running`] reports the addresses, replaces the services while it serves,
//! and stops them. A [`Handler`] responds to requests: a function through a
//! [`Transport`](crisol_transport::Transport), or any code that takes the request unbound.
//!
//! This crate knows neither WebAssembly nor the registry: it calls functions through
//! [`Invoke`](crisol_core::Invoke).

#![forbid(unsafe_code)]

mod activity;
mod address;
mod authority;
mod body;
mod checked_service;
mod chunks;
mod client;
mod collect;
mod config;
mod connection;
mod connection_state;
mod context;
mod dispatch;
mod endpoint;
mod etag;
mod failures;
mod files;
mod framing;
mod handler;
mod headers;
mod idle;
mod io;
mod listener;
mod media;
mod middleware;
mod pattern;
mod permits;
mod recoverable;
mod request_body;
mod request_head;
mod response_head;
mod server;
mod socket;
mod stream;
mod stream_executor;
mod tls;
mod tree;
#[cfg(unix)]
mod unix;

pub use address::Address;
pub use body::{Body, BodyTimeout};
pub use checked_service::{RouteError, RouteErrors};
pub use client::Peer;
pub use config::{Limits, Route, RouteTarget, Router, Service, Timeouts};
pub use context::{Context, RequestId};
pub use failures::FailureLog;
pub use files::{FileOptions, StaticFiles};
pub use handler::Handler;
pub use listener::Stopped;
pub use middleware::{Cors, Middleware, MiddlewareError, RateLimit, RateLimitBy};
pub use pattern::PatternError;
pub use server::{Readiness, Replacement, Running, Server, StartError, check};
pub use tls::{PemInput, PemMismatch, Tls, TlsError};
