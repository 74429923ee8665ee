//! A listener that passes everything on to a server and keeps what was sent to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// It ends with the test program.
pub struct Tee {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tee {
    /// Before the server on this port of 127.0.0.1.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = sent.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap());
                let (requests, replies) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let kept = kept.clone();
                thread::spawn(move || {
                    pass(requests, server, &mut |bytes| kept.lock().unwrap().extend_from_slice(bytes));
                });
                thread::spawn(move || pass(replies, client, &mut |_| {}));
            }
        });
        Self { port, sent }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was sent since the last time.
    pub fn sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, see: &mut dyn FnMut(&[u8])) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(size @ 1..) = from.read(&mut piece) {
        see(&piece[..size]); // before the server can answer
        if to.write_all(&piece[..size]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
