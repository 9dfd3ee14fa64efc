//! What routing sees of a path.

use std::cmp::Ordering;

/// Path of routes without the names of its parameters, and with what need not be percent-encoded decoded, since
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
    /// Routing prefers the lower.
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Param => 1,
            Self::Rest => 2,
        }
    }

    /// Whether every text of the other part is one of this.
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
    /// The shape of a path with these parts; `/` has an empty one.
    pub(super) fn of(parts: impl Iterator<Item = Part>) -> Self {
        let parts: Vec<Part> = parts.collect();
        Self(if parts.is_empty() { vec![Part::Literal(String::new())] } else { parts })
    }

    /// Which of two is preferred for a path that both have.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let ranks = |shape: &Self| shape.0.iter().map(Part::rank).collect::<Vec<_>>();
        ranks(self).cmp(&ranks(other))
    }

    /// Whether there is a path that both have.
    pub(crate) fn meets(&self, other: &Self) -> bool {
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

    /// Whether every path of the other is one of this.
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

    /// `/` is one path with an empty part, which `{rest...}` takes.
    #[test]
    fn the_rest_takes_the_top() {
        let (top, rest) =
            (RouteShape::of([].into_iter()), RouteShape::of([Part::Rest].into_iter()));
        assert!(rest.meets(&top) && top.meets(&rest));
        assert!(rest.covers(&top) && !top.covers(&rest));
    }
}
