//! Routing by method and path.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;

use crate::pattern::{Pattern, Segment};

/// A route in the tree.
pub(crate) struct Leaf {
    /// Name of the route, shown in errors.
    pub(crate) name: String,
    /// Index of the router in its service.
    pub(crate) router: usize,
    /// Index of the route in its router.
    pub(crate) route: usize,
    params: Vec<String>,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({})", self.name)
    }
}

/// Result of routing a method and a path.
#[derive(Debug, Clone)]
pub(crate) enum RouteMatch {
    Found {
        leaf: Arc<Leaf>,
        params: Vec<(String, String)>,
    },
    NotFound,
    /// The path is not percent-encoded UTF-8.
    Undecodable,
    /// The path has routes, but none for this method; with the value of `Allow`.
    WrongMethod {
        allow: HeaderValue,
        router: usize,
    },
}

impl RouteMatch {
    /// The route, if one was found.
    pub(crate) fn leaf(&self) -> Option<&Arc<Leaf>> {
        match self {
            Self::Found { leaf, .. } => Some(leaf),
            Self::NotFound | Self::Undecodable | Self::WrongMethod { .. } => None,
        }
    }
}

/// Routes of a service by segments. Of two routes that match a path, literal text takes precedence over a
/// parameter, and a parameter over the rest of a path.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    literals: HashMap<String, Tree>,
    param: Option<Box<Tree>>,
    rest: Methods,
    here: Methods,
}

#[derive(Debug, Default)]
struct Methods {
    any: Option<Arc<Leaf>>,
    by_name: Vec<(Method, Arc<Leaf>)>,
}

impl Methods {
    fn find(&self, method: &Method) -> Option<&Arc<Leaf>> {
        let named = |wanted: &Method| {
            self.by_name.iter().find(|(method, _)| method == wanted).map(|(_, leaf)| leaf)
        };
        // `HEAD` is supported for every resource that supports `GET`.
        let head = || if method == Method::HEAD { named(&Method::GET) } else { None };
        named(method).or_else(head).or(self.any.as_ref())
    }

    fn slot(&mut self, method: Option<&Method>, leaf: Arc<Leaf>) -> Result<(), Arc<Leaf>> {
        match method {
            None => match &self.any {
                Some(other) => Err(Arc::clone(other)),
                None => {
                    self.any = Some(leaf);
                    Ok(())
                }
            },
            Some(method) => match self.by_name.iter().find(|(other, _)| other == method) {
                Some((_, other)) => Err(Arc::clone(other)),
                None => {
                    self.by_name.push((method.clone(), leaf));
                    Ok(())
                }
            },
        }
    }
}

impl Tree {
    /// Adds a route with its name and its indexes: of its router, and within the router.
    ///
    /// # Errors
    /// Returns the name of the route that already has this method and path.
    pub(crate) fn add(
        &mut self,
        method: Option<&Method>,
        pattern: &Pattern,
        name: &str,
        (router, route): (usize, usize),
    ) -> Result<(), String> {
        let leaf = Leaf { name: name.to_owned(), router, route, params: pattern.names() };
        let mut node = self;
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(decoded(text)).or_default(),
                Segment::Param(_) => node.param.get_or_insert_default(),
                Segment::Rest(_) => {
                    return node.rest.slot(method, Arc::new(leaf)).map_err(|l| l.name.clone());
                }
            };
        }
        node.here.slot(method, Arc::new(leaf)).map_err(|leaf| leaf.name.clone())
    }

    /// Finds the route of a method and a path as sent by a client.
    pub(crate) fn find(&self, method: &Method, path: &str) -> RouteMatch {
        let Some(inner) = path.strip_prefix('/') else { return RouteMatch::NotFound };
        let decoded: Option<Vec<Cow<'_, str>>> =
            inner.split('/').map(|text| percent_decode_str(text).decode_utf8().ok()).collect();
        let Some(segments) = decoded else { return RouteMatch::Undecodable };
        let mut search = Search { method, values: Vec::new(), allowed: Vec::new(), router: 0 };
        match search.descend(self, &segments) {
            Some(leaf) => {
                let names = leaf.params.iter().cloned();
                let params = names.zip(search.values).collect();
                RouteMatch::Found { leaf: Arc::clone(leaf), params }
            }
            None => match allow(search.allowed) {
                Some(allow) => RouteMatch::WrongMethod { allow, router: search.router },
                None => RouteMatch::NotFound,
            },
        }
    }
}

/// A search. It visits every node at most once, because a node has a fixed depth.
struct Search<'m> {
    method: &'m Method,
    values: Vec<String>,
    allowed: Vec<Method>,
    /// Router of the first route that has the path.
    router: usize,
}

