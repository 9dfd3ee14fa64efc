//! Kind `http.static`: files of a folder over HTTP.

use crisol_core::EntryId;
use serde::Serialize;
use serde_json::Value as Json;

use super::slice::{Body, Content, Slice};
use crate::decode::{Cx, Decode, shape};
use crate::parts::{Above, Answers, Parent, Seat, parent_in, parent_schema};
use crate::reference::{Folder, Ref};
use crate::values::{FsPath, HttpMethod, PathPrefix, RoutePath};

/// Files of a folder over HTTP: `http.static`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpStatic {
    /// Service or router above it.
    #[serde(skip)]
    pub parent: Parent,
    /// Path of the files, below the router's prefix.
    pub path: PathPrefix,
    /// `fs.directory` entry with the files.
    pub fs: EntryId,
    /// Folder inside the `fs.directory`; `None` for all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<FsPath>,
    /// File served for a folder.
    pub index: FsPath,
    /// File served for a path without a file, for single-page applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FsPath>,
}

/// `http.static`.
pub(super) enum This {}

impl Slice for This {
    type Value = HttpStatic;
    type Fields = HttpStaticFields;

    fn read(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<HttpStatic> {
        let parent = parent_in(body.meta, cx);
        let fields = HttpStaticFields::decode(body.fields, cx);
        let (parent, fields) = (parent?, fields?);
        Some(HttpStatic {
            parent,
            path: fields.path.unwrap_or_default(),
            fs: fields.fs.id,
            directory: fields.directory,
            index: fields.index.or_else(|| "index.html".parse().ok())?,
            fallback: fields.fallback,
        })
    }

    fn meta_schema() -> Json {
        parent_schema(true)
    }
}

impl Content for HttpStatic {
    fn above(&self) -> Option<Above<'_>> {
        self.parent.above()
    }

    fn seat(&mut self) -> Option<Seat<'_>> {
        Some(Seat::Any(&mut self.parent))
    }

    /// Routes for the folder itself and everything in it. Files answer `GET` only, so an endpoint may answer
    /// other methods of the same path.
    fn answers(&self) -> Option<Answers<'_>> {
        let own = self.path.as_str().trim_end_matches('/');
        let paths = [Some(format!("{own}/{{path...}}")), (!own.is_empty()).then(|| own.into())];
        let paths = paths.into_iter().flatten().filter_map(|path| path.parse().ok());
        let routes = paths.map(|path| (HttpMethod::Get, path)).collect();
        let folder = self.path.as_str().parse::<RoutePath>().ok();
        Some(Answers { below: Some(&self.parent), routes, folder, field: "path" })
    }
}

shape! {
    /// Files of a folder over HTTP. `meta.router` names the `http.router`, or `meta.server` the
    /// `http.service`. Either may be omitted if there is exactly one, or none.
    pub(crate) struct HttpStaticFields {
        /// Path of the files, below the router's prefix. Default: `/`.
        path: Option<PathPrefix>,
        /// `fs.directory` entry with the files.
        fs: Ref<Folder>,
        /// Folder inside the `fs.directory`. Default: all of it.
        directory: Option<FsPath>,
        /// File served for a folder. Default: `index.html`.
        index: Option<FsPath>,
        /// File served for a path without a file, for single-page applications.
        fallback: Option<FsPath>,
    }
}
