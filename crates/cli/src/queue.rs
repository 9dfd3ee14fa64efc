//! Queue of lines for a stream, written by a thread of its own: a stream without a reader blocks only that thread.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Most bytes that wait to be written.
const MOST: usize = 1 << 20;
/// Time that a line waits for a stream that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of one write: a pipe takes this many at once or not at all.
const PIECE: usize = 4096;
/// Pause before a non-blocking stream is tried again.
const BREATH: Duration = Duration::from_millis(10);

/// Bounded queue of lines for a stream. Further lines are lost, and their number is written to the stream.
pub(crate) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Signals that an item was added.
    filled: Condvar,
    /// Signals that an item was written, or failed to be.
    moved: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Bytes of the items, and of the one being written.
    bytes: usize,
    /// Lines lost since the last one that was added.
    lost: u64,
    is_writing: bool,
    /// True if a line waits for room.
    waits: bool,
    /// True if the stream took nothing for [`PATIENCE`].
    is_stuck: bool,
    /// Number of pieces written or failed.
    moves: u64,
    /// True without a writer thread.
    is_closed: bool,
}

enum Item {
    Line(Vec<u8>),
    /// Number of lines lost at this place.
    Lost(u64),
}

impl Queue {
    /// Starts the thread that writes to `stream`. With `tells`, the number of lost lines is written to it.
    pub(crate) fn start(name: &str, stream: impl Write + Send + 'static, tells: bool) -> Self {
        let state = Mutex::new(State { waits: true, ..State::default() });
        let shared = Arc::new(Shared { state, filled: Condvar::new(), moved: Condvar::new() });
        let mut writer =
            Writer { shared: Arc::clone(&shared), stream, tells, lost: 0, is_cut: false };
        let thread = thread::Builder::new().name(name.to_owned());
        if thread.spawn(move || writer.run()).is_err() {
            shared.lock().is_closed = true;
        }
        Self(shared)
    }

