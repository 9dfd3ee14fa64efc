//! Shape of a route path, as the router compares it.

use std::cmp::Ordering;

/// Path of a route without the names of its parameters. Percent-encoding is decoded where possible, since
/// requests are compared decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteShape(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Literal(String),
    Param,
    Rest,
}

impl Part {
    /// Returns the rank: the router prefers lower ranks.
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Param => 1,
            Self::Rest => 2,
        }
    }

    /// Returns true if this part matches every text that the other part matches.
    fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rest, _) | (Self::Param, Self::Param) => true,
            (Self::Param, Self::Literal(text)) => !text.is_empty(),
            (Self::Literal(text), Self::Literal(other)) => text == other,
            (Self::Literal(_) | Self::Param, _) => false,
        }
    }
}

impl RouteShape {
    /// Creates the shape from its parts; `/` has one empty part.
    pub(super) fn of(parts: impl Iterator<Item = Part>) -> Self {
        let parts: Vec<Part> = parts.collect();
        Self(if parts.is_empty() { vec![Part::Literal(String::new())] } else { parts })
    }

    /// Compares the precedence of two shapes that match the same path; the lower one wins.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let ranks = |shape: &Self| shape.0.iter().map(Part::rank).collect::<Vec<_>>();
        ranks(self).cmp(&ranks(other))
    }

    /// Returns true if some path matches both shapes.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.0.iter(), other.0.iter());
        loop {
            match (a.next(), b.next()) {
                (None, None) | (Some(Part::Rest), Some(_)) | (Some(_), Some(Part::Rest)) => {
                    return true;
                }
                (Some(a), Some(b)) if a.fits(b) || b.fits(a) => {}
                _ => return false,
            }
        }
    }

    /// Returns true if this shape matches every path of the other one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.0.iter(), other.0.iter());
        loop {
            match (a.next(), b.next()) {
                (None, None) | (Some(Part::Rest), Some(_)) => return true,
                (Some(a), Some(b)) if a.fits(b) => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, RouteShape};

    /// `/` has one empty part, which `{rest...}` matches.
    #[test]
    fn the_rest_takes_the_top() {
        let (top, rest) =
            (RouteShape::of([].into_iter()), RouteShape::of([Part::Rest].into_iter()));
        assert!(rest.overlaps(&top) && top.overlaps(&rest));
        assert!(rest.covers(&top) && !top.covers(&rest));
    }
}
