//! Lua patterns, matched within a budget. Lua's own matcher is C code, which cannot be interrupted in hours
//! of backtracking. Every byte read from the subject or the pattern counts.

/// Maximum nesting of a match, as in Lua.
const MAX_DEPTH: usize = 200;
const MAX_CAPTURES: usize = 32;

/// Number of steps charged together. A step reads a byte of the subject or the pattern.
const STEPS_PER_CHARGE: usize = 1 << 12;

/// Units of work charged for a step, which costs more than copying a byte.
const UNITS_PER_STEP: usize = 8;

/// Reason a match failed with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// The pattern is malformed.
    Pattern(&'static str),
    /// The budget is used up.
    Expired,
}

#[derive(Clone, Copy)]
enum Len {
    Open,
    Position,
    Bytes(usize),
}

/// Capture of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capture {
    /// Bytes `start..end` of the subject.
    Bytes(usize, usize),
    /// Position in the subject, from 1.
    Position(usize),
}

/// One match: its range and its captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) captures: Vec<Capture>,
}

struct Matcher<'a, E> {
    subject: &'a [u8],
    pattern: &'a [u8],
    groups: Vec<(usize, Len)>,
    depth: usize,
    steps: usize,
    spend: E,
}

/// Finds the first match at or after `from` that does not end at `not_at`. With `anchors`, a leading `^`
/// anchors the match at `from`. `spend` gets the units of work and returns true if time is up.
pub(crate) fn scan(
    subject: &[u8],
    pattern: &[u8],
    from: usize,
    not_at: Option<usize>,
    anchors: bool,
    spend: impl FnMut(usize) -> bool,
) -> Result<Option<Match>, PatternError> {
    let anchored = anchors && pattern.first() == Some(&b'^');
    let pattern = if anchored { &pattern[1..] } else { pattern };
    let mut matcher = Matcher { subject, pattern, groups: Vec::new(), depth: 0, steps: 0, spend };
    let found = matcher.search(from, not_at, anchored)?;
    matcher.charge()?;
    Ok(found)
}

