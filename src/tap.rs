//! `tap`: standard input to standard output, and what passes by to the daemon.
//!
//! Copying is all that matters: one read, one write, and only then a look at the bytes, at the speed of memory as long
//! as they are of no interest. What came of them waits in [`Passing`], bounded, for a thread that tells the daemon; nothing
//! that this thread suffers from reaches the copy, and neither does a defect in understanding the bytes.
//! Read next: [`report`], which tells; [`crate::core::file::Stream`], which understands.

mod passing;
pub mod place;
pub mod report;

use std::io::{self, Read, Write};

pub use passing::Passing;

use place::RunFolders;

/// How much is read at once, in bytes: what stays in a core's own cache until it is looked at.
const BUFFER: usize = 128 << 10;

/// Why copying ended before the input did.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The input could not be read.
    #[error("could not read standard input: {0}")]
    Input(io::Error),
    /// The output could not be written.
    #[error("could not write standard output: {0}")]
    Output(io::Error),
}

/// Copies until the end of the input, and shows what it copied to `passing`. Where the run works is asked once, when
/// something has come.
///
/// # Errors
/// The input could not be read, or the output not be written.
pub fn copy(
    input: &mut impl Read,
    output: &mut impl Write,
    passing: &Passing,
    place: impl FnOnce() -> RunFolders,
) -> Result<(), CopyError> {
    let mut buffer = vec![0; BUFFER];
    let mut place = Some(place);
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Input(error)),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        output.write_all(bytes).and_then(|()| output.flush()).map_err(CopyError::Output)?;
        // Who prints is there for sure only now.
        if let Some(place) = place.take() {
            passing.set_place(place());
        }
        passing.show(bytes);
    }
}
