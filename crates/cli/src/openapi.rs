//! `crisol openapi`: endpoints of the app as an OpenAPI document.

use crate::arguments::{AppArguments, OpenapiArguments};
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments, openapi: &OpenapiArguments) -> anyhow::Result<u8> {
    let runtime = app::look(arguments)?;
    let documents = runtime.generation().openapi();
    let wanted = openapi.service.as_deref();
    let mut selected = documents
        .iter()
        .filter(|(service, _)| wanted.is_none_or(|wanted| wanted == service))
        .map(|(_, document)| document);
    let names = || {
        let names: Vec<_> = documents.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    };
    match (selected.next(), selected.next()) {
        (Some(document), None) => print_line(&serde_json::to_string_pretty(document)?)?,
        (None, _) if documents.is_empty() => {
            anyhow::bail!("the app has no HTTP endpoints: add an `http.endpoint` entry")
        }
        (None, _) => anyhow::bail!(
            "no endpoints on service `{}`: use one of {}",
            wanted.unwrap_or(""),
            names()
        ),
        (Some(_), Some(_)) => {
            anyhow::bail!(
                "several services have endpoints: add one of {} to `crisol openapi`",
                names()
            )
        }
    }
    Ok(DONE)
}
