//! JSON form of problems, for tools.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::list::{Problem, Problems};
use super::report::Severity;
use crate::source::{Location, SourceMap, Span};

/// Additional location of a problem.
#[derive(serde::Serialize)]
struct Also {
    #[serde(flatten)]
    place: Location,
    label: String,
}

fn also(sources: &SourceMap, places: &[(Span, String)]) -> Vec<Also> {
    let one = |(span, label): &(Span, String)| {
        Some(Also { place: sources.location(*span)?, label: label.clone() })
    };
    places.iter().filter_map(one).collect()
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Serializes `{severity, rule, message, help, file, line, column, end_line, end_column, entry, field,
/// also}`; absent values are `null`.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = self.location();
        let end = self.diagnostic.span.and_then(|span| {
            let clipped = self.sources.get(span.source)?.clip(span.range());
            self.sources.location(Span { start: clipped.end as u32, ..span })
        });
        let mut out = serializer.serialize_struct("Problem", 12)?;
        out.serialize_field("severity", &self.severity())?;
        out.serialize_field("rule", self.rule().as_str())?;
        out.serialize_field("message", self.message())?;
        out.serialize_field("help", &self.help())?;
        out.serialize_field("file", &place.as_ref().map(|place| &place.file))?;
        out.serialize_field("line", &place.as_ref().map(|place| place.line))?;
        out.serialize_field("column", &place.as_ref().map(|place| place.column))?;
        out.serialize_field("end_line", &end.as_ref().map(|place| place.line))?;
        out.serialize_field("end_column", &end.as_ref().map(|place| place.column))?;
        out.serialize_field("entry", &self.entry())?;
        out.serialize_field("field", &self.field())?;
        out.serialize_field("also", &also(&self.sources, &self.diagnostic.report.related))?;
        out.end()
    }
}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Problems", 4)?;
        out.serialize_field("errors", &self.errors())?;
        out.serialize_field("warnings", &self.warnings())?;
        out.serialize_field("omitted", &self.omitted())?;
        out.serialize_field("problems", self.kept.as_slice())?;
        out.end()
    }
}
