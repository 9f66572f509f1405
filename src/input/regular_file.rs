//! Opens regular files only, and never waits: a named pipe would wait for its other end, and a device for its driver.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Opens the file at this path with these options.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(is_not_one()) }
}

/// Opens a file for reading.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// The whole of a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses what is there and is no regular file, before somebody else opens it.
pub(crate) fn require(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(is_not_one()),
        _ => Ok(()),
    }
}

fn is_not_one() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_named_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        for options in [OpenOptions::new().read(true), OpenOptions::new().append(true)] {
            open(&pipe, options).expect_err("to read and to write");
        }
        assert_eq!(read(&pipe).expect_err("refused").to_string(), "it is not a regular file");
        assert!(require(&pipe).is_err() && require(folder.path()).is_err());
        assert!(require(&file).is_ok(), "there is none");
        std::fs::write(&file, "text").expect("written");
        assert_eq!(read(&file).expect("read"), b"text");
        assert!(require(&file).is_ok());
    }
}
