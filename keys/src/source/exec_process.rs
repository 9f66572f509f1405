//! A program in a process group of its own, so that it is ended with all that it started.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{WaitId, WaitIdOptions, waitid},
};
use zeroize::Zeroizing;

use super::running_programs::{self, Group};

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How much is read in one go.
const CHUNK: usize = 4096;
/// How often that is done before the program itself is looked at again, however much it prints.
const CHUNKS: usize = 64;

/// What is left of a program that ended by itself.
#[derive(Debug)]
pub struct FinishedProgram {
    /// How it ended.
    pub status: ExitStatus,
    /// The beginning of its standard output.
    pub printed: Zeroizing<Vec<u8>>,
    /// The beginning of its standard error.
    pub said: Zeroizing<Vec<u8>>,
}

/// One output of a program: its first bytes are kept, and the rest is read so that the program does not wait on a full
/// pipe.
struct Output<R> {
    from: Option<R>,
    kept: Zeroizing<Vec<u8>>,
    most: usize,
}

/// Runs a program to its end, or ends it at the deadline; then there is nothing. It gets `input`, which has to fit a
/// pipe (4,096 bytes do), and the first bytes of its two outputs are kept. It runs in a process group of its own: what
/// it started there is ended with it, and not waited for. [`end_programs`](super::end_programs) ends it, too.
///
/// # Errors
///
/// It could not be started or watched, or this process is about to end.
pub fn run_program(
    command: &mut Command,
    input: &[u8],
    deadline: Instant,
    most_printed: usize,
    most_said: usize,
) -> io::Result<Option<FinishedProgram>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, group) = running_programs::start(command.process_group(0))?;
    let outcome = follow(&mut child, &group, input, deadline, (most_printed, most_said));
    // It is not reaped yet, so its group is nobody else's.
    group.end();
    drop(group);
    let status = child.wait()?;
    Ok(outcome?.map(|(printed, said)| FinishedProgram { status, printed, said }))
}

type Printed = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

fn follow(
    child: &mut Child,
    group: &Group,
    input: &[u8],
    deadline: Instant,
    (most_printed, most_said): (usize, usize),
) -> io::Result<Option<Printed>> {
    let mut stdout = Output::new(child.stdout.take(), most_printed)?;
    let mut stderr = Output::new(child.stderr.take(), most_said)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It fits the pipe. A program that does not read it gets judged by what it prints.
        let _ = stdin.write_all(input);
    }
    loop {
        // Looked at before the outputs, so that all is read which it wrote before it ended. It is not reaped yet: until
        // then its number is nobody else's.
        let ended =
            waitid(WaitId::Pid(group.id), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?;
        let emptied = [stdout.read()?, stderr.read()?];
        if ended.is_some() {
            if stdout.from.is_some() || stderr.from.is_some() {
                group.end();
            }
            if emptied == [true; 2] {
                return Ok(Some((stdout.kept, stderr.kept)));
            }
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        if emptied == [true; 2] {
            thread::sleep(POLL);
        }
    }
}

impl<R: Read + AsFd> Output<R> {
    fn new(from: Option<R>, most: usize) -> io::Result<Self> {
        if let Some(from) = &from {
            fcntl_setfl(from, OFlags::NONBLOCK)?;
        }
        // Never grown, so that no copy is left behind.
        Ok(Output { from, kept: Zeroizing::new(Vec::with_capacity(most)), most })
    }

    /// Reads what there is. Returns whether that was all for now.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = Zeroizing::new([0; CHUNK]);
        for _ in 0..CHUNKS {
            let Some(from) = &mut self.from else { return Ok(true) };
            match from.read(buffer.as_mut_slice()) {
                Ok(0) => self.from = None,
                Ok(length) => {
                    let kept = length.min(self.most - self.kept.len());
                    self.kept.extend_from_slice(&buffer[..kept]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
