//! Choice of a content coding by `Accept-Encoding` (RFC 9110 §12.5.3).

use http::{HeaderMap, header};

/// Coding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// No coding.
    Identity,
    /// gzip, if it makes the content smaller.
    Gzip,
    /// gzip, for a client that refuses unencoded content.
    GzipOnly,
    /// The client refuses both.
    Neither,
}

/// Weights in thousandths; `None` for a coding that is not listed.
#[derive(Default)]
struct Weights {
    gzip: Option<u16>,
    identity: Option<u16>,
    other: Option<u16>,
}

impl Coding {
    /// Chooses a coding from all lines of the field. Malformed elements are ignored; of two weights for one coding,
    /// the lower counts.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::ACCEPT_ENCODING) {
            return Self::Identity;
        }
        let mut weights = Weights::default();
        for line in headers.get_all(header::ACCEPT_ENCODING) {
            for element in line.to_str().unwrap_or_default().split(',') {
                weights.add(element);
            }
        }
        weights.choice()
    }

    pub(super) fn is_gzip(self) -> bool {
        matches!(self, Self::Gzip | Self::GzipOnly)
    }
}

impl Weights {
    fn add(&mut self, element: &str) {
        let (coding, weight) = match element.split_once(';') {
            Some((coding, parameter)) => (coding.trim(), weight(parameter.trim())),
            None => (element.trim(), Some(1000)),
        };
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        let slot = match coding {
            "*" => &mut self.other,
            _ if is("gzip") || is("x-gzip") => &mut self.gzip,
            _ if is("identity") => &mut self.identity,
            _ => return,
        };
        if let Some(weight) = weight {
            *slot = Some(slot.map_or(weight, |other| other.min(weight)));
        }
    }

    fn choice(&self) -> Coding {
        let gzip = self.gzip.or(self.other).unwrap_or(0);
        // Unencoded content is acceptable unless it is excluded, and has the lowest preference unless it is listed.
        let identity = self.identity.or(self.other);
        match (gzip, identity) {
            (0, Some(0)) => Coding::Neither,
            (_, Some(0)) => Coding::GzipOnly,
            (1.., None) => Coding::Gzip,
            (1.., Some(identity)) if gzip >= identity => Coding::Gzip,
            _ => Coding::Identity,
        }
    }
}

/// Parses the value of a parameter `q`: 0 to 1 with at most three decimals.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let well_formed = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !name.eq_ignore_ascii_case("q") || !well_formed {
        return None;
    }
    let digits = decimals.bytes().chain([b'0'; 3]).take(3);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(lines: &[&'static str]) -> Coding {
        let line = |text: &&'static str| (header::ACCEPT_ENCODING, HeaderValue::from_static(text));
        Coding::of(&lines.iter().map(line).collect())
    }

    #[test]
    fn the_coding_that_the_client_likes_best_is_chosen() {
        use Coding::{Gzip, GzipOnly, Identity, Neither};
        for (lines, choice) in [
            (&[][..], Identity),
            (&[""], Identity),
            (&["gzip"], Gzip),
            (&["GZip"], Gzip),
            (&["x-gzip"], Gzip),
            (&["deflate, gzip;q=0.5"], Gzip),
            (&["deflate", "gzip"], Gzip),
            (&["gzip;q=0.001"], Gzip),
            (&["gzip ; Q=1.000"], Gzip),
            (&["*"], Gzip),
            (&["br;q=1, *;q=0.5"], Gzip),
            (&["gzip, identity"], Gzip),
            (&["gzip;q=0.4, identity;q=0.5"], Identity),
            (&["identity, *;q=0.5"], Identity),
            (&["gzip;q=0"], Identity),
            (&["gzip;q=0.000, *"], Identity),
            (&["gzip, gzip;q=0"], Identity),
            (&["br, zstd, deflate"], Identity),
            (&["identity"], Identity),
            (&["gzip;q=2"], Identity),
            (&["gzip;q=1.001"], Identity),
            (&["gzip;q=0.1234"], Identity),
            (&["gzip;q=-1"], Identity),
            (&["gzip;q="], Identity),
            (&["gzip;q"], Identity),
            (&["gzip;level=1"], Identity),
            (&["gzip;;q=1"], Identity),
            (&["gzipped"], Identity),
            (&["gzip, identity;q=0"], GzipOnly),
            (&["identity;q=0, *"], GzipOnly),
            (&["gzip, *;q=0"], GzipOnly),
            (&["identity;q=0"], Neither),
            (&["*;q=0"], Neither),
            (&["*;q=0", "identity;q=0.1"], Identity),
            (&["br, *;q=0"], Neither),
            (&["gzip;q=0, identity;q=0, br"], Neither),
        ] {
            assert_eq!(of(lines), choice, "{lines:?}");
        }
    }
}
