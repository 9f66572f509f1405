//! A cable between a source and a server, that a test can cut and repair: for servers which forget their keys when they
//! are ended.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::process;

/// The near end is a port of its own.
pub struct Cable {
    pub port: u16,
    server: u16,
    whole: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    listening: Option<thread::JoinHandle<()>>,
}

impl Cable {
    /// A cable to the server on this port.
    pub fn to(server: u16) -> Cable {
        let mut cable = Cable {
            port: process::free_port(),
            server,
            whole: Arc::default(),
            streams: Arc::default(),
            listening: None,
        };
        cable.repair();
        cable
    }

    /// Refuses new connections and breaks those there are.
    pub fn cut(&mut self) {
        self.whole.store(false, Ordering::SeqCst);
        if let Some(listening) = self.listening.take() {
            listening.join().expect("it only copies bytes");
        }
        for stream in self.streams.lock().expect("nobody panics with it").drain(..) {
            // The other side may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again, on the same port.
    pub fn repair(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket");
        self.whole.store(true, Ordering::SeqCst);
        let (whole, streams, server) = (Arc::clone(&self.whole), Arc::clone(&self.streams), self.server);
        self.listening = Some(thread::spawn(move || {
            while whole.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((near, _)) => connect(near, server, &streams).expect("the server listens"),
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        }));
    }
}

fn connect(near: TcpStream, server: u16, streams: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    near.set_nonblocking(false)?;
    let far = TcpStream::connect(("127.0.0.1", server))?;
    for (from, to) in [(&near, &far), (&far, &near)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            // Cut in the middle is what it is for.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    streams.lock().expect("nobody panics with it").extend([near, far]);
    Ok(())
}
