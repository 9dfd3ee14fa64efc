//! Static files of a directory: index, fallback for single-page applications, ranges, conditional requests.

mod body;
mod conditions;
mod lookup;
mod range;

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::fs::Dir;
use crisol_transport::{Cause, Problem};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use tokio::task::spawn_blocking;
use tracing::error;

use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;
use crate::headers::insert;
use crate::media;
use body::FileBody;
use conditions::FileResponse;
use lookup::{Content, Lookup, LookupResult, SelectedFile};

/// Options for paths without a file of their own, and for caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// File that is served for its directory, such as `index.html`. With `None`, directories are not found.
    pub index: Option<String>,
    /// File, relative to the top, that is served with `200` for every path without a file and without a dot in its
    /// last segment: the page of a single-page application, which routes by itself.
    pub fallback: Option<String>,
    /// Value of `Cache-Control`, if it is sent.
    pub cache_control: Option<HeaderValue>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { index: Some("index.html".to_owned()), fallback: None, cache_control: None }
    }
}

/// Serves the files of a directory, for `GET` and `HEAD`, at a route whose last parameter is the path:
/// `/assets/{path...}`.
///
/// Files outside the directory cannot be reached, neither by `..` nor by symbolic links. Names that begin with a
/// dot are not found, except for `.well-known`.
pub struct StaticFiles {
    directory: Arc<Dir>,
    options: Arc<FileOptions>,
}

impl StaticFiles {
    /// Creates a handler for the files of `directory`.
    #[must_use]
    pub fn new(directory: Arc<Dir>, options: FileOptions) -> Self {
        Self { directory, options: Arc::new(options) }
    }

    async fn look_up(&self, lookup: Lookup) -> io::Result<LookupResult> {
        let (directory, options) = (Arc::clone(&self.directory), Arc::clone(&self.options));
        spawn_blocking(move || lookup.run(&directory, &options)).await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl Handler for StaticFiles {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
            return context.problem(Problem::method_not_allowed(&parts.method, allow));
        }
        let Some((_, path)) = context.params().last() else {
            // The route has no parameter: it is the directory itself, without its files.
            return with_slash(&parts.uri);
        };
        let path = path.clone();
        let lookup = Lookup { path, method: parts.method, headers: parts.headers };
        match self.look_up(lookup).await {
            Ok(LookupResult::File(file)) => self.answer(&context, *file),
            Ok(LookupResult::Folder) => self.cached(with_slash(&parts.uri)),
            Ok(LookupResult::Nothing) => {
                let detail = format!("no file at `{}`", parts.uri.path());
                context.problem(Problem::new(Cause::NotFound, detail))
            }
            Err(reason) => {
                if context.failures.admits(None, "file") {
                    error!(%reason, path = parts.uri.path(), "a file cannot be read");
                }
                context.problem(Problem::new(Cause::Failed, "the file cannot be read"))
            }
        }
    }
}

impl StaticFiles {
    fn answer(&self, context: &Context, file: SelectedFile) -> Response<Body> {
        let validators = file.validators.clone();
        let mut response = match &file.verdict {
            FileResponse::Failed => {
                let detail =
                    "the file is not the version that `If-Match` or `If-Unmodified-Since` requires";
                return context.problem(Problem::new(Cause::PreconditionFailed, detail));
            }
            FileResponse::Unsatisfiable => {
                let problem =
                    Problem::new(Cause::RangeNotSatisfiable, "the file does not have this range");
                let range = HeaderValue::try_from(format!("bytes */{}", file.length)).ok();
                return context.problem(match range {
                    Some(range) => problem.with_header(header::CONTENT_RANGE, range),
                    None => problem,
                });
            }
            FileResponse::NotModified => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            FileResponse::Whole => content(file),
            FileResponse::Part(range) => part(range.clone(), file),
        };
        let headers = response.headers_mut();
        insert(headers, header::ETAG, validators.tag.clone());
        insert(headers, header::LAST_MODIFIED, validators.last_modified());
        self.cached(response)
    }

    fn cached(&self, mut response: Response<Body>) -> Response<Body> {
        insert(response.headers_mut(), header::CACHE_CONTROL, self.options.cache_control.clone());
        response
    }
}

/// The response with a file's content. It is the same for `HEAD`, whose body is removed later.
fn content(file: SelectedFile) -> Response<Body> {
    let coding = media::is_gzipped_file(&file.name).then(|| HeaderValue::from_static("gzip"));
    let mut response = Response::new(match file.content {
        Content::Read(bytes) => Body::from(bytes),
        Content::Open(open, length) => Body::stream(FileBody::new(open, length)),
    });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media::of_file(&file.name));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, header::CONTENT_ENCODING, coding);
    response
}

fn part(range: RangeInclusive<u64>, file: SelectedFile) -> Response<Body> {
    let text = format!("bytes {}-{}/{}", range.start(), range.end(), file.length);
    let mut response = content(file);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    insert(response.headers_mut(), header::CONTENT_RANGE, HeaderValue::try_from(text).ok());
    response
}

/// Redirects to the same path with a trailing slash, so that relative links in the index work.
fn with_slash(uri: &Uri) -> Response<Body> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // One leading slash at most: two would name another host.
    let path = uri.path().trim_start_matches('/');
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(location) = HeaderValue::try_from(format!("/{path}/{query}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
