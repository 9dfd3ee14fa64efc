//! Kind `http.static`: files of a folder over HTTP.

use crisol_core::EntryId;
use serde::Serialize;
use serde_json::Value as Json;

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, shape};
use crate::field::EntryField;
use crate::parts::{EntryRoutes, Parent, ParentRef, ParentSlot, parent_in_meta, parent_schema};
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
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = HttpStatic;
    type Fields = HttpStaticFields;

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<HttpStatic> {
        let parent = parent_in_meta(body.meta, cx);
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

impl KindContent for HttpStatic {
    fn parent(&self) -> Option<ParentRef<'_>> {
        self.parent.entry()
    }

    fn parent_slot(&mut self) -> Option<ParentSlot<'_>> {
        Some(ParentSlot::Any(&mut self.parent))
    }

    /// Routes for the folder itself and everything in it. Files answer `GET` only, so an endpoint may answer
    /// other methods of the same path.
    fn routes(&self) -> Option<EntryRoutes<'_>> {
        let own = self.path.as_str().trim_end_matches('/');
        let paths = [Some(format!("{own}/{{path...}}")), (!own.is_empty()).then(|| own.into())];
        let paths = paths.into_iter().flatten().filter_map(|path| path.parse().ok());
        let routes = paths.map(|path| (HttpMethod::Get, path)).collect();
        let folder = self.path.as_str().parse::<RoutePath>().ok();
        Some(EntryRoutes { parent: Some(&self.parent), routes, folder, field: EntryField::Path })
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
