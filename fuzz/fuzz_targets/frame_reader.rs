//! Any bytes from a Discord client: no panic, the same frames at any split, and a frame encodes to the bytes that it came from.
//!
//! The first byte is the size of the pieces that the rest arrives in.
#![no_main]

use agent_presence::io::discord::frame::{Frame, FrameBuffer, FrameError, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let (frames, error) = read([bytes].into_iter());
    let split = read(bytes.chunks(usize::from(*size) + 1));
    assert_eq!((&frames, error), (&split.0, split.1));
    let taken: Vec<u8> = frames.iter().flat_map(|frame| encode(frame.opcode, &frame.body)).collect();
    assert!(bytes.starts_with(&taken));
});

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FrameError>) {
    let mut buffer = FrameBuffer::default();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.push(piece);
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
