//! HTTP from the registry: services, routers, endpoints and files as what `crisol-server` serves.
//!
//! Problems are found when an app loads; the moment of serving has to find out addresses and to listen.

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
