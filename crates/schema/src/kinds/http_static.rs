//! Files of a folder over HTTP.

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
    /// What they are reached through.
    #[serde(skip)]
    pub parent: Parent,
    /// The path below which they are served, itself below the router's prefix.
    pub path: PathPrefix,
    /// The `fs.directory` entry.
    pub fs: EntryId,
    /// The folder in it; none is all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<FsPath>,
    /// The file that answers for a folder.
    pub index: FsPath,
    /// The file that answers for a path that is no file: for single-page applications.
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

    /// The folder itself and everything in it. Files are answered to `GET`, and beside them an endpoint may answer
    /// other methods.
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
    /// `http.service`; it may be left out when there is exactly one, or none.
    pub(crate) struct HttpStaticFields {
        /// The path below which they are served. Default: `/`.
        path: Option<PathPrefix>,
        /// The `fs.directory` entry with the files.
        fs: Ref<Folder>,
        /// The folder in it. Default: all of it.
        directory: Option<FsPath>,
        /// The file that answers for a folder. Default: `index.html`.
        index: Option<FsPath>,
        /// The file that answers for a path that is no file, for single-page applications.
        fallback: Option<FsPath>,
    }
}
