//! A server that says exactly the bytes it is told to, for answers no honest server gives.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One scripted answer: what to write, after which the connection is closed.
pub(crate) type Answer = Vec<u8>;

/// Answers each connection with the next scripted answer, the last one for ever.
pub(crate) struct Wire {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    pub(crate) fn answering(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // The thread ends with the test process; it holds nothing but its port.
        std::thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                let Ok(mut connection) = connection else { return };
                let request = read_head(&mut connection);
                seen.lock().unwrap().push(request);
                let _ = connection.write_all(&script[number.min(script.len() - 1)]);
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A 200 answer that announces `announced` bytes and sends `body`.
pub(crate) fn announcing(announced: usize, body: &[u8]) -> Answer {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\nConnection: close\r\n\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}
