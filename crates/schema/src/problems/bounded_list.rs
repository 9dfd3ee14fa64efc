//! List of problems with a maximum length; further problems are only counted.

/// Maximum number of stored problems; further ones are only counted.
pub(crate) const MAX_PROBLEMS: usize = 1_000;

/// Something that is an error or a warning.
pub(super) trait HasSeverity {
    fn is_error(&self) -> bool;
}

/// List of at most [`MAX_PROBLEMS`] problems. In a full list, an error replaces a warning.
#[derive(Debug, Clone)]
pub(super) struct BoundedList<T> {
    list: Vec<T>,
    /// Number of errors in the list.
    errors: usize,
    omitted_errors: usize,
    omitted_warnings: usize,
}

impl<T> Default for BoundedList<T> {
    fn default() -> Self {
        Self { list: Vec::new(), errors: 0, omitted_errors: 0, omitted_warnings: 0 }
    }
}

impl<T: HasSeverity> BoundedList<T> {
    pub(super) fn push(&mut self, one: T) {
        let is_error = one.is_error();
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(one);
        } else if is_error
            && self.errors < self.list.len()
            && let Some(warning) = self.list.iter_mut().rfind(|one| !one.is_error())
        {
            *warning = one;
            self.omitted_warnings += 1;
        } else {
            self.omitted_errors += usize::from(is_error);
            self.omitted_warnings += usize::from(!is_error);
            return;
        }
        self.errors += usize::from(is_error);
    }

    pub(super) fn append(&mut self, other: Self) {
        self.omitted_errors += other.omitted_errors;
        self.omitted_warnings += other.omitted_warnings;
        other.list.into_iter().for_each(|one| self.push(one));
    }

    pub(super) fn retain(&mut self, wanted: impl FnMut(&T) -> bool) {
        self.list.retain(wanted);
        self.errors = self.list.iter().filter(|one| one.is_error()).count();
    }

    pub(super) fn drop_warnings(&mut self) {
        self.retain(T::is_error);
        self.omitted_warnings = 0;
    }

    /// Maps each problem to another type.
    pub(super) fn map<U>(self, to: impl FnMut(T) -> U) -> BoundedList<U> {
        let Self { list, errors, omitted_errors, omitted_warnings } = self;
        let list = list.into_iter().map(to).collect();
        BoundedList { list, errors, omitted_errors, omitted_warnings }
    }

    pub(super) fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K) {
        self.list.sort_by_key(key);
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.list
    }

    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PROBLEMS
    }

    pub(super) fn omitted(&self) -> usize {
        self.omitted_errors + self.omitted_warnings
    }

    pub(super) fn errors(&self) -> usize {
        self.errors + self.omitted_errors
    }

    pub(super) fn warnings(&self) -> usize {
        self.list.len() - self.errors + self.omitted_warnings
    }
}
