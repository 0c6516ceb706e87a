//! Discord's frames: opcode and length as little-endian `u32`, then that many bytes of JSON.
//!
//! Pure: bytes in, frames out. No memory is allocated for a length before its bytes arrive. [`super::message`] reads
//! the content.

use thiserror::Error;

/// The longest accepted body, in bytes. Discord's own answers are below a hundredth of it.
pub const MAX_BODY: usize = 1024 * 1024;

const HEADER: usize = 8;

/// The purpose of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The first frame of a client.
    Handshake,
    /// A command, an answer or an event.
    Frame,
    /// The sender's last frame, with the reason.
    Close,
    /// To be answered with a [`Opcode::Pong`] of the same body.
    Ping,
    /// The answer to a [`Opcode::Ping`].
    Pong,
}

impl Opcode {
    /// The number on the wire.
    pub fn number(self) -> u32 {
        match self {
            Self::Handshake => 0,
            Self::Frame => 1,
            Self::Close => 2,
            Self::Ping => 3,
            Self::Pong => 4,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Handshake),
            1 => Some(Self::Frame),
            2 => Some(Self::Close),
            3 => Some(Self::Ping),
            4 => Some(Self::Pong),
            _ => None,
        }
    }
}

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its purpose.
    pub opcode: Opcode,
    /// Usually JSON; it is not parsed here.
    pub body: Vec<u8>,
}

/// Bytes that are not a frame. The bytes after them cannot be read either, so the connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No such opcode.
    #[error("a frame with the unknown opcode {0}")]
    UnknownOpcode(u32),
    /// A body above [`MAX_BODY`].
    #[error("a frame of {0} bytes")]
    TooLong(u32),
}

/// Header and body in one buffer, to be written in one piece: older Discord builds and arRPC close the
/// connection when the body is not there together with its header.
pub fn encode(opcode: Opcode, body: &[u8]) -> Vec<u8> {
    // Bodies are small or have come through a FrameBuffer, so the length always fits.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER.saturating_add(body.len()));
    bytes.extend_from_slice(&opcode.number().to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Joins chunks of any size to frames.
///
/// Holds at most one unfinished frame and the rest of the last chunk, if the frames are taken out after each
/// [`FrameBuffer::push`].
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// How many of them have been taken out in frames.
    taken: usize,
}

impl FrameBuffer {
    /// Takes the next bytes from the wire, split anywhere.
    pub fn push(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.taken.min(self.bytes.len()));
        self.taken = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole frame; `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// The bytes are not a frame; every further call gives the same error.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((opcode, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let opcode = u32::from_le_bytes(*opcode);
        let opcode = Opcode::from_number(opcode).ok_or(FrameError::UnknownOpcode(opcode))?;
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let wire_length = u32::from_le_bytes(*length);
        let length = usize::try_from(wire_length).unwrap_or(usize::MAX);
        if length > MAX_BODY {
            return Err(FrameError::TooLong(wire_length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let frame = Frame { opcode, body: body.to_vec() };
        self.taken = self.taken.saturating_add(HEADER).saturating_add(length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames_of(chunks: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
        let mut buffer = FrameBuffer::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            buffer.push(chunk);
            loop {
                match buffer.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let opcode = prop_oneof![
            Just(Opcode::Handshake),
            Just(Opcode::Frame),
            Just(Opcode::Close),
            Just(Opcode::Ping),
            Just(Opcode::Pong)
        ];
        (opcode, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(opcode, body)| Frame { opcode, body })
    }

    #[test]
    fn frames_have_discords_wire_form() {
        assert_eq!(encode(Opcode::Frame, b"{}"), b"\x01\0\0\0\x02\0\0\0{}");
    }

    #[test]
    fn a_length_above_the_limit_is_an_error_without_allocation() {
        let mut buffer = FrameBuffer::default();
        buffer.push(&[1, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff]);
        assert_eq!(buffer.next_frame(), Err(FrameError::TooLong(0xffff_fff0)));
        assert_eq!(buffer.next_frame(), Err(FrameError::TooLong(0xffff_fff0)));
    }

    #[test]
    fn the_longest_body_still_passes() {
        let whole = encode(Opcode::Frame, &vec![b' '; MAX_BODY]);
        let (frames, error) = frames_of(&[&whole]);
        assert_eq!((frames.len(), error), (1, None));
    }

    #[test]
    fn an_unknown_opcode_is_an_error_before_its_length_arrives() {
        assert_eq!(frames_of(&[&[9, 0, 0, 0]]), (vec![], Some(FrameError::UnknownOpcode(9))));
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(frames in prop::collection::vec(any_frame(), 0..6), cuts in prop::collection::vec(1_usize..40, 1..60)) {
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| encode(frame.opcode, &frame.body)).collect();
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (chunk, left) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = left;
            }
            prop_assert_eq!(frames_of(&chunks), (frames, None));
        }

        #[test]
        fn no_bytes_cause_a_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let whole = chunks.concat();
            prop_assert_eq!(frames_of(&chunks), frames_of(&[&whole]));
        }
    }
}
