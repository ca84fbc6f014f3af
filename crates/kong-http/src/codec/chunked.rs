//! The chunked transfer coding, read.

/// Chunk extensions and trailers may add up to this much per chunk; more is taken for an attack.
const MAX_OVERHEAD: u32 = 32 * 1024;

/// Reads a chunked body piece by piece. Lenient like the original (bare LF, extensions, leading zeros), since what is
/// forwarded is framed anew; trailers are read and dropped.
#[derive(Debug, Default)]
pub(crate) struct ChunkedDecoder {
    state: State,
    /// Bytes left of the chunk, or its size while that is read.
    size: u64,
    /// Bytes of framing since the last data.
    overhead: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLf,
    Trailer,
    TrailerEnd,
    TrailerLine,
    Done,
}

/// What a step found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChunkedStep {
    /// All input was framing; more is needed.
    NeedMore,
    /// After `skip` bytes of framing come `len` bytes of data.
    Data { skip: usize, len: usize },
    /// After `skip` bytes of framing the body is over.
    Done { skip: usize },
    /// The framing is broken.
    Invalid,
}

impl ChunkedDecoder {
    /// Looks at `input`; the bytes reported (`skip` + `len`, or everything for `NeedMore`) are consumed.
    pub(crate) fn step(&mut self, input: &[u8]) -> ChunkedStep {
        for (at, byte) in input.iter().enumerate() {
            if self.state == State::Data {
                self.overhead = 0;
                let here = (input.len() - at).min(usize::try_from(self.size).unwrap_or(usize::MAX));
                self.size -= here as u64;
                if self.size == 0 {
                    self.state = State::DataEnd;
                }
                return ChunkedStep::Data { skip: at, len: here };
            }
            self.overhead += 1;
            if self.overhead > MAX_OVERHEAD || !self.advance(*byte) {
                return ChunkedStep::Invalid;
            }
            if self.state == State::Done {
                return ChunkedStep::Done { skip: at + 1 };
            }
        }
        ChunkedStep::NeedMore
    }

    /// Takes one byte of framing; `false` if it cannot stand there.
    fn advance(&mut self, byte: u8) -> bool {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        self.state = match (self.state, byte) {
            (State::Start, _) => match digit {
                Some(digit) => {
                    self.size = digit;
                    State::Size
                }
                None => return false,
            },
            (State::Size, b'\n') | (State::Extension | State::SizeEnd, b'\n') => self.after_size(),
            (State::Size, b'\r') | (State::Extension, b'\r') => State::SizeEnd,
            (State::Size, b';' | b' ' | b'\t') => State::Extension,
            (State::Size, _) => match digit {
                // Kept well below 2^63, so that sums of sizes cannot overflow.
                Some(digit) if self.size < 1 << 58 => {
                    self.size = self.size << 4 | digit;
                    State::Size
                }
                _ => return false,
            },
            (State::Extension, _) => State::Extension,
            (State::DataEnd, b'\n') | (State::DataEndLf, b'\n') => State::Start,
            (State::DataEnd, b'\r') => State::DataEndLf,
            (State::Trailer, b'\n') | (State::TrailerEnd, b'\n') => State::Done,
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::Trailer, _) => State::TrailerLine,
            (State::TrailerLine, b'\n') => State::Trailer,
            (State::TrailerLine, _) => State::TrailerLine,
            _ => return false,
        };
        true
    }

    fn after_size(&self) -> State {
        if self.size == 0 { State::Trailer } else { State::Data }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// The decoded body and what is left after it, or `None` for broken or unfinished input; `cut` is where the input
    /// is split.
    fn decode(input: &[u8], cut: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut decoder = ChunkedDecoder::default();
        let mut body = Vec::new();
        let (first, second) = input.split_at(cut);
        for (index, mut piece) in [first, second].into_iter().enumerate() {
            loop {
                match decoder.step(piece) {
                    ChunkedStep::NeedMore => break,
                    ChunkedStep::Data { skip, len } => {
                        body.extend_from_slice(&piece[skip..skip + len]);
                        piece = &piece[skip + len..];
                    }
                    ChunkedStep::Done { skip } => {
                        let rest = piece[skip..].iter().chain(if index == 0 { second } else { &[] });
                        return Some((body, rest.copied().collect()));
                    }
                    ChunkedStep::Invalid => return None,
                }
            }
        }
        None
    }

    #[test]
    fn every_split_of_a_chunked_body_reads_the_same() {
        let rows: &[(&str, Option<(&str, &str)>)] = &[
            ("3\r\nabc\r\n0\r\n\r\n", Some(("abc", ""))),
            ("3\nabc\n0\n\nGET", Some(("abc", "GET"))),
            ("3;ext=1\r\nabc\r\n0;x\r\n\r\n", Some(("abc", ""))),
            ("3 \r\nabc\r\n0\r\n\r\n", Some(("abc", ""))),
            (
                "A\r\n0123456789\r\n00\r\nX-T: 1\r\nY:\n\r\nrest",
                Some(("0123456789", "rest")),
            ),
            ("003\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", Some(("abcde", ""))),
            ("0\r\n\r\n", Some(("", ""))),
            ("0\r\n", None),
            ("", None),
            ("3\r\nab", None),
            ("x\r\n", None),
            ("\r\n", None),
            ("-1\r\n", None),
            ("3\r\nabcd\r\n0\r\n\r\n", None),
            ("3\r\nabc0\r\n\r\n", None),
            ("3\rXabc\r\n0\r\n\r\n", None),
            ("3g\r\nabc\r\n0\r\n\r\n", None),
            ("ffffffffffffffffff\r\n", None),
            ("0\r\n\rX", None),
        ];
        for (input, expected) in rows {
            let expected = expected.map(|(body, rest)| (body.as_bytes().to_vec(), rest.as_bytes().to_vec()));
            for cut in 0..=input.len() {
                assert_eq!(decode(input.as_bytes(), cut), expected, "{input:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        for start in ["3;", "0\r\nA"] {
            let mut decoder = ChunkedDecoder::default();
            assert_eq!(decoder.step(start.as_bytes()), ChunkedStep::NeedMore);
            let more = vec![b'x'; MAX_OVERHEAD as usize];
            assert_eq!(decoder.step(&more), ChunkedStep::Invalid);
        }
    }
}
