//! A web server that answers what it was told to, faults included, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::http::PATIENCE;

/// One answer, possibly a lie.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What `Content-Length` says; that of the body if `None`.
    pub announced_bytes: Option<usize>,
    /// Send only so much of the body, then do this.
    pub cut: Option<(usize, Cut)>,
}

/// How a body breaks off.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// The connection is closed.
    Close,
    /// Nothing more comes, and the connection stays open.
    Stall,
}

impl Reply {
    /// A faultless 200.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), announced_bytes: None, cut: None }
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::ok("") }
    }

    /// Whether a request is on condition that the entity tag of this answer is another one.
    fn has_condition(&self, head: &str) -> bool {
        let etag = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("etag"));
        let known = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("if-none-match").then(|| value.trim())
        });
        self.status == 200 && known.is_some() && known == etag.map(|(_, value)| value.as_str())
    }

    /// With a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Breaking off after so many bytes.
    #[must_use]
    pub fn cut(mut self, after_bytes: usize, how: Cut) -> Self {
        self.cut = Some((after_bytes, how));
        self
    }
}

/// A web server on a free port. Stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    replies: Mutex<HashMap<String, Reply>>,
    /// Answers that come before those, once each.
    first: Mutex<HashMap<String, VecDeque<Reply>>>,
    asked: Mutex<Vec<String>>,
    heads: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl Upstream {
    /// Starts one that knows nothing yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // A client that goes away early is none of our faults.
                thread::spawn(move || drop(shared.answer(stream.unwrap())));
            }
        });
        Self { address, state }
    }

    /// Sets the answer for a path.
    pub fn set(&self, path: &str, reply: Reply) {
        self.state.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// Adds an answer for a path that is given once, before the one that was set.
    pub fn once(&self, path: &str, reply: Reply) {
        self.state.first.lock().unwrap().entry(path.to_owned()).or_default().push_back(reply);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of all requests so far, and forgets them.
    pub fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut self.state.heads.lock().unwrap())
    }

    /// Every path asked for so far, and forgets them.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(path.clone());
        self.heads.lock().unwrap().push(head.clone());
        let first = self.first.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
        let usual = || self.replies.lock().unwrap().get(&path).cloned();
        let mut reply = first.or_else(usual).unwrap_or_else(|| Reply::status(404));
        if reply.has_condition(&head) {
            reply = Reply { headers: reply.headers, ..Reply::status(304) };
        }
        let announced = reply.announced_bytes.unwrap_or(reply.body.len());
        let mut text =
            format!("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {announced}\r\n", reply.status);
        for (name, value) in &reply.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        stream.write_all(format!("{text}\r\n").as_bytes())?;
        let (sent, cut) = match reply.cut {
            Some((bytes, cut)) => (&reply.body[..bytes], Some(cut)),
            None => (&reply.body[..], None),
        };
        stream.write_all(sent)?;
        stream.flush()?;
        if let Some(Cut::Stall) = cut {
            // Until the client gives up, or the tests are over.
            while !self.stopped.load(Ordering::SeqCst) && matches!(stream.read(&mut [0]), Ok(1..)) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        stream.shutdown(Shutdown::Both)
    }
}
