//! `http.static` as routes to files.

use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{EntryId, chain};
use crisol_schema::{EntryField, HttpStatic, Report, Rule};
use crisol_server::{Body, Context, FileOptions, Handler, Route, RouteTarget, StaticFiles};
use crisol_transport::{Cause, Problem};
use crisol_wasi::FsError;
use http::{Method, Request, Response};

use super::scope::Scope;

/// A folder that cannot be served.
const BAD_FOLDER: Rule = Rule::new("bad-folder");

/// Builds the routes of static files: the folder itself and everything in it.
pub(super) fn routes(id: &EntryId, files: &HttpStatic, scope: &mut Scope<'_>) -> Vec<Route> {
    let folder = scope.folders.directory(&files.fs);
    let opened = match &files.directory {
        // A newly created folder is empty and cannot contain `directory`.
        Some(inner) if matches!(folder, Err(FsError::NotCreated { .. })) => {
            Err(FsError::NoFolder { path: inner.as_path().to_owned() })
        }
        Some(inner) => folder.and_then(|folder| folder.open_inside(inner.as_path(), false, None)),
        None => folder,
    };
    let options = FileOptions {
        index: Some(files.index.as_str().to_owned()),
        fallback: files.fallback.as_ref().map(|path| path.as_str().to_owned()),
        cache_control: None,
    };
    let handler: Arc<dyn Handler> = match opened {
        Ok(folder) => Arc::new(StaticFiles::new(folder.handle(), options)),
        Err(FsError::NotCreated { .. }) => Arc::new(Unmade),
        Err(_) if scope.closed.contains(&files.fs) => return Vec::new(),
        Err(error) => {
            let field =
                if files.directory.is_some() { EntryField::Directory } else { EntryField::Fs };
            let help = "name a folder that exists and can be read";
            scope.report(id, &field, Report::error(BAD_FOLDER, chain(&error)).help(help));
            return Vec::new();
        }
    };
    let route = |pattern: String| Route {
        name: id.to_string(),
        // The server adds `HEAD` and `OPTIONS`.
        method: Some(Method::GET),
        pattern,
        target: RouteTarget::Handler(Arc::clone(&handler)),
    };
    let prefix = files.path.as_str().trim_end_matches('/');
    let below = route(format!("{prefix}/{{path...}}"));
    if prefix.is_empty() { vec![below] } else { vec![route(prefix.to_owned()), below] }
}

/// Handler for a folder that loading would create, in an app that is only checked.
struct Unmade;

#[async_trait]
impl Handler for Unmade {
    async fn handle(&self, context: Context, _: Request<Body>) -> Response<Body> {
        context.problem(Problem::new(Cause::NotFound, "the folder does not exist yet"))
    }
}
