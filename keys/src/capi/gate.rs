//! Opening a gate, keeping it current, and freeing it.

use std::{
    ffi::{c_char, c_int, c_void},
    fs::File,
    io::{self, Read, Seek},
    os::fd::BorrowedFd,
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::{ACCEPTED, FAILED, Failure, Misuse, REJECTED, caught, text};
use crate::gateway::{Counters, Gate, GateError, Running, Settings};

/// Largest accepted file.
const MAX_FILE: u64 = 8 << 20;
pub(super) const ERROR_SIZE: usize = 256;

/// `bulla_gate`.
pub(super) struct OpenGate {
    pub(super) gate: Gate,
    running: Mutex<Option<Running>>,
}

/// `bulla_file`.
#[repr(C)]
pub(super) struct FileArgument {
    pub(super) name: *const c_char,
    pub(super) bytes: *const c_void,
    pub(super) len: usize,
    pub(super) fd: c_int,
}

/// `bulla_status`.
#[repr(C)]
pub(super) struct StatusResult {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) could_not_tell: u64,
    pub(super) feed_age: u64,
    pub(super) seq: u64,
    pub(super) revocations: u64,
    pub(super) keyring_serial: u64,
    pub(super) refused_messages: u64,
    pub(super) failures: u32,
    pub(super) started_in: u32,
    pub(super) forked: u32,
    pub(super) error: [u8; ERROR_SIZE],
}

/// # Safety
///
/// As the header says: `settings_path` is NULL or ends in a NUL; `gate` is NULL or may be written; `error` is NULL or
/// has room for `error_size` bytes.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn bulla2_gate_open(
    settings_path: *const c_char,
    gate: *mut *mut OpenGate,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let open = || {
        // SAFETY: it is NULL or ends in a NUL, as the caller promises.
        let path = unsafe { text::required(settings_path) }?;
        Ok(OpenGate::of(Gate::open(&Settings::read(Path::new(path))?)?))
    };
    // SAFETY: both places are as the caller promises.
    unsafe { text::hand_out(gate, (error, error_size), open) }
}

/// # Safety
///
/// As for [`bulla2_gate_open`]; `settings` is NULL or leads to so many bytes, `folder` is NULL or ends in a NUL, and
/// `files` is NULL or leads to so many structures, whose names end in NUL and whose bytes are as many as they say, or
/// whose descriptors are open.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_open_text(
    settings: *const c_char,
    settings_len: usize,
    folder: *const c_char,
    files: *const FileArgument,
    files_len: usize,
    gate: *mut *mut OpenGate,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let open = || {
        // SAFETY: all of them are as the caller promises.
        let (settings, folder, files) = unsafe {
            (
                text::bytes(settings, settings_len)?,
                text::optional(folder)?.unwrap_or_default(),
                text::array(files, files_len)?,
            )
        };
        let settings = std::str::from_utf8(settings).map_err(|_| Misuse::NotUtf8)?;
        let mut settings = Settings::parse(settings, Path::new(folder))?;
        for file in files {
            // SAFETY: its name, bytes and descriptor are as the caller promises.
            let (name, content) = unsafe { (text::required(file.name)?, content(file)) };
            settings = settings.handing(name, content.map_err(|error| Failure::File { name: name.to_owned(), error })?);
        }
        Ok(OpenGate::of(Gate::open(&settings)?))
    };
    // SAFETY: both places are as the caller promises.
    unsafe { text::hand_out(gate, (error, error_size), open) }
}

/// # Safety
///
/// The file's bytes are NULL or as many as it says; without them its descriptor is open.
unsafe fn content(file: &FileArgument) -> io::Result<Vec<u8>> {
    if !file.bytes.is_null() {
        // SAFETY: it is not NULL, and leads to so many bytes.
        return Ok(unsafe { std::slice::from_raw_parts(file.bytes.cast::<u8>(), file.len) }.to_vec());
    }
    if file.fd < 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither bytes nor a descriptor were given"));
    }
    // SAFETY: it is open as long as this function runs, as the caller promises.
    let descriptor = unsafe { BorrowedFd::borrow_raw(file.fd) };
    let mut file = File::from(descriptor.try_clone_to_owned()?);
    // A pipe has no beginning to go back to.
    let _is_pipe = file.rewind();
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(content) }
}

/// # Safety
///
/// As the header says: `gate` is NULL or came from a function that opens, and is not used any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_free(gate: *mut OpenGate) {
    // SAFETY: the caller gives it back once.
    unsafe { text::free(gate) }
}

/// # Safety
///
/// As the header says: `gate` is NULL or came from a function that opens and was not given back; `error` is NULL or has
/// room for `error_size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_start(gate: *mut OpenGate, error: *mut c_char, error_size: usize) -> c_int {
    // SAFETY: it is NULL or a gate, as the caller promises.
    let start = || unsafe { gate.as_ref() }.ok_or(Misuse::NullPointer)?.start();
    // SAFETY: there is room for so many, as the caller promises.
    unsafe { text::done((error, error_size), start) }
}

