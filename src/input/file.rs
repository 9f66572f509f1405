//! Small files that a user names: a regular file, or a shell's pipe (`<(…)`, `/dev/stdin`). Reading has a deadline.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
};
use zeroize::Zeroizing;

/// Larger than any configuration or bundle of certificates.
pub(crate) const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Deadline for a pipe's writer.
const LIMIT: Duration = Duration::from_secs(30);

/// Reads a text of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Zeroizing<String>> {
    let mut bytes = read_bytes(path, most)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads a text that holds a secret. A file that others may read is refused; a pipe is private.
pub(crate) fn read_secret(path: &Path, most: u64) -> Result<Zeroizing<String>, SecretError> {
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(bulla::source::read_secret_file(path)?),
        _ => Ok(read(path, most)?),
    }
}

/// A text that holds a secret cannot be read, or others may read it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error(transparent)]
    File(#[from] bulla::source::SecretFileError),
    #[error(transparent)]
    Pipe(#[from] io::Error),
}

/// Reads at most `most` bytes; more are an error.
pub(crate) fn read_bytes(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let waits = !found.is_file();
    let deadline = Instant::now() + LIMIT;
    let (mut bytes, mut buffer) = (Zeroizing::new(Vec::new()), Zeroizing::new([0; 4096]));
    loop {
        if waits {
            wait(&file, deadline)?;
        }
        match file.read(buffer.as_mut_slice()) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        if bytes.len() as u64 > most {
            return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
        }
    }
}

/// Waits until a pipe has data, or its writer has closed it.
fn wait(file: &std::fs::File, deadline: Instant) -> io::Result<()> {
    let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
        Ok(0) => {
            let seconds = LIMIT.as_secs();
            Err(io::Error::new(ErrorKind::TimedOut, format!("it is a pipe, and nobody wrote to it within {seconds} s")))
        }
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