impl<E: FnMut(usize) -> bool> Matcher<'_, E> {
    fn search(
        &mut self,
        from: usize,
        not_at: Option<usize>,
        anchored: bool,
    ) -> Result<Option<Match>, PatternError> {
        for start in from..=self.subject.len() {
            self.groups.clear();
            self.depth = 0;
            if let Some(end) = self.run(start, 0)?
                && Some(end) != not_at
            {
                let captures = self.captures()?;
                return Ok(Some(Match { start, end, captures }));
            }
            if anchored {
                break;
            }
        }
        Ok(None)
    }

    fn charge(&mut self) -> Result<(), PatternError> {
        let units = std::mem::take(&mut self.steps).saturating_mul(UNITS_PER_STEP);
        if (self.spend)(units) { Err(PatternError::Expired) } else { Ok(()) }
    }

    fn step(&mut self, bytes: usize) -> Result<(), PatternError> {
        self.steps += bytes;
        if self.steps >= STEPS_PER_CHARGE { self.charge() } else { Ok(()) }
    }

    fn at(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    fn captures(&self) -> Result<Vec<Capture>, PatternError> {
        let one = |&(start, len): &(usize, Len)| match len {
            Len::Bytes(len) => Ok(Capture::Bytes(start, start + len)),
            Len::Position => Ok(Capture::Position(start + 1)),
            Len::Open => Err(PatternError::Pattern("unfinished capture")),
        };
        self.groups.iter().map(one).collect()
    }

    /// Matches the pattern from `p` at `s`. Returns the end of the match.
    fn run(&mut self, s: usize, p: usize) -> Result<Option<usize>, PatternError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PatternError::Pattern("pattern too complex"));
        }
        let ended = self.items(s, p);
        self.depth -= 1;
        ended
    }

    fn items(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>, PatternError> {
        loop {
            self.step(1)?;
            let Some(c) = self.at(p) else { return Ok(Some(s)) };
            match (c, self.at(p + 1)) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Len::Position),
                (b'(', _) => return self.open(s, p + 1, Len::Open),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.subject.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    p += 2;
                    if self.at(p) != Some(b'[') {
                        return Err(PatternError::Pattern("missing '[' after '%f' in pattern"));
                    }
                    let end = self.class_end(p)?;
                    let before = s.checked_sub(1).and_then(|at| self.subject.get(at)).copied();
                    let here = self.subject.get(s).copied().unwrap_or(0);
                    self.step(2 * (end - p))?;
                    if self.in_set(before.unwrap_or(0), p, end) || !self.in_set(here, p, end) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit)) if digit.is_ascii_digit() => match self.back(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    match self.at(end) {
                        Some(b'?') => {
                            if self.single(s, p, end)?
                                && let Some(ended) = self.run(s + 1, end + 1)?
                            {
                                return Ok(Some(ended));
                            }
                            p = end + 1;
                        }
                        Some(b'+') if !self.single(s, p, end)? => return Ok(None),
                        Some(b'+') => return self.longest(s + 1, p, end),
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'-') => return self.shortest(s, p, end),
                        _ if self.single(s, p, end)? => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> Result<Option<usize>, PatternError> {
        let mut count = 0;
        while self.single(s + count, p, end)? {
            count += 1;
        }
        loop {
            if let Some(ended) = self.run(s + count, end + 1)? {
                return Ok(Some(ended));
            }
            match count.checked_sub(1) {
                Some(less) => count = less,
                None => return Ok(None),
            }
        }
    }

    fn shortest(
        &mut self,
        mut s: usize,
        p: usize,
        end: usize,
    ) -> Result<Option<usize>, PatternError> {
        loop {
            if let Some(ended) = self.run(s, end + 1)? {
                return Ok(Some(ended));
            }
            if !self.single(s, p, end)? {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, len: Len) -> Result<Option<usize>, PatternError> {
        if self.groups.len() >= MAX_CAPTURES {
            return Err(PatternError::Pattern("too many captures"));
        }
        let level = self.groups.len();
        self.groups.push((s, len));
        let ended = self.run(s, p)?;
        if ended.is_none() {
            self.groups.truncate(level);
        }
        Ok(ended)
    }

    fn close(&mut self, s: usize, p: usize) -> Result<Option<usize>, PatternError> {
        let open = self.groups.iter().rposition(|(_, len)| matches!(len, Len::Open));
        let Some(level) = open else {
            return Err(PatternError::Pattern("invalid pattern capture"));
        };
        let start = self.groups[level].0;
        self.groups[level].1 = Len::Bytes(s - start);
        let ended = self.run(s, p)?;
        if ended.is_none() {
            self.groups[level].1 = Len::Open;
        }
        Ok(ended)
    }

    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>, PatternError> {
        let (Some(begin), Some(end)) = (self.at(p), self.at(p + 1)) else {
            return Err(PatternError::Pattern("missing arguments to '%b'"));
        };
        if self.subject.get(s) != Some(&begin) {
            return Ok(None);
        }
        let mut open = 1_usize;
        for (at, &c) in self.subject.iter().enumerate().skip(s + 1) {
            self.step(1)?;
            if c == end {
                open -= 1;
                if open == 0 {
                    return Ok(Some(at + 1));
                }
            } else if c == begin {
                open += 1;
            }
        }
        Ok(None)
    }

    fn back(&mut self, s: usize, digit: u8) -> Result<Option<usize>, PatternError> {
        let group = usize::from(digit).checked_sub(usize::from(b'1'));
        match group.and_then(|at| self.groups.get(at)) {
            Some(&(start, Len::Bytes(len))) => {
                self.step(len)?;
                let same = self.subject.get(s..s + len) == self.subject.get(start..start + len);
                Ok(same.then_some(s + len))
            }
            _ => Err(PatternError::Pattern("invalid capture index in pattern")),
        }
    }

    /// Returns the end of the class that begins at `p`.
    fn class_end(&mut self, p: usize) -> Result<usize, PatternError> {
        match self.at(p) {
            Some(b'%') => match self.at(p + 1) {
                Some(_) => Ok(p + 2),
                None => Err(PatternError::Pattern("malformed pattern (ends with '%')")),
            },
            Some(b'[') => {
                let mut at = p + 1;
                if self.at(at) == Some(b'^') {
                    at += 1;
                }
                loop {
                    let c = self.at(at);
                    at += 1;
                    match c {
                        None => {
                            return Err(PatternError::Pattern("malformed pattern (missing ']')"));
                        }
                        Some(b'%') => at += 1,
                        _ => {}
                    }
                    if self.at(at) == Some(b']') {
                        self.step(at - p)?;
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn single(&mut self, s: usize, p: usize, end: usize) -> Result<bool, PatternError> {
        let Some(&c) = self.subject.get(s) else { return Ok(false) };
        self.step(end - p)?;
        Ok(match self.at(p) {
            Some(b'.') => true,
            Some(b'%') => self.at(p + 1).is_some_and(|class| is_class(c, class)),
            Some(b'[') => self.in_set(c, p, end),
            own => own == Some(c),
        })
    }

    /// Returns true if `c` is in the set with its `[` at `p` and its `]` before `end`.
    fn in_set(&self, c: u8, p: usize, end: usize) -> bool {
        let close = end - 1;
        let negated = self.at(p + 1) == Some(b'^');
        let mut at = if negated { p + 2 } else { p + 1 };
        while at < close {
            let here = self.at(at).unwrap_or(0);
            if here == b'%' {
                if self.at(at + 1).is_some_and(|class| is_class(c, class)) {
                    return !negated;
                }
                at += 2;
            } else if self.at(at + 1) == Some(b'-') && at + 2 < close {
                if (here..=self.at(at + 2).unwrap_or(0)).contains(&c) {
                    return !negated;
                }
                at += 3;
            } else {
                if here == c {
                    return !negated;
                }
                at += 1;
            }
        }
        negated
    }
}

fn is_class(c: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => c.is_ascii_alphabetic(),
        b'c' => c.is_ascii_control(),
        b'd' => c.is_ascii_digit(),
        b'g' => c.is_ascii_graphic(),
        b'l' => c.is_ascii_lowercase(),
        b'p' => c.is_ascii_punctuation(),
        b's' => c.is_ascii_whitespace() || c == 0x0b,
        b'u' => c.is_ascii_uppercase(),
        b'w' => c.is_ascii_alphanumeric(),
        b'x' => c.is_ascii_hexdigit(),
        _ => return class == c,
    };
    is != class.is_ascii_uppercase()
}
