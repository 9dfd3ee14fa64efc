//! HTTP entries of the registry (services, routers, endpoints, static files) as services of `crisol-server`.
//!
//! Loading an app finds all problems; serving only resolves addresses and listens.

mod files;
mod handler;
mod lent;
mod middleware;
mod openapi;
mod pem;
mod routes;
mod scope;
mod services;
mod site;
mod streamed;

pub(crate) use handler::HttpHandler;
pub(crate) use scope::{Scope, Transports};
pub(crate) use services::assemble;
pub(crate) use site::{Declared, Site};
