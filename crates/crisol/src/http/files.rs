//! `http.static` as routes to files.

use std::sync::Arc;

use crisol_core::{EntryId, chain};
use crisol_schema::{HttpStatic, Report, Rule};
use crisol_server::{FileOptions, Route, StaticFiles, Target};
use http::Method;

use super::Scope;

/// A folder that cannot be served.
const BAD_FOLDER: Rule = Rule::new("bad-folder");

/// The routes of static files: the folder itself and everything in it.
pub(super) fn routes(id: &EntryId, files: &HttpStatic, scope: &mut Scope<'_>) -> Vec<Route> {
    let folder = scope.folders.directory(&files.fs);
    let opened = match &files.directory {
        Some(inner) => folder.and_then(|folder| folder.open_inside(inner.as_path(), false, None)),
        None => folder,
    };
    let folder = match opened {
        Ok(folder) => folder,
        Err(_) if scope.closed.contains(&files.fs) => return Vec::new(),
        Err(error) => {
            let field = if files.directory.is_some() { "directory" } else { "fs" };
            let help = "name a folder that is there and can be read";
            scope.report(id, field, Report::error(BAD_FOLDER, chain(&error)).help(help));
            return Vec::new();
        }
    };
    let options = FileOptions {
        index: Some(files.index.as_str().to_owned()),
        fallback: files.fallback.as_ref().map(|path| path.as_str().to_owned()),
        cache_control: None,
    };
    let handler = Arc::new(StaticFiles::new(folder.handle(), options));
    let route = |pattern: String| Route {
        name: id.to_string(),
        // With it come `HEAD` and `OPTIONS`.
        method: Some(Method::GET),
        pattern,
        target: Target::Handler(handler.clone()),
    };
    let prefix = files.path.as_str().trim_end_matches('/');
    let below = route(format!("{prefix}/{{path...}}"));
    if prefix.is_empty() { vec![below] } else { vec![route(prefix.to_owned()), below] }
}
