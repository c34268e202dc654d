//! From bytes to text, a window at a time.

use std::io::{ErrorKind, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1251};

use super::problem::FileProblem;
use super::{MAX_FILE, MAX_ROW};

/// How much of the file decides on its encoding.
const HEAD: usize = 64 * 1024;
/// How much is read at a time.
const CHUNK: usize = 32 * 1024;
/// How much text a window holds: several rows of the longest kind, so that moving the rest to its beginning is cheap.
const WINDOW: usize = 4 * MAX_ROW;
/// What a row may look at beyond its own end: its line break.
const BEYOND: usize = 2;

/// A file's text. Bytes that are no text have become U+FFFD.
pub(super) struct Text<'r> {
    source: &'r mut dyn Read,
    decoder: Decoder,
    /// Bytes that were read and not decoded yet.
    raw: Vec<u8>,
    window: String,
    start: usize,
    line: u64,
    read: u64,
    /// So many bytes are enough for whoever reads.
    enough: u64,
    /// Whether the window holds all the rest.
    ended: bool,
}

impl<'r> Text<'r> {
    /// Finds the encoding out.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no text.
    pub(super) fn open(source: &'r mut dyn Read, enough: u64) -> Result<Text<'r>, FileProblem> {
        let mut raw = vec![0; HEAD];
        let len = read_full(source, &mut raw)?;
        raw.truncate(len);
        let (encoding, bom) = guess(&raw, len < HEAD)?;
        raw.drain(..bom);
        Ok(Text {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw,
            window: String::new(),
            start: 0,
            line: 1,
            read: len as u64,
            enough,
            ended: false,
        })
    }

    /// The encoding's name.
    pub(super) fn encoding(&self) -> &'static str {
        self.decoder.encoding().name()
    }

    /// The line on which the window begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Whether as many bytes were read as are wanted; some of them may still be left.
    pub(super) fn is_enough(&self) -> bool {
        self.read >= self.enough
    }

    /// Whether nothing is left; if something is, the window then holds more than the longest row, or all the rest.
    ///
    /// # Errors
    /// Where the file cannot be read, or is too large.
    pub(super) fn is_empty(&mut self) -> Result<bool, FileProblem> {
        self.fill()?;
        Ok(self.start == self.window.len())
    }

    /// The text from here on; call [`Self::is_empty`] before.
    pub(super) fn window(&self) -> &str {
        self.window.get(self.start..).unwrap_or("")
    }

    fn fill(&mut self) -> Result<(), FileProblem> {
        if self.ended || self.window.len() - self.start > MAX_ROW + BEYOND {
            return Ok(());
        }
        self.window.drain(..self.start);
        self.start = 0;
        while !self.ended && self.window.len() < WINDOW {
            let mut last = false;
            if self.raw.is_empty() {
                self.raw.resize(CHUNK, 0);
                let len = read_full(self.source, &mut self.raw)?;
                self.raw.truncate(len);
                self.read += len as u64;
                last = len < CHUNK;
                if self.read > MAX_FILE {
                    return Err(FileProblem::TooLarge);
                }
            }
            let most = self.decoder.max_utf8_buffer_length(self.raw.len());
            self.window.reserve(most.unwrap_or(4 * CHUNK));
            // The window has room for all of it, so that one call takes all bytes.
            let (_, taken, _) = self
                .decoder
                .decode_to_string(&self.raw, &mut self.window, last);
            self.raw.drain(..taken);
            self.ended = last && self.raw.is_empty();
        }
        Ok(())
    }

    /// Goes on by so many bytes of the window.
    pub(super) fn advance(&mut self, len: usize) {
        let passed = self.window().get(..len).unwrap_or("");
        let (lines, bytes) = (breaks(passed), passed.len());
        self.line += lines;
        self.start += bytes;
    }

    /// The length of the window's first line with its break; `None` where it is longer than a row may be.
    pub(super) fn line_len(&self) -> Option<usize> {
        let window = self.window().as_bytes();
        let within = &window[..window.len().min(MAX_ROW + 1)];
        match within.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            Some(at) => Some(after_break(window, at)),
            None if window.len() > MAX_ROW => None,
            None => Some(window.len()),
        }
    }

    /// Goes on behind the next line break, or until enough was read.
    ///
    /// # Errors
    /// Where the file cannot be read, or is too large.
    pub(super) fn skip_line(&mut self) -> Result<(), FileProblem> {
        while !self.is_empty()? && !self.is_enough() {
            match self.line_len() {
                Some(len) => {
                    self.advance(len);
                    break;
                }
                None => {
                    // No break within these bytes, so that no line is counted.
                    let mut len = MAX_ROW;
                    while !self.window().is_char_boundary(len) {
                        len -= 1;
                    }
                    self.start += len;
                }
            }
        }
        Ok(())
    }
}

/// The place behind the line break that stands at `at`: `\n`, `\r\n` or a lone `\r`.
pub(super) fn after_break(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n') {
        at + 2
    } else {
        at + 1
    }
}

/// How many line breaks a text has.
pub(super) fn breaks(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let lone = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    (0..bytes.len())
        .filter(|at| bytes[*at] == b'\n' || lone(*at))
        .count() as u64
}

fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, FileProblem> {
    let mut len = 0;
    while len < buffer.len() {
        match source.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(FileProblem::Unreadable(error)),
        }
    }
    Ok(len)
}

/// What some files that are no tables begin with.
const MAGIC: [(&[u8], &str); 5] = [
    (b"PK\x03\x04", "an Excel workbook or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3\0", "a SQLite database"),
];

/// The encoding by the file's head, and the length of its mark.
fn guess(head: &[u8], whole: bool) -> Result<(&'static Encoding, usize), FileProblem> {
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(FileProblem::NotText {
            looks_like: Some(what),
        });
    }
    if let Some(found) = Encoding::for_bom(head) {
        return Ok(found);
    }
    if head.contains(&0) {
        return match utf16(head) {
            Some(encoding) => Ok((encoding, 0)),
            None => Err(FileProblem::NotText { looks_like: None }),
        };
    }
    if looks_like_utf8(head, whole) {
        Ok((UTF_8, 0))
    } else {
        Ok((WINDOWS_1251, 0))
    }
}

/// UTF-16 without a mark: nearly every unit's upper byte is 0x00 (Latin, digits, delimiters) or 0x04 (Cyrillic).
fn utf16(head: &[u8]) -> Option<&'static Encoding> {
    let units = head.len() / 2;
    let upper = |side: usize| {
        head.chunks_exact(2)
            .filter(|unit| matches!(unit[side], 0x00 | 0x04))
            .count()
    };
    let (big, little) = (upper(0), upper(1));
    let (best, encoding) = if little >= big {
        (little, UTF_16LE)
    } else {
        (big, UTF_16BE)
    };
    (units > 0 && best * 10 >= units * 9 && big != little).then_some(encoding)
}

/// Valid UTF-8, or UTF-8 with damage: in cp1251 a letter and one of its rare signs rarely make a valid sequence, so that
/// where more sequences are valid than not, one broken byte does not turn all names into another alphabet.
fn looks_like_utf8(head: &[u8], whole: bool) -> bool {
    let (mut valid, mut invalid) = (0usize, 0usize);
    for chunk in head.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    // The head may end within a character.
    if !whole && std::str::from_utf8(head).is_err_and(|error| error.error_len().is_none()) {
        invalid = invalid.saturating_sub(1);
    }
    invalid == 0 || valid > invalid
}
