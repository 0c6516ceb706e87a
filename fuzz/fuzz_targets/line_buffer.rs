//! The line buffer against the plainest thing that does the same.
//!
//! 0xFF ends a piece, 0xFE stands for a third of the longest line, 0xFD is a jump; other bytes are themselves.
#![no_main]

use agent_presence::core::lines::{LINE_LIMIT, Line, LineBuffer};
use libfuzzer_sys::fuzz_target;

/// A line, and whether it is whole.
type Seen = (Vec<u8>, bool);

fuzz_target!(|data: &[u8]| {
    // A few long runs are as good as many, and faster.
    if data.iter().filter(|byte| **byte == 0xFE).count() > 4 {
        return;
    }
    let mut buffer = LineBuffer::default();
    let mut plain = Plain { line: Vec::new(), known: true };
    let (mut seen, mut expected) = (Vec::new(), Vec::new());
    let mut piece = Vec::new();
    for byte in data {
        match byte {
            0xFF => push(&mut buffer, &mut piece, &mut seen),
            0xFE => {
                let run = vec![b'x'; LINE_LIMIT / 3];
                plain.push(&run, &mut expected);
                piece.extend(run);
            }
            0xFD => {
                push(&mut buffer, &mut piece, &mut seen);
                buffer.jump();
                plain.jump();
            }
            byte => {
                plain.push(&[*byte], &mut expected);
                piece.push(*byte);
            }
        }
    }
    push(&mut buffer, &mut piece, &mut seen);
    assert!(seen == expected);
});

fn push(buffer: &mut LineBuffer, piece: &mut Vec<u8>, seen: &mut Vec<Seen>) {
    buffer.push(piece, |line| {
        seen.push(match line {
            Line::Whole(bytes) => (bytes.to_vec(), true),
            Line::Cut(bytes) | Line::Oversized(bytes) => (bytes.to_vec(), false),
        });
    });
    piece.clear();
}

struct Plain {
    line: Vec<u8>,
    known: bool,
}

impl Plain {
    fn jump(&mut self) {
        self.line.clear();
        self.known = false;
    }

    fn push(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let mut line = std::mem::take(&mut self.line);
            if !std::mem::replace(&mut self.known, true) {
                continue;
            }
            if line.len() > LINE_LIMIT {
                // The result does not depend on the pieces.
                line.push(b'\n');
                push(&mut LineBuffer::default(), &mut line, seen);
                continue;
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                seen.push((line, true));
            }
        }
    }
}
