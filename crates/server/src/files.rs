//! Files of a directory: index, fallback for single-page applications, ranges, entity tags.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::SystemTime;

use async_trait::async_trait;
use cap_std::fs::Dir;
use crisol_transport::{Cause, Problem};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tokio::task::spawn_blocking;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, File, Metadata};
use tracing::error;

use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;

/// Everything but what a path holds as it is.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is served where there is no file of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The file that stands for its directory, such as `index.html`; `None`: directories are not found.
    pub index: Option<String>,
    /// The file, from the top, that is served with `200` for every path that has none and whose last
    /// segment has no dot: the page of a single-page application, which routes by itself.
    pub fallback: Option<String>,
    /// The value of `Cache-Control`, if there is to be one.
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
/// Nothing outside the directory is reached, neither by `..` nor by symbolic links. Names that begin
/// with a dot are not found, but for `.well-known`.
pub struct StaticFiles {
    files: ServeDir<tower_http::services::fs::DefaultServeDirFallback, Directory>,
    directory: Directory,
    options: FileOptions,
}

impl StaticFiles {
    /// Serves the files of `directory`.
    #[must_use]
    pub fn new(directory: Arc<Dir>, options: FileOptions) -> Self {
        let directory = Directory(directory);
        let files = ServeDir::with_backend("", directory.clone())
            .append_index_html_on_directories(false)
            .redirect_to_trailing_slash(false)
            .ignore_multi_range_requests(true);
        Self { files, directory, options }
    }

    /// The file at `path`, or what keeps it from being served; `None` when there is none.
    async fn file(&self, path: &str, request: &Request<()>) -> io::Result<Option<Response<Body>>> {
        let encoded = format!("/{}", utf8_percent_encode(path, ENCODED));
        let Ok(target) = encoded.parse::<PathAndQuery>() else { return Ok(None) };
        let mut file = Request::new(());
        *file.method_mut() = request.method().clone();
        *file.headers_mut() = request.headers().clone();
        *file.uri_mut() = Uri::from(target);
        let found = self.ask(file.clone()).await?;
        if found.as_ref().is_some_and(|part| is_of_another_version(request.headers(), part)) {
            file.headers_mut().remove(header::RANGE);
            return self.ask(file).await;
        }
        Ok(found)
    }

    async fn ask(&self, file: Request<()>) -> io::Result<Option<Response<Body>>> {
        match self.files.clone().try_call(file.map(|()| Body::empty())).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => Ok(None),
            Ok(response) => Ok(Some(response.map(Body::stream))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, path: &str, request: &Request<()>) -> io::Result<Option<Response<Body>>> {
        if path.split('/').any(|name| name.starts_with('.') && name != ".well-known") {
            return Ok(None);
        }
        let index = self.options.index.as_deref();
        let found = match index {
            Some(index) if path.is_empty() || path.ends_with('/') => {
                self.file(&format!("{path}{index}"), request).await?
            }
            _ => self.file(path, request).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
        if let (Some(index), false) = (index, path.ends_with('/'))
            && self.directory.metadata(format!("{path}/{index}").into()).await.is_ok()
        {
            return Ok(Some(with_slash(request.uri())));
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        match &self.options.fallback {
            Some(fallback) if !last.contains('.') => self.file(fallback, request).await,
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Handler for StaticFiles {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let request = Request::from_parts(parts, ());
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
            return context.problem(Problem::method_not_allowed(request.method(), allow));
        }
        let Some((_, path)) = context.params().last() else {
            // A route to the directory itself, without what is in it.
            return with_slash(request.uri());
        };
        match self.find(path, &request).await {
            Ok(Some(response)) => self.finish(&context, response),
            Ok(None) => {
                let detail = format!("nothing is at `{}`", request.uri().path());
                context.problem(Problem::new(Cause::NotFound, detail))
            }
            Err(reason) => {
                if context.failures.admits(None, "file") {
                    error!(%reason, path, "a file cannot be read");
                }
                context.problem(Problem::new(Cause::Failed, "the file cannot be read"))
            }
        }
    }
}

impl StaticFiles {
    fn finish(&self, context: &Context, mut response: Response<Body>) -> Response<Body> {
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            let detail = "the file does not have this range";
            let problem = Problem::new(Cause::RangeNotSatisfiable, detail);
            let range = response.headers_mut().remove(header::CONTENT_RANGE);
            return context.problem(match range {
                Some(range) => problem.with_header(header::CONTENT_RANGE, range),
                None => problem,
            });
        }
        if let Some(cache) = &self.options.cache_control {
            response.headers_mut().insert(header::CACHE_CONTROL, cache.clone());
        }
        response
    }
}

/// Whether a part was asked for on the condition (`If-Range`) that the file is still the one of which
/// the client has the rest, and it is not.
fn is_of_another_version(asked: &HeaderMap, part: &Response<Body>) -> bool {
    let Some(condition) = asked.get(header::IF_RANGE) else { return false };
    let is = |name| part.headers().get(name).is_some_and(|version| version == condition);
    let ranged = [StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE];
    ranged.contains(&part.status()) && !is(header::ETAG) && !is(header::LAST_MODIFIED)
}

/// Sends the client to the same path with a slash at its end, so that relative links in the index work.
fn with_slash(uri: &Uri) -> Response<Body> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // One slash at most in front: two would name another host.
    let path = uri.path().trim_start_matches('/');
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(location) = HeaderValue::try_from(format!("/{path}/{query}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Whether an error means that there is no file of that name, for the client's purposes.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
    )
}

/// A directory as a source of files: nothing outside it can be named.
#[derive(Clone)]
struct Directory(Arc<Dir>);

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Directory {
    /// Runs something that may block on the disk where that disturbs nobody.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Dir) -> io::Result<T> + Send + 'static,
    ) -> Later<T> {
        let dir = Arc::clone(&self.0);
        Box::pin(async move { spawn_blocking(move || work(&dir)).await.map_err(io::Error::other)? })
    }
}

impl Backend for Directory {
    type File = OpenFile;
    type Metadata = About;
    type OpenFuture = Later<OpenFile>;
    type MetadataFuture = Later<About>;

    fn open(&self, path: PathBuf) -> Later<OpenFile> {
        self.blocking(move |dir| {
            // Looked at before it is opened: opening a pipe would wait for its other end.
            let about = About::of(&dir.metadata(&path)?)?;
            let file = dir.open(&path)?.into_std();
            Ok(OpenFile { file: tokio::fs::File::from_std(file), about })
        })
    }

    fn metadata(&self, path: PathBuf) -> Later<About> {
        self.blocking(move |dir| About::of(&dir.metadata(&path)?))
    }
}

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
struct About {
    length: u64,
    modified: Option<SystemTime>,
}

impl About {
    /// Of a regular file; anything else is as good as absent.
    fn of(metadata: &cap_std::fs::Metadata) -> io::Result<Self> {
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
        Ok(Self { length: metadata.len(), modified })
    }
}

impl Metadata for About {
    fn is_dir(&self) -> bool {
        false
    }

    fn modified(&self) -> io::Result<SystemTime> {
        self.modified.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> u64 {
        self.length
    }
}

struct OpenFile {
    file: tokio::fs::File,
    about: About,
}

impl File for OpenFile {
    type Metadata = About;
    type MetadataFuture<'a> = std::future::Ready<io::Result<About>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        std::future::ready(Ok(self.about))
    }
}

impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(cx, buffer)
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(cx)
    }
}