impl Search<'_> {
    fn descend<'t>(&mut self, node: &'t Tree, rest: &[Cow<'_, str>]) -> Option<&'t Arc<Leaf>> {
        let Some((first, others)) = rest.split_first() else {
            return self.choose(&node.here);
        };
        if let Some(next) = node.literals.get(&**first)
            && let Some(leaf) = self.descend(next, others)
        {
            return Some(leaf);
        }
        if let Some(next) = node.param.as_deref().filter(|_| !first.is_empty()) {
            self.values.push(first.clone().into_owned());
            if let Some(leaf) = self.descend(next, others) {
                return Some(leaf);
            }
            self.values.pop();
        }
        let leaf = self.choose(&node.rest)?;
        self.values.push(rest.join("/"));
        Some(leaf)
    }

    fn choose<'t>(&mut self, methods: &'t Methods) -> Option<&'t Arc<Leaf>> {
        let found = methods.find(self.method);
        if let (None, Some((_, leaf))) = (found, methods.by_name.first()) {
            if self.allowed.is_empty() {
                self.router = leaf.router;
            }
            self.allowed.extend(methods.by_name.iter().map(|(method, _)| method.clone()));
        }
        found
    }
}

/// Decodes a literal: paths are compared in decoded form, so that `%41` equals `A`.
fn decoded(literal: &str) -> String {
    percent_decode_str(literal).decode_utf8_lossy().into_owned()
}

/// Value of `Allow` for the methods of a path.
fn allow(methods: Vec<Method>) -> Option<HeaderValue> {
    if methods.is_empty() {
        return None;
    }
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    names.dedup();
    HeaderValue::from_str(&names.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::PatternError;

    /// A tree of routes that are written and named `METHOD /pattern` (`ANY` for any method).
    fn tree(routes: &[&str]) -> Result<Tree, Box<dyn std::error::Error>> {
        let mut tree = Tree::default();
        for route in routes {
            let (method, pattern) = route.split_once(' ').ok_or("no method")?;
            let method = match method {
                "ANY" => None,
                method => Some(method.parse()?),
            };
            let pattern = Pattern::parse(pattern).map_err(|e: PatternError| e.to_string())?;
            tree.add(method.as_ref(), &pattern, route, (0, 0))?;
        }
        Ok(tree)
    }

    fn find(tree: &Tree, method: Method, path: &str) -> String {
        match tree.find(&method, path) {
            RouteMatch::Found { leaf, params } => {
                let params = params.iter().map(|(name, value)| format!(" {name}={value}"));
                params.fold(leaf.name.clone(), |text, param| text + &param)
            }
            RouteMatch::NotFound => "not found".to_owned(),
            RouteMatch::Undecodable => "undecodable".to_owned(),
            RouteMatch::WrongMethod { allow, .. } => format!("{allow:?}"),
        }
    }

    #[test]
    fn literal_beats_parameter_beats_rest() -> Result<(), Box<dyn std::error::Error>> {
        let routes =
            ["GET /u/me", "GET /u/{id}", "GET /u/{all...}", "GET /u/{id}/x", "ANY /", "POST /u/me"];
        let tree = tree(&routes)?;
        let get = |path| find(&tree, Method::GET, path);
        assert_eq!(get("/u/me"), "GET /u/me");
        assert_eq!(get("/u/%6De"), "GET /u/me");
        assert_eq!(get("/u/7"), "GET /u/{id} id=7");
        assert_eq!(get("/u/a%2Fb%20c"), "GET /u/{id} id=a/b c");
        assert_eq!(get("/u/7/x"), "GET /u/{id}/x id=7");
        assert_eq!(get("/u/me/x"), "GET /u/{id}/x id=me");
        assert_eq!(get("/u/7/y"), "GET /u/{all...} all=7/y");
        assert_eq!(get("/u/"), "GET /u/{all...} all=");
        assert_eq!(get("/u"), "not found");
        assert_eq!(get("/u/%ff"), "undecodable");
        assert_eq!(get("*"), "not found");
        assert_eq!(find(&tree, Method::DELETE, "/"), "ANY /");
        Ok(())
    }

    #[test]
    fn a_method_is_looked_for_in_every_route_that_fits() -> Result<(), Box<dyn std::error::Error>> {
        let tree = tree(&["GET /a/b", "POST /a/{x}", "PUT /a/{x...}"])?;
        assert_eq!(find(&tree, Method::POST, "/a/b"), "POST /a/{x} x=b");
        assert_eq!(find(&tree, Method::HEAD, "/a/b"), "GET /a/b");
        assert_eq!(find(&tree, Method::DELETE, "/a/b"), "\"GET, HEAD, OPTIONS, POST, PUT\"");
        assert_eq!(find(&tree, Method::PUT, "/a/b"), "PUT /a/{x...} x=b");
        Ok(())
    }

    #[test]
    fn one_method_and_shape_is_one_route() {
        let error = |routes: &[&str]| tree(routes).err().map(|error| error.to_string());
        let other = Some("GET /a/{x}".to_owned());
        assert_eq!(error(&["GET /a/{x}", "GET /a/{y}"]), other);
        assert_eq!(error(&["GET /a/{x}", "POST /a/{y}", "ANY /a/{z}", "GET /a/x"]), None);
        assert_eq!(error(&["ANY /{x...}", "ANY /{y...}"]), Some("ANY /{x...}".to_owned()));
    }
}
