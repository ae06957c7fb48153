//! `ChaosLink`: a TCP proxy in front of a web server that does to its answers what a script says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::http::PATIENCE;

/// What happens to one answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// Only so many bytes of the body come, then the connection is closed.
    Truncate(usize),
    /// Only so many bytes of the body come, then the connection is reset.
    Reset(usize),
    /// Only so many bytes of the body come, and the connection stays open.
    Stall(usize),
    /// The body comes byte by byte, with this pause between them.
    Drip(Duration),
    /// One bit of the body is another: byte, and bit of it.
    Flip(usize, u8),
    /// `Content-Length` says so many bytes more (or less) than there are.
    Lie(isize),
    /// The whole answer is this one, head and body.
    Instead(Vec<u8>),
}

/// Says what happens to the answer for a path, which is asked for the n-th time, counted from 0.
pub type Script = Box<dyn Fn(&str, usize) -> Fault + Send + Sync>;

/// A proxy on a free port. Stops when dropped.
pub struct ChaosLink {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: SocketAddr,
    script: Mutex<Script>,
    asked: Mutex<Vec<(String, String)>>,
    stopped: AtomicBool,
}

impl ChaosLink {
    /// A proxy in front of a server that closes each connection after its answer.
    pub fn before(server: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = AtomicBool::new(false);
        let state = Arc::new(State { server, script: Mutex::new(script), asked: Mutex::default(), stopped });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // Who breaks off early, client or server, is what these tests are about.
                thread::spawn(move || drop(shared.forward(&stream.unwrap())));
            }
        });
        Self { address, state }
    }

    /// Changes what happens from now on, and forgets what was asked.
    pub fn set(&self, script: Script) {
        *self.state.script.lock().unwrap() = script;
        self.state.asked.lock().unwrap().clear();
    }

    /// An address behind the proxy.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Paths asked for since the script was set.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// Request heads since the script was set, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().iter().map(|(_, head)| head.clone()).collect()
    }
}

impl Drop for ChaosLink {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn forward(&self, client: &TcpStream) -> std::io::Result<()> {
        let (mut reader, mut writer) = (client, client);
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_nodelay(true)?;
        let mut head = Vec::new();
        // The last byte stays unread until the end: a connection closed with bytes unread is reset.
        while !head.ends_with(b"\r\n\r") {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        head.push(b'\n');
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
        let before = {
            let mut asked = self.asked.lock().unwrap();
            let before = asked.iter().filter(|(known, _)| *known == path).count();
            asked.push((path.clone(), text));
            before
        };
        let fault = (self.script.lock().unwrap())(&path, before);
        if let Fault::Reset(_) = fault {
        } else {
            reader.read_exact(&mut [0])?;
        }
        if let Fault::Instead(answer) = fault {
            writer.write_all(&answer)?;
            return client.shutdown(Shutdown::Both);
        }
        let (mut answer_head, mut body) = split(&self.ask(&head)?);
        let mut sent = body.len();
        match fault {
            Fault::Truncate(bytes) | Fault::Reset(bytes) | Fault::Stall(bytes) => sent = bytes.min(sent),
            Fault::Flip(byte, bit) => body[byte] ^= 1 << bit,
            Fault::Lie(more) => {
                let said = body.len().saturating_add_signed(more);
                answer_head = answer_head.replace(
                    &format!("Content-Length: {}\r\n", body.len()),
                    &format!("Content-Length: {said}\r\n"),
                );
            }
            _ => {}
        }
        writer.write_all(answer_head.as_bytes())?;
        if let Fault::Drip(pause) = fault {
            for byte in &body {
                writer.write_all(&[*byte])?;
                thread::sleep(pause);
            }
        } else {
            writer.write_all(&body[..sent])?;
        }
        if let Fault::Stall(_) = fault {
            // Until the client gives up, or the tests are over.
            while !self.stopped.load(Ordering::SeqCst) && matches!(reader.read(&mut [0]), Ok(1..)) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        if matches!(fault, Fault::Reset(_)) { Ok(()) } else { client.shutdown(Shutdown::Both) }
    }

    fn ask(&self, head: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.server)?;
        server.set_read_timeout(Some(PATIENCE))?;
        server.write_all(head)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Head and body of an answer.
fn split(answer: &[u8]) -> (String, Vec<u8>) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end..].to_vec())
}
