//! A request, as a filter sees it.

use std::{marker::PhantomData, mem::MaybeUninit, net::IpAddr, str};

use super::{
    callbacks::{Callbacks, callbacks},
    types::{EnvoyBuffer, EnvoyHeader, EnvoyPtr, ModuleBuffer, ModuleHeader, REQUEST_HEADERS, SOURCE_ADDRESS},
};
use crate::route::Route;

/// A request. It is valid in the hook that hands it over.
pub(crate) struct Stream<'h> {
    envoy: &'static Callbacks,
    filter: EnvoyPtr,
    hook: PhantomData<&'h ()>,
}

/// Headers of a request, until it is changed.
pub(crate) struct Headers<'b>(&'b [EnvoyHeader]);

/// The memory for the headers of most requests. Envoy takes 100 of a client by default.
pub(crate) struct Room([MaybeUninit<EnvoyHeader>; ROOM], Vec<EnvoyHeader>);

const ROOM: usize = 64;

/// Name and value of one.
pub(crate) type Header<'b> = (&'b [u8], &'b [u8]);

impl Room {
    pub(crate) const fn new() -> Self {
        Room([MaybeUninit::uninit(); ROOM], Vec::new())
    }
}

impl<'h> Stream<'h> {
    /// # Safety
    ///
    /// `filter` is what Envoy handed to a hook, and `'h` ends with that hook.
    pub(super) unsafe fn new(filter: EnvoyPtr) -> Option<Self> {
        Some(Stream { envoy: callbacks()?, filter, hook: PhantomData })
    }

    /// What the request's route says, if it says anything.
    pub(crate) fn route(&self) -> Option<&'h Route> {
        // SAFETY: the filter is valid in this hook. Envoy returns a pointer that this module's hook returned for a
        // route, and Envoy does not give the route back while a request is on it.
        unsafe { (self.envoy.route)(self.filter).cast::<Route>().as_ref() }
    }

    /// All headers of the request. They are borrowed from it: after a change of it they are gone.
    pub(crate) fn headers<'b>(&'b self, room: &'b mut Room) -> Headers<'b> {
        // SAFETY: the filter is valid in this hook.
        let count = unsafe { (self.envoy.count_headers)(self.filter, REQUEST_HEADERS) };
        let into = if count <= ROOM {
            room.0.as_mut_ptr().cast::<EnvoyHeader>()
        } else {
            room.1.resize(count, EnvoyHeader { name: EnvoyBuffer::EMPTY, value: EnvoyBuffer::EMPTY });
            room.1.as_mut_ptr()
        };
        // SAFETY: there is room for `count` headers, which is what Envoy writes: nothing changed them since they were
        // counted.
        let read = unsafe { (self.envoy.get_headers)(self.filter, REQUEST_HEADERS, into) };
        // SAFETY: Envoy wrote as many.
        Headers(if read { unsafe { std::slice::from_raw_parts(into, count) } } else { &[] })
    }

    /// Adds a header, whether there is one of this name or not.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        let (name, value) = (ModuleBuffer::of(name.as_bytes()), ModuleBuffer::of(value.as_bytes()));
        // SAFETY: the filter is valid in this hook, and Envoy copies both. It fails where there are no headers.
        let _done = unsafe { (self.envoy.add_header)(self.filter, REQUEST_HEADERS, name, value) };
    }

    /// Removes every header of this name.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        // SAFETY: as above; a null value removes.
        let _done = unsafe {
            (self.envoy.set_header)(self.filter, REQUEST_HEADERS, ModuleBuffer::of(name), ModuleBuffer::NONE)
        };
    }

    /// The client's address as Envoy sees it.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let mut found = EnvoyBuffer::EMPTY;
        // SAFETY: the filter is valid in this hook; Envoy writes one buffer, which is read before anything changes.
        let text = unsafe {
            let known = (self.envoy.attribute)(self.filter, SOURCE_ADDRESS, &raw mut found);
            known.then(|| found.bytes())?
        };
        let text = str::from_utf8(text).ok()?;
        // With a port; an address of IPv6 is in brackets then.
        text.parse().map(|address: std::net::SocketAddr| address.ip()).or_else(|_| text.parse()).ok()
    }

    /// Adds texts to the dynamic metadata of this namespace.
    pub(crate) fn describe<'t>(&mut self, namespace: &str, texts: impl Iterator<Item = (&'t str, &'t str)>) {
        let mut all = [ModuleHeader::of(("", "")); 4];
        let mut count = 0;
        for (into, text) in all.iter_mut().zip(texts) {
            *into = ModuleHeader::of(text);
            count += 1;
        }
        // SAFETY: the filter is valid in this hook; there are `count` pairs, and Envoy copies everything.
        unsafe {
            (self.envoy.set_texts)(self.filter, ModuleBuffer::of(namespace.as_bytes()), all.as_ptr(), count);
        }
    }

    /// Sets the dynamic metadata of this namespace to an encoded `google.protobuf.Struct`. Envoy 1.39 cannot.
    pub(crate) fn describe_by_struct(&mut self, namespace: &str, encoded: &[u8]) {
        if let Some(set) = self.envoy.set_struct {
            // SAFETY: the filter is valid in this hook, and Envoy copies both.
            unsafe { set(self.filter, ModuleBuffer::of(namespace.as_bytes()), ModuleBuffer::of(encoded)) };
        }
    }

    /// Answers the request. The hook has to stop the iteration then.
    pub(crate) fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: &str, details: &str) {
        let mut all = [ModuleHeader::of(("", "")); 3];
        let count = headers.len().min(all.len());
        for (into, header) in all.iter_mut().zip(headers) {
            *into = ModuleHeader::of(*header);
        }
        let (body, details) = (ModuleBuffer::of(body.as_bytes()), ModuleBuffer::of(details.as_bytes()));
        // SAFETY: the filter is valid in this hook; there are `count` headers, and Envoy copies everything.
        unsafe {
            (self.envoy.send_response)(self.filter, u32::from(status), all.as_ptr(), count, body, details);
        }
    }
}

impl<'b> Headers<'b> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Header<'b>> {
        // SAFETY: Envoy filled them, and they are borrowed from the request, so nothing changes it meanwhile.
        self.0.iter().map(|header| unsafe { (header.name.bytes(), header.value.bytes()) })
    }
}
