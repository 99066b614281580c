//! A server in a separate process, as an application would write it, and connections to it.
//!
//! The process is this program itself, started as a server. Each line on its standard input asks how
//! many bytes it holds. It ends when that input ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::counters::held_bytes;
use crate::fixtures::{ACCEPT, CLOSE, REQUEST};

/// What takes longer does not come any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves an echo until the input ends.
pub fn serve() -> Result<()> {
    let server = ws101::Server::bind("127.0.0.1:0")?;
    println!("{}", server.local_addr()?);
    let handle = server.handle();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            println!("{}", held_bytes());
        }
        handle.stop(Duration::ZERO);
    });
    Ok(server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        Ok(())
    })?)
}

pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Running {
    /// Starts the server, behind these words if there are any: a program that watches it.
    pub fn start(watched_by: &[&str]) -> Result<Running> {
        let ourselves = std::env::current_exe()?;
        let mut command = match watched_by {
            [] => Command::new(&ourselves),
            [program, words @ ..] => {
                let mut command = Command::new(program);
                command.args(words).arg(&ourselves);
                command
            }
        };
        let child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| {
            format!("{} can't be started: {error}", command.get_program().display())
        })?;
        let out = BufReader::new(child.stdout.take().ok_or("a server has no output")?);
        // From here on the process ends with this value.
        let mut running = Running { child, out, address: ([127, 0, 0, 1], 0).into() };
        let line = running.line()?;
        running.address = line.trim().parse().map_err(|_| format!("{command:?} does not serve"))?;
        Ok(running)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(line)
    }

    /// How many bytes the server has allocated and not freed.
    pub fn held_bytes(&mut self) -> Result<usize> {
        self.child.stdin.as_mut().ok_or("a server has no input")?.write_all(b"\n")?;
        Ok(self.line()?.trim().parse()?)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}").into())
        }
    }

    /// An open WebSocket.
    pub fn open(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(REQUEST)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        if String::from_utf8_lossy(&answer).contains(ACCEPT) {
            Ok(stream)
        } else {
            Err("the handshake failed".into())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended has nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a batch in one write, and waits for all that must come back.
pub fn exchange(mut stream: &TcpStream, requests: &[u8], replies: &[u8]) -> Result<()> {
    stream.write_all(requests)?;
    let mut received = vec![0; replies.len()];
    stream.read_exact(&mut received)?;
    if received == replies { Ok(()) } else { Err("an answer is not what was sent".into()) }
}

/// Closes, and waits until the server has left.
pub fn close(mut stream: TcpStream) -> Result<()> {
    stream.write_all(CLOSE)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
