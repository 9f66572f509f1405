//! Tells whether a write-ahead log belongs to the database beside it. SQLite's own format of the log does not say.
//!
//! Format of the log: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::{
    collections::HashSet,
    fs::File,
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use rusqlite::{Connection, OpenFlags};

use super::mark::{self, Mark};
use crate::input::regular_file;

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
/// The last bit, masked off, is the checksums' byte order.
const MAGIC: u32 = 0x377f_0682;
/// Page type of a table leaf; a one-row table is one leaf.
const LEAF: u8 = 13;

/// How often a log that seems foreign is checked again: another process may just be moving it into the database.
const CHECKS: u32 = 8;
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// How often a check is repeated because the log was restarted meanwhile.
const MAX_RETRIES: u32 = 200;

/// The file beside a database with this ending behind its name.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let name = database.file_name().unwrap_or_default();
    let mut beside = name.to_owned();
    beside.push(ending);
    database.with_file_name(beside)
}

/// Whether the log belongs to the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// The log belongs to the database, or does not exist.
    Fits,
    /// The log holds changes of another database, or of another state of this one.
    Foreign,
    /// The log was removed: its index still exists.
    Removed,
}

/// The committed frames of a log.
#[derive(Default)]
struct Log {
    header: [u8; HEADER as usize],
    frames: u64,
    /// Bytes of a page.
    page: u64,
    marks: Vec<Mark>,
    /// The number of the page that the marks are on.
    mark_page: u32,
    /// Schema cookies of the first page.
    cookies: Vec<u32>,
    /// Whether the schema may have changed before the first mark.
    early_schema: bool,
    /// Whether every page of the database is in the log, so that the database file does not matter.
    whole: bool,
}

/// The database file, without its log.
struct DatabaseFile {
    empty: bool,
    mark: Option<Mark>,
    cookie: u32,
}

/// Checks whether the log beside `database` belongs to it. `seen` is the mark that an open connection sees, which must
/// be the database's where the log has none.
pub(super) fn fit(database: &Path, seen: &dyn Fn() -> Option<Mark>) -> io::Result<Fit> {
    let log = beside(database, "-wal");
    let (mut fit, mut checks) = (Fit::Fits, 0);
    for _ in 0..MAX_RETRIES {
        let before = header(&log)?;
        fit = match &before {
            None if beside(database, "-shm").metadata().is_ok_and(|index| index.len() > 0) => Fit::Removed,
            None => return Ok(Fit::Fits),
            // The database first: frames that move into it meanwhile are still in the log.
            Some(_) => {
                let (file, log) = (DatabaseFile::read(database), Log::read(&log)?);
                let file = file.or_else(|| DatabaseFile::read_pages(database, &log));
                if log.fits(file.as_ref(), seen) { Fit::Fits } else { Fit::Foreign }
            }
        };
        if header(&log)? == before {
            if fit == Fit::Fits {
                return Ok(fit);
            }
            checks += 1;
            if checks == CHECKS {
                return Ok(fit);
            }
        }
        std::thread::sleep(CHECK_INTERVAL);
    }
    Ok(fit)
}

/// The header of a log; `None` without a log, and zeros in an empty one.
fn header(log: &Path) -> io::Result<Option<[u8; HEADER as usize]>> {
    let mut header = [0; HEADER as usize];
    match regular_file::open_to_read(log) {
        Ok(file) if file.metadata()?.len() >= HEADER => file.read_exact_at(&mut header, 0)?,
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(header))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

impl DatabaseFile {
    /// Reads the database as if there was no log. `None` where the file is not a database.
    fn read(database: &Path) -> Option<Self> {
        if database.metadata().ok()?.len() == 0 {
            return Some(DatabaseFile { empty: true, mark: None, cookie: 0 });
        }
        let connection = immutable(database).ok()?;
        let mark = mark::read(&connection).ok()?;
        Some(DatabaseFile { empty: false, mark, cookie: mark::cookie(&connection).ok()? })
    }

    /// Reads mark and cookie from the pages on which the log has them. A process that ends while it moves the log into
    /// the database leaves a file that SQLite does not read alone: its first page has the new length, and the last ones
    /// are missing.
    fn read_pages(database: &Path, log: &Log) -> Option<Self> {
        let file = regular_file::open_to_read(database).ok()?;
        let page = u64::from(log.mark_page.checked_sub(1)?) * log.page;
        let mut head = [0; 12];
        file.read_exact_at(&mut head, page).ok()?;
        Some(DatabaseFile { empty: false, mark: mark_in(&file, page, &head).ok()?, cookie: cookie(&file, 0).ok()? })
    }
}

/// Opens a file as one that never changes: SQLite reads no log and takes no lock.
pub(super) fn immutable(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("{}?immutable=1", uri(database)), flags)
}

