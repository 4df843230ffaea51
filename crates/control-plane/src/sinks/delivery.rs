//! One delivery to a sink, of whichever kind it is.

use std::io;
use std::time::Duration;

use gk_shared::problem::ErrorCode;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::http::{Delivery, HttpEndpoint, HttpError};
use super::signature::webhook_id;
use super::{SinkConfig, SinkKind, SinkName};
use crate::lines::{LineFile, PATIENCE};
use crate::machine::Machine;

/// Mode of a sink's file: a program that ships logs reads it as a member of its group.
const MODE: u32 = 0o640;

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// A file or a pipe.
    #[error("{path} cannot be written")]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A receiver.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl DeliveryError {
    /// The stable code.
    pub(super) const fn code(&self) -> ErrorCode {
        match self {
            Self::Io { .. } | Self::Http(_) => ErrorCode::AuditSinkFailing,
        }
    }

    /// How long the receiver wants not to be asked again.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http(HttpError::Refused { retry_after, .. }) => *retry_after,
            Self::Io { .. }
            | Self::Http(HttpError::Unreachable { .. } | HttpError::Late { .. } | HttpError::Redirect { .. }) => None,
        }
    }
}

/// A sink that can be delivered to.
pub(super) struct Outlet {
    name: SinkName,
    way: Way,
}

enum Way {
    File(LineFile),
    Stdout(Pipe<tokio::io::Stdout>),
    Http(HttpEndpoint, Machine, Duration),
}

impl Outlet {
    pub(super) fn new(sink: &SinkConfig, machine: Machine) -> Self {
        let way = match &sink.kind {
            SinkKind::File(path) => Way::File(LineFile::new(path.clone(), MODE)),
            SinkKind::Stdout => Way::Stdout(Pipe::new(tokio::io::stdout())),
            SinkKind::Http(endpoint) => Way::Http(endpoint.clone(), machine, sink.pace.patience),
        };
        Self { name: sink.name.clone(), way }
    }

    /// Delivers these lines once; returns when they were taken: they are on disk, in the pipe, or acknowledged.
    pub(super) async fn deliver(&mut self, lines: Vec<String>) -> Result<(), DeliveryError> {
        match &mut self.way {
            Way::File(file) => {
                let failed = |source| DeliveryError::Io { path: file.path().display().to_string(), source };
                file.append(move |end| rest(end, &lines)).await.map_err(failed)
            }
            Way::Stdout(pipe) => {
                let failed = |source| DeliveryError::Io { path: "stdout".to_owned(), source };
                pipe.write(&text(&lines)).await.map_err(failed)
            }
            Way::Http(endpoint, machine, patience) => {
                let body = text(&lines);
                let id = webhook_id(self.name.as_str(), &body);
                Ok(endpoint.post(&Delivery { id: &id, body: &body, at: machine.now(), patience: *patience }).await?)
            }
        }
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What of these lines is not in the file yet: a process that was killed may have written some, and told nobody.
fn rest(end: &[u8], lines: &[String]) -> String {
    // Without its line end, the last one was cut short.
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(&end[..0], |last| &end[..last]);
    let newest = whole.rsplit(|byte| *byte == b'\n').find_map(|there| {
        // Nothing but these lines can stand behind the first of them.
        lines.iter().rposition(|line| line.as_bytes() == there)
    });
    text(&lines[newest.map_or(0, |there| there + 1)..])
}

/// A stream that takes lines.
struct Pipe<W> {
    out: W,
    /// The last write failed, so that a line may have been cut short.
    torn: bool,
}

impl<W: AsyncWrite + Unpin> Pipe<W> {
    fn new(out: W) -> Self {
        Self { out, torn: false }
    }

    async fn write(&mut self, text: &str) -> io::Result<()> {
        let text = if self.torn { format!("\n{text}") } else { text.to_owned() };
        let out = &mut self.out;
        let written = async {
            out.write_all(text.as_bytes()).await?;
            out.flush().await
        };
        let done = tokio::time::timeout(PATIENCE, written).await;
        let done = done.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten();
        self.torn = done.is_err();
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_stands_in_the_file_already_is_not_written_again() {
        let batch = lines(&["c", "d", "e"]);
        for (end, adds) in [
            ("", "c\nd\ne\n"),
            ("a\nb\n", "c\nd\ne\n"),
            ("a\nb\nc\n", "d\ne\n"),
            ("a\nb\nc\nd", "d\ne\n"),
            ("c\nd\ne\n", ""),
            ("b\nc\n\n", "d\ne\n"),
            ("c", "c\nd\ne\n"),
        ] {
            assert_eq!(rest(end.as_bytes(), &batch), adds, "{end:?}");
        }
    }

    #[tokio::test]
    async fn after_a_write_that_failed_a_stream_goes_on_with_a_new_line() {
        let (near, far) = tokio::io::duplex(4);
        let mut pipe = Pipe::new(near);
        tokio::time::pause();
        let (late, ()) = tokio::join!(pipe.write("too long\n"), tokio::time::advance(PATIENCE * 2));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut heard = String::new();
        let mut far = far;
        let read = async {
            tokio::io::AsyncReadExt::read_to_string(&mut far, &mut heard).await.unwrap();
        };
        let write = async move {
            pipe.write("again\n").await.unwrap();
            pipe.write("more\n").await.unwrap();
        };
        tokio::join!(read, write);
        assert_eq!(heard, "too \nagain\nmore\n");
    }
}