    /// Sets if a line waits for room while the stream makes progress. Without waiting it is lost.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.0.lock().waits = waits;
        self.0.moved.notify_all();
    }

    /// Adds a line, including its line break.
    pub(crate) fn push(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        while !state.has_room(line.len()) {
            if !state.waits || state.is_stuck || state.is_closed {
                state.lost += 1;
                return;
            }
            state = self.0.wait(state);
        }
        state.tell_lost();
        state.bytes += line.len();
        state.items.push_back(Item::Line(line));
        self.0.filled.notify_one();
    }

    /// Waits until everything is written, or the stream took nothing for a while.
    pub(crate) fn flush(&self) {
        let mut state = self.0.lock();
        while !state.is_idle() && !state.is_stuck {
            state = self.0.wait(state);
        }
    }

    /// Waits until everything is written, without a limit.
    pub(crate) fn drain(&self) {
        let mut state = self.0.lock();
        while !state.is_idle() {
            state = self.0.wait(state);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for progress of the stream; without any it is marked as stuck.
    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let before = state.moves;
        let (mut state, waited) = self
            .moved
            .wait_timeout_while(state, PATIENCE, |state| state.moves == before)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_stuck |= waited.timed_out();
        state
    }

    /// Next item to write.
    fn next(&self) -> Item {
        let mut state = self.lock();
        loop {
            state.tell_lost_at_the_end();
            if let Some(item) = state.items.pop_front() {
                state.is_writing = true;
                return item;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn moved(&self) {
        let mut state = self.lock();
        state.moves += 1;
        state.is_stuck = false;
        self.moved.notify_all();
    }

    fn done(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes -= bytes;
        state.is_writing = false;
        state.moves += 1;
        self.moved.notify_all();
    }
}

impl State {
    /// Returns true if a line fits in; a line over the limit needs an empty queue.
    fn has_room(&self, bytes: usize) -> bool {
        !self.is_closed && (self.bytes == 0 || self.bytes + bytes <= MOST)
    }

    fn is_idle(&self) -> bool {
        self.is_closed || (self.items.is_empty() && !self.is_writing && self.lost == 0)
    }

    /// Adds the number of lost lines at their place.
    fn tell_lost(&mut self) {
        if self.lost > 0 {
            self.items.push_back(Item::Lost(std::mem::take(&mut self.lost)));
        }
    }

    fn tell_lost_at_the_end(&mut self) {
        if self.items.is_empty() {
            self.tell_lost();
        }
    }
}

/// State of the writer thread.
struct Writer<W> {
    shared: Arc<Shared>,
    stream: W,
    tells: bool,
    /// Lost lines that were not reported in the stream yet.
    lost: u64,
    /// True if the last line in the stream is incomplete.
    is_cut: bool,
}

impl<W: Write> Writer<W> {
    fn run(&mut self) {
        loop {
            match self.shared.next() {
                Item::Lost(lines) => {
                    self.lost += lines;
                    self.tell();
                    self.shared.done(0);
                }
                Item::Line(line) => {
                    if !(self.tell() && self.write(&line)) {
                        self.lost += 1;
                    }
                    self.shared.done(line.len());
                }
            }
        }
    }

    /// Writes the number of lost lines, if any; returns false when that fails.
    fn tell(&mut self) -> bool {
        let lines = self.lost;
        if lines == 0 || !self.tells {
            self.lost = 0;
            return true;
        }
        let plural = if lines == 1 { " was" } else { "s were" };
        let notice = format!("warning: {lines} log line{plural} lost: they could not be written\n");
        let is_told = self.write(notice.as_bytes());
        if is_told {
            self.lost = 0;
        }
        is_told
    }

    /// Writes a line; returns false when that fails, possibly in the middle of it.
    fn write(&mut self, line: &[u8]) -> bool {
        if self.is_cut {
            self.is_cut = !self.write_piece(b"\n");
            if self.is_cut {
                return false;
            }
        }
        for piece in line.chunks(PIECE) {
            if !self.write_piece(piece) {
                return false;
            }
            self.shared.moved();
            self.is_cut = true;
        }
        self.is_cut = false;
        true
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the thread serves this stream alone, and a stream that somebody made non-blocking has no event"
    )]
    fn write_piece(&mut self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() {
            match self.stream.write(piece) {
                Ok(0) => return false,
                Ok(count) => {
                    piece = piece.get(count..).unwrap_or_default();
                    self.is_cut |= !piece.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(BREATH),
                Err(_) => return false,
            }
        }
        self.stream.flush().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, PipeWriter, pipe};

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn queue(waits: bool) -> std::io::Result<(Queue, PipeReader)> {
        let (reader, writer): (PipeReader, PipeWriter) = pipe()?;
        let queue = Queue::start("test", writer, true);
        queue.set_waits(waits);
        Ok((queue, reader))
    }

    fn line(number: usize) -> Vec<u8> {
        format!("{number:1023}\n").into_bytes()
    }

    #[test]
    fn full_queue_drops_lines_and_reports_their_number_in_place() -> Tested {
        let (queue, reader) = queue(false)?;
        let pushed = 2 * MOST / 1024;
        // Without a reader, each of these returns nonetheless.
        (0..pushed).for_each(|number| queue.push(line(number)));
        let mut lines = BufReader::new(reader).lines();
        let mut next =
            || lines.next().ok_or("the end")?.map_err(Box::<dyn std::error::Error>::from);
        // While the pipe takes its first lines there may be room between two lost lines.
        let (mut seen, mut lost) = (0, 0);
        while seen < pushed {
            let found = next()?;
            match found.trim().parse::<usize>() {
                Ok(number) => {
                    assert_eq!(number, seen);
                    seen += 1;
                }
                Err(_) => {
                    let notice = found.strip_prefix("warning: ").ok_or("no notice")?;
                    let (number, words) = notice.split_once(" log line").ok_or("no number")?;
                    let number: usize = number.parse()?;
                    let words = words.trim_start_matches("s were").trim_start_matches(" was");
                    assert_eq!(words, " lost: they could not be written");
                    (seen, lost) = (seen + number, lost + number);
                }
            }
        }
        let kept = seen - lost;
        assert!(kept >= MOST / 1024 && lost > 0, "{kept} kept, {lost} lost");
        queue.push(line(7));
        assert_eq!(next()?.trim(), "7");
        Ok(())
    }

    #[test]
    fn lines_that_wait_for_a_slow_reader_all_arrive() -> Tested {
        let (queue, reader) = queue(true)?;
        let pushed = 3 * MOST / 1024;
        let expected = (0..pushed).map(line);
        let read = thread::spawn(move || {
            let mut lines = BufReader::new(reader);
            expected.into_iter().all(|expected| {
                let mut found = Vec::new();
                lines.read_until(b'\n', &mut found).is_ok() && found == expected
            })
        });
        (0..pushed).for_each(|number| queue.push(line(number)));
        queue.drain();
        assert!(read.join().is_ok_and(|is_whole| is_whole));
        Ok(())
    }

    /// Stream that accepts writes or fails, as set.
    struct Failing(Arc<Mutex<(bool, Vec<u8>)>>);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                return Err(ErrorKind::StorageFull.into());
            }
            // Half of it, like a disk that becomes full.
            let count = bytes.len().div_ceil(2);
            state.1.extend_from_slice(bytes.get(..count).unwrap_or_default());
            state.0 = bytes.starts_with(b"cut");
            Ok(count)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn failed_lines_are_counted_and_a_cut_line_is_ended() -> Tested {
        let state = Arc::new(Mutex::new((false, Vec::new())));
        let queue = Queue::start("test", Failing(Arc::clone(&state)), true);
        for text in ["one\n", "cut\n", "lost\n"] {
            queue.push(text.into());
            queue.flush();
        }
        state.lock().unwrap_or_else(PoisonError::into_inner).0 = false;
        queue.push(b"two\n".to_vec());
        queue.flush();
        let written = state.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        let expected = "one\ncu\nwarning: 2 log lines were lost: they could not be written\ntwo\n";
        assert_eq!(String::from_utf8(written)?, expected);
        Ok(())
    }
}