/// What a path cannot hold as it is in SQLite's URIs.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// The path as SQLite's URIs have it.
pub(super) fn uri(database: &Path) -> String {
    format!("file:{}", percent_encode(database.as_os_str().as_bytes(), ESCAPED))
}

impl Log {
    fn read(path: &Path) -> io::Result<Self> {
        let file = regular_file::open_to_read(path)?;
        let (length, mut log) = (file.metadata()?.len(), Log::default());
        if length < HEADER {
            return Ok(log);
        }
        file.read_exact_at(&mut log.header, 0)?;
        let page = u64::from(number(&log.header, 8));
        if number(&log.header, 0) & !1 != MAGIC || page == 0 {
            return Ok(log);
        }
        log.page = page;
        let (mut pages, mut part) = (HashSet::new(), Log::default());
        let mut at = HEADER;
        while at + FRAME_HEADER + page <= length {
            let mut head = [0; FRAME_HEADER as usize + 12];
            file.read_exact_at(&mut head, at)?;
            // Frames from before the log was restarted.
            if head[8..16] != log.header[16..24] {
                break;
            }
            let (number, committed) = (number(&head, 0), number(&head, 4));
            let content = at + FRAME_HEADER;
            pages.insert(number);
            part.frames += 1;
            if number == 1 {
                part.cookies.push(cookie(&file, content)?);
            }
            if let Some(mark) = mark_in(&file, content, &head[FRAME_HEADER as usize..])? {
                part.marks.push(mark);
                part.mark_page = number;
            }
            if committed > 0 {
                log.commit(std::mem::take(&mut part));
                let within = pages.iter().filter(|number| **number <= committed).count();
                log.whole = within as u64 >= u64::from(committed) - lock_pages(committed, page);
            }
            at = content + page;
        }
        Ok(log)
    }

    fn commit(&mut self, part: Log) {
        self.early_schema |= self.marks.is_empty() && part.marks.is_empty() && !part.cookies.is_empty();
        self.frames += part.frames;
        self.mark_page = if part.mark_page == 0 { self.mark_page } else { part.mark_page };
        self.marks.extend(part.marks);
        self.cookies.extend(part.cookies);
    }

    fn fits(&self, file: Option<&DatabaseFile>, seen: &dyn Fn() -> Option<Mark>) -> bool {
        if self.frames > 0 && file.is_some_and(|file| file.empty) {
            return false;
        }
        if self.whole {
            return true;
        }
        let Some(file) = file else { return self.frames == 0 };
        let Some(first) = self.marks.first() else {
            return seen().is_none_or(|seen| file.mark == Some(seen));
        };
        let known = match file.mark {
            None => first.previous == [0; 16],
            Some(mark) => first.previous == mark.token || self.marks.iter().any(|other| other.token == mark.token),
        };
        let mut cookies = self.marks.iter().map(|mark| mark.cookie).chain(self.cookies.iter().copied());
        known && (self.early_schema || cookies.any(|cookie| cookie == file.cookie))
    }
}

/// The schema cookie of a first page.
fn cookie(file: &File, page: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, page + 40)?;
    Ok(u32::from_be_bytes(bytes))
}

/// The mark in a page that holds one row, the mark; `head` is how the page begins.
fn mark_in(file: &File, page: u64, head: &[u8]) -> io::Result<Option<Mark>> {
    const ROW: [u8; 5] = [mark::BYTES as u8 + 3, 1, 3, 0, (mark::BYTES * 2 + 12) as u8];
    if head.first() != Some(&LEAF) || head.get(3..5) != Some(&[0, 1]) {
        return Ok(None);
    }
    let cell = u64::from(number(head, 8) >> 16);
    let mut bytes = [0; ROW.len() + mark::BYTES];
    match file.read_exact_at(&mut bytes, page + cell) {
        Ok(()) => Ok(bytes.strip_prefix(&ROW).and_then(Mark::parse)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// SQLite never writes the page that its locks are on, at one gibibyte.
fn lock_pages(pages: u32, page: u64) -> u64 {
    u64::from(u64::from(pages) * page > 1 << 30)
}
