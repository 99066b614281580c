//! The open pages, each with its lens and its wire.
//!
//! ```text
//! page ── lens ──► Lens: what the page is told, and its ticket
//!      └─ wire ──► RecordingStream: the connection that is looked at; its request names the ticket
//! ```

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ws101::explain::heads::Settings;
use ws101::explain::json::{array, object, string};
use ws101::{Error, Outbox, PreparedMessage, Request, Result, Sender, WebSocket};

use crate::backlog::Backlog;
use crate::coach::Coached;
use crate::record::Record;
use crate::recording_stream::RecordingStream;

/// How many messages may wait in the queue of a slow tab. At one more, the server drops its wire.
const WIRE_BOUND: usize = 48;

/// All pages that are open.
pub struct Tabs {
    /// The settings with which the explainer decides as the server does.
    pub settings: Settings,
    lenses: Mutex<HashMap<String, Arc<Lens>>>,
    next: AtomicU64,
}

/// An open page: the connection that sends it annotations and answers, and its wire.
pub struct Lens {
    pub number: u64,
    backlog: Backlog,
    sender: Sender,
    /// The stream of the page's wire. It may end at any time, and the page may open another.
    pub line: Mutex<Weak<RecordingStream>>,
    /// What has passed on the page's latest wire, which may have ended.
    pub record: Mutex<Arc<Mutex<Record>>>,
    wire: Mutex<Option<Wire>>,
    /// The pause before each write on the wire, in milliseconds.
    pub pause: AtomicU64,
    /// The coach's latest run for this page.
    pub coached: Mutex<Coached>,
}

/// An open wire: how to send on it, and the lens to which it belongs.
struct Wire {
    id: u64,
    outbox: Outbox,
    sender: Sender,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lens {
    fn new(number: u64, ws: &WebSocket) -> io::Result<Lens> {
        let sender = ws.sender();
        let of_thread = sender.clone();
        Ok(Lens {
            number,
            backlog: Backlog::new(move |text| of_thread.send(text).is_ok())?,
            sender,
            line: Mutex::new(Weak::new()),
            record: Mutex::default(),
            wire: Mutex::default(),
            pause: AtomicU64::new(0),
            coached: Mutex::default(),
        })
    }

    /// Sends the page an event. If the page doesn't read, its connection is dropped, so that the
    /// queue can't grow without bound.
    pub fn tell(&self, about: &str, mut fields: Vec<(&str, String)>) {
        fields.insert(0, ("about", string(about)));
        if !self.backlog.put(object(&fields)) {
            self.sender.abort();
        }
    }

    /// Sends bytes on the wire unchanged, without any checks, so that the page can see its
    /// browser's reaction.
    pub fn inject(&self, bytes: &[u8]) -> Result<()> {
        let line = lock(&self.line).upgrade().ok_or(Error::Closed)?;
        Ok(line.inject(bytes)?)
    }

    /// Returns the sender of the page's wire, or an error if no wire is open.
    pub fn wire(&self) -> Result<Sender> {
        let wire = lock(&self.wire);
        wire.as_ref().map(|wire| wire.sender.clone()).ok_or(Error::Closed)
    }

    fn set_wire(&self, ws: &WebSocket) -> Result<()> {
        let wire = Wire { id: ws.id(), outbox: ws.outbox(WIRE_BOUND)?, sender: ws.sender() };
        *lock(&self.wire) = Some(wire);
        Ok(())
    }

    /// Forgets a wire that has ended, unless the page has opened another one meanwhile.
    fn unset_wire(&self, ws: &WebSocket) {
        let mut wire = lock(&self.wire);
        if wire.as_ref().is_some_and(|wire| wire.id == ws.id()) {
            *wire = None;
        }
    }
}

impl Tabs {
    pub fn new(settings: Settings) -> Tabs {
        Tabs { settings, lenses: Mutex::default(), next: AtomicU64::new(0) }
    }

    /// Adds a page that has opened its lens. The request for its wire has to name this ticket.
    pub fn enter(&self, ws: &WebSocket, ticket: &str) -> Result<Arc<Lens>> {
        let lens = Arc::new(Lens::new(self.next.fetch_add(1, Relaxed) + 1, ws)?);
        lock(&self.lenses).insert(ticket.to_owned(), lens.clone());
        Ok(lens)
    }

    /// Removes a page whose lens has closed.
    pub fn leave(&self, ticket: &str) {
        lock(&self.lenses).remove(ticket);
        self.tell_all();
    }

    /// Finds the lens whose ticket the request for a wire names.
    pub fn lens(&self, request: &Request) -> Option<Arc<Lens>> {
        let ticket = request.query()?.strip_prefix("ticket=")?;
        lock(&self.lenses).get(ticket).cloned()
    }

    /// Adds a wire that has opened. It belongs to the lens that its request names.
    pub fn open_wire(&self, ws: &WebSocket) -> Result<Option<Arc<Lens>>> {
        let Some(lens) = self.lens(ws.request()) else { return Ok(None) };
        lens.set_wire(ws)?;
        self.tell_all();
        Ok(Some(lens))
    }

    /// Removes a wire that has ended.
    pub fn close_wire(&self, ws: &WebSocket, lens: &Lens) {
        lens.unset_wire(ws);
        self.tell_all();
    }

    /// Sends every page the list of open pages.
    pub fn tell_all(&self) {
        let lenses = lock(&self.lenses);
        let mut all: Vec<&Arc<Lens>> = lenses.values().collect();
        all.sort_by_key(|lens| lens.number);
        let tab = |lens: &&Arc<Lens>| {
            let pause = lens.pause.load(Relaxed).to_string();
            let open = lock(&lens.wire).is_some().to_string();
            object(&[("number", lens.number.to_string()), ("pause", pause), ("open", open)])
        };
        let tabs = array(all.iter().map(tab));
        all.iter().for_each(|lens| lens.tell("tabs", vec![("tabs", tabs.clone())]));
    }

    /// Sends a text on every wire. If a page is too slow, drops its wire, and tells all pages.
    pub fn say(&self, text: &str) {
        let message = PreparedMessage::new(text);
        let lenses = lock(&self.lenses);
        for lens in lenses.values() {
            let wire = lock(&lens.wire);
            let Some(wire) = wire.as_ref() else { continue };
            if let Err(Error::WriteTimeout) = wire.outbox.try_send(&message) {
                wire.outbox.abort();
                let note = format!(
                    "Tab {} reads too slowly: {WIRE_BOUND} messages waited for it, so the server \
                     dropped its wire. No other tab had to wait.",
                    lens.number
                );
                let note = string(&note);
                lenses.values().for_each(|lens| lens.tell("note", vec![("text", note.clone())]));
            }
        }
    }
}
