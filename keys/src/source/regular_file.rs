//! Opening a file never waits: a named pipe would wait for its writer, and a device for its driver, so both are
//! refused.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
};

/// Reads a regular file of at most `most` bytes. Anything else is refused at once, be it a named pipe, which would
/// wait for its writer, or `/dev/zero`, which would never end.
pub fn read_regular_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular_file(path)?;
    let found = file.metadata()?;
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"));
    if found.len() > most {
        return Err(too_large());
    }
    let mut content = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    // It may have grown since.
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most { Err(too_large()) } else { Ok(content) }
}

/// Opens a regular file for reading, and refuses anything else at once.
pub(crate) fn open_regular_file(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Opens a file for reading, and never waits. The caller checks its kind before it reads.
#[cfg(unix)]
pub(super) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
