//! Program that serves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use super::{Problem, Tested};

/// Program that serves.
pub struct Served {
    pub child: Child,
    pub addr: String,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Served {
    pub fn start(app: &Path, args: &[&str]) -> Tested<Self> {
        Self::spawn(&mut serve(app, args))
    }

    /// Starts a command that serves.
    pub fn spawn(command: &mut Command) -> Tested<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut stderr = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        let first = line(&mut stdout).unwrap_or_default();
        let Ok(addr) = address(&first) else {
            child.kill()?;
            let mut text = String::new();
            stderr.read_to_string(&mut text)?;
            return Err(format!("it does not serve: {text}").into());
        };
        Ok(Self { child, addr, stdout, stderr })
    }

    /// Next line of stdout.
    pub fn printed(&mut self) -> Tested<String> {
        line(&mut self.stdout)
    }

    /// Next line of stderr.
    pub fn said(&mut self) -> Tested<String> {
        line(&mut self.stderr)
    }

    /// Opens a connection and sends a request.
    pub fn send(&self, request: &str) -> Tested<TcpStream> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    pub fn post(&self, path: &str, body: &str) -> Tested<String> {
        let length = body.len();
        read(self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))?)
    }

    pub fn signal(&self, name: &str) -> Tested {
        signal(&self.child, name)
    }
}

/// Command `crisol --app APP serve ARGS…` with an empty environment.
pub fn serve(app: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crisol"));
    command.env_clear().arg("--app").arg(app).arg("serve").args(args);
    command
}

/// Sends a signal to a process.
pub fn signal(child: &Child, name: &str) -> Tested {
    let killed = Command::new("kill").arg(name).arg(child.id().to_string()).status()?;
    killed.success().then_some(()).ok_or_else(|| Problem::from("kill failed"))
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Address in `serving NAME on http://ADDRESS`.
pub fn address(line: &str) -> Tested<String> {
    let (_, addr) = line.rsplit_once("://").ok_or_else(|| format!("no address: {line}"))?;
    Ok(addr.to_owned())
}

fn line(from: &mut impl BufRead) -> Tested<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err("it has nothing more to say".into());
    }
    Ok(line.trim_end().to_owned())
}

pub fn read(mut stream: TcpStream) -> Tested<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