/// # Safety
///
/// As for [`bulla2_gate_start`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_stop(gate: *mut OpenGate) {
    // SAFETY: it is NULL or a gate, as the caller promises.
    if let Some(gate) = unsafe { gate.as_ref() } {
        caught(|| drop(gate.running.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}

/// # Safety
///
/// As for [`bulla2_gate_start`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_reload(gate: *mut OpenGate, error: *mut c_char, error_size: usize) -> c_int {
    // SAFETY: it is NULL or a gate, as the caller promises.
    let reload = || Ok(unsafe { gate.as_ref() }.ok_or(Misuse::NullPointer)?.gate.reload()?);
    // SAFETY: there is room for so many, as the caller promises.
    unsafe { text::done((error, error_size), reload) }
}

/// # Safety
///
/// As for [`bulla2_gate_start`]; `message` is NULL or leads to so many bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_apply(
    gate: *mut OpenGate,
    message: *const c_void,
    message_len: usize,
    now: u64,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let mut more = false;
    let apply = || {
        // SAFETY: each is NULL, or as the caller promises.
        let (gate, message) = unsafe { (gate.as_ref(), text::bytes(message.cast(), message_len)?) };
        more = gate.ok_or(Misuse::NullPointer)?.gate.apply(message, now)?;
        Ok(())
    };
    // SAFETY: there is room for so many, as the caller promises.
    match unsafe { text::done((error, error_size), apply) } {
        ACCEPTED if more => REJECTED,
        status => status,
    }
}

/// # Safety
///
/// As for [`bulla2_gate_start`]; `path` is NULL or has room for `path_size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_question(
    gate: *const OpenGate,
    wait: u32,
    path: *mut c_char,
    path_size: usize,
) -> c_int {
    let ask = || {
        // SAFETY: it is NULL or a gate, and there is room for so many, as the caller promises.
        let (gate, room) = unsafe { (gate.as_ref(), text::room(path, path_size)) };
        let question = gate.ok_or(Misuse::NullPointer)?.gate.question(wait.into())?;
        Ok(text::write(room.ok_or(Misuse::NullPointer)?, &question)?)
    };
    match caught(ask) {
        Some(Ok(())) => ACCEPTED,
        Some(Err::<(), Failure>(_)) | None => FAILED,
    }
}

/// # Safety
///
/// As for [`bulla2_gate_start`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_tick(gate: *mut OpenGate, now: u64) {
    // SAFETY: it is NULL or a gate, as the caller promises.
    if let Some(gate) = unsafe { gate.as_ref() } {
        caught(|| gate.gate.tick(now));
    }
}

/// # Safety
///
/// As for [`bulla2_gate_start`]; `status` is NULL or may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn bulla2_gate_status(gate: *const OpenGate, now: u64, status: *mut StatusResult) -> c_int {
    // SAFETY: it is NULL or a gate, as the caller promises.
    let (Some(gate), false) = (unsafe { gate.as_ref() }, status.is_null()) else { return FAILED };
    let Some(result) = caught(|| StatusResult::of(&gate.gate.counters(now))) else { return FAILED };
    // SAFETY: it is not NULL, and may be written, as the caller promises.
    unsafe { status.write(result) };
    ACCEPTED
}

impl OpenGate {
    pub(super) fn of(gate: Gate) -> Self {
        OpenGate { gate, running: Mutex::new(None) }
    }

    fn start(&self) -> Result<(), Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match self.gate.start() {
            Ok(started) => *running = Some(started),
            Err(GateError::Started) if running.is_some() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl StatusResult {
    fn of(counters: &Counters) -> Self {
        let sum = |counts: &[(&str, u64)]| counts.iter().map(|(_, count)| count).sum();
        let errors = [&counters.last_error, &counters.reload_error, &counters.state_error, &counters.report_error];
        let messages: Vec<&str> = errors.into_iter().flatten().map(String::as_str).collect();
        let mut error = [0; ERROR_SIZE];
        text::write_cut(&mut error, &messages.join("; "));
        StatusResult {
            accepted: counters.accepted,
            rejected: sum(&counters.rejected),
            could_not_tell: sum(&counters.could_not_tell),
            feed_age: counters.feed_age.unwrap_or(u64::MAX),
            seq: counters.seq,
            revocations: counters.revocations as u64,
            keyring_serial: counters.keyring_serial,
            refused_messages: counters.refused_messages,
            failures: counters.failures,
            started_in: counters.started_in.unwrap_or(0),
            forked: counters.forked.into(),
            error,
        }
    }
}
