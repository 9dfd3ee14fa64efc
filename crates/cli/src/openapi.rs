//! `crisol openapi`: endpoints of the app as an OpenAPI document.

use crate::arguments::{AppArguments, OpenapiArguments};
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments, openapi: &OpenapiArguments) -> anyhow::Result<u8> {
    let runtime = app::look(arguments)?;
    let documents = runtime.generation().openapi();
    let wanted = openapi.service.as_deref();
    let mut fitting = documents
        .iter()
        .filter(|(service, _)| wanted.is_none_or(|wanted| wanted == service))
        .map(|(_, document)| document);
    let names = || {
        let names: Vec<_> = documents.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    };
    match (fitting.next(), fitting.next()) {
        (Some(document), None) => print_line(&serde_json::to_string_pretty(document)?)?,
        (None, _) if documents.is_empty() => {
            anyhow::bail!("no service has endpoints: add an `http.endpoint`")
        }
        (None, _) => anyhow::bail!(
            "no service `{}` has endpoints: name one of {}",
            wanted.unwrap_or(""),
            names()
        ),
        (Some(_), Some(_)) => {
            anyhow::bail!("several services have endpoints: name one of {}", names())
        }
    }
    Ok(DONE)
}
