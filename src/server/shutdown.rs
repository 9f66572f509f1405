//! Shutdown, which ends in time even if a device, a disk or the reader of the log hangs.

use std::{io, sync::mpsc, thread, time::Duration};

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::SIGXCPU;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// The part of the grace period for writing what is in memory, behind the part for requests.
const FINISH: Duration = Duration::from_secs(2);
/// The part of it for the log line that something hangs.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The part of the grace period for requests in flight.
pub(crate) fn for_requests(grace: Duration) -> Duration {
    grace - FINISH.min(grace / 4)
}

/// Turns true at SIGINT, SIGTERM or the CPU limit, which would otherwise end the process silently. Kills the process
/// when the grace period after that is over.
///
/// All of this is on a thread of its own, which waits for nobody: the service's own threads may all be in something
/// that hangs.
pub(crate) fn on_signal(grace: Duration) -> io::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let (ready, is_ready) = mpsc::channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let waiting = Builder::new_current_thread().enable_io().build().and_then(|runtime| {
            let signals = runtime.block_on(async {
                let out_of_time = signal(SignalKind::from_raw(SIGXCPU))?;
                Ok::<_, io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, out_of_time))
            })?;
            Ok((runtime, signals))
        });
        let (runtime, (mut interrupt, mut terminate, mut out_of_time)) = match waiting {
            Ok(waiting) => waiting,
            // The caller is there: it waits for this.
            Err(error) => return drop(ready.send(Err(error))),
        };
        drop(ready.send(Ok(())));
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = out_of_time.recv() => {
                    tracing::error!("CPU time limit reached (`ulimit -t`, LimitCPU=): remove it for this service");
                }
            }
        });
        tracing::info!("stopping");
        // Nobody listens any more when the server has ended by itself.
        let _ended = stop.send(true);
        end_within(grace);
    })?;
    is_ready.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended")))?;
    Ok(stopped)
}

/// Ends the process when `grace` is over, unless it has ended by then.
fn end_within(grace: Duration) {
    let last_word = LAST_WORD.min(grace / 8);
    thread::sleep(grace - last_word);
    // On its way out a process runs code of the modules it loaded, which may hang as well.
    let last_words = move || {
        tracing::error!(?grace, "not everything ended in time: last uses and failed calls may not be written down");
        bulla::source::end_programs();
        // Another thread writes it.
        thread::sleep(last_word / 2);
        std::process::exit(1);
    };
    // Without a thread there are no last words, and it ends all the same.
    let _unsaid = thread::Builder::new().spawn(last_words);
    thread::sleep(last_word);
    bulla::source::end_programs();
    let _never_fails = kill_process(getpid(), Signal::KILL);
}
