//! A server on loopback that answers requests for ranges as a test says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

pub(super) type Spans = Vec<Range<u64>>;

/// A pool as it is; it asks nothing again, and remembers the pauses.
pub(super) struct Direct {
    pub(super) pool: Pool,
    pub(super) pauses: Mutex<Vec<Duration>>,
}

impl Server for Direct {
    async fn ask(&self, request: Request) -> Result<Response> {
        Ok(self.pool.send(&request).await?)
    }

    async fn refusal(&self, answer: Response) -> Error {
        Error::new(Kind::NotFound, format!("refused with {}", answer.status))
    }

    async fn pause(&self, time: Duration) {
        self.pauses.lock().unwrap().push(time);
    }
}

/// What a server sends: all of it, or a part before it closes the connection.
pub(super) enum Sent {
    Whole(Vec<u8>),
    Cut(Vec<u8>),
}

/// A server, and what it was asked for, in order.
pub(super) struct Scripted {
    server: Listening,
    asked: Arc<Mutex<Vec<Spans>>>,
}

impl Scripted {
    /// Answers each request, by its number and what it asks for, as `answer` says.
    pub(super) async fn new(answer: impl Fn(usize, &Spans) -> Sent + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, answer) = (Arc::clone(&asked), Arc::new(answer));
        let server = raw(move |_, mut stream| {
            let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
            async move {
                loop {
                    let head = read_head(&mut stream).await;
                    if head.is_empty() {
                        return;
                    }
                    let ranges = ranges_of(&head);
                    let nth = {
                        let mut record: std::sync::MutexGuard<'_, Vec<Spans>> = record.lock().unwrap();
                        record.push(ranges.clone());
                        record.len() - 1
                    };
                    match answer(nth, &ranges) {
                        Sent::Whole(bytes) if stream.write_all(&bytes).await.is_ok() => {}
                        Sent::Whole(_) => return,
                        Sent::Cut(bytes) => {
                            let _ = stream.write_all(&bytes).await;
                            let _ = stream.shutdown().await;
                            let _ = stream.read_to_end(&mut Vec::new()).await;
                            return;
                        }
                    }
                }
            }
        })
        .await;
        Scripted { server, asked }
    }

    pub(super) fn direct(&self) -> Direct {
        let trust = Trust { roots: Roots::Authorities(Vec::new()), server_name: None };
        Direct { pool: pool(&self.server.http_url(), &trust, settings()), pauses: Mutex::default() }
    }

    pub(super) fn asked(&self) -> Vec<Spans> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) async fn fetch(
        &self,
        ranges: &Ranges,
        lead: Option<Range<u64>>,
        needs: &[Range<u64>],
    ) -> Result<Fetched> {
        soon(ranges.fetch(&self.direct(), &Request::get("/file"), Wanted { lead: lead.as_ref(), needs })).await
    }
}

pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("this should not take long")
}

pub(super) fn ranges_of(head: &str) -> Spans {
    let line = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap();
        first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
    };
    line.map_or_else(Vec::new, |line| line.split(',').map(range).collect())
}

/// Bytes that say where they are.
pub(super) fn file(size: u64) -> Vec<u8> {
    (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 9) as u8).collect()
}

pub(super) fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

pub(super) fn part(file: &[u8], range: &Range<u64>) -> (String, Vec<u8>) {
    let (first, end, total) = (range.start, range.end.min(file.len() as u64), file.len());
    (format!("bytes {first}-{}/{total}", end - 1), file[first as usize..end as usize].to_vec())
}

pub(super) fn several(file: &[u8], ranges: &[Range<u64>]) -> Vec<u8> {
    let mut body = Vec::new();
    for range in ranges {
        let (range, bytes) = part(file, range);
        body.extend_from_slice(format!("\r\n--b0\r\nContent-Range: {range}\r\n\r\n").as_bytes());
        body.extend_from_slice(&bytes);
    }
    body.extend_from_slice(b"\r\n--b0--\r\n");
    answer("206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=b0", &body)
}

pub(super) fn one(file: &[u8], range: &Range<u64>) -> Vec<u8> {
    let (range, bytes) = part(file, range);
    answer(&format!("206 Partial Content\r\nContent-Range: {range}"), &bytes)
}

/// As Go's file server does.
pub(super) fn go(file: &[u8], asked: &[Range<u64>]) -> Vec<u8> {
    let size = file.len() as u64;
    let here: Vec<Range<u64>> = asked.iter().filter(|range| range.start < size).cloned().collect();
    let sum: u64 = here.iter().map(|range| range.end.min(size) - range.start).sum();
    match &here[..] {
        [] if size > 0 => {
            answer(&format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{size}"), b"invalid range")
        }
        _ if here.is_empty() || sum > size => answer("200 OK", file),
        [range] => one(file, range),
        _ => several(file, &here),
    }
}

/// Checks that everything wanted came, with the right bytes.
#[track_caller]
pub(super) fn check(fetched: &Fetched, file: &[u8], lead: Option<&Range<u64>>, needs: &[Range<u64>]) {
    let size = file.len() as u64;
    assert_eq!(fetched.size, size);
    for (at, bytes) in fetched.segments.iter() {
        assert_eq!(bytes[..], file[at as usize..at as usize + bytes.len()], "at {at}");
    }
    for need in needs {
        let expected = need.start.min(size)..need.end.min(size).max(need.start.min(size));
        assert_eq!(fetched.segments.slice(need.clone()).len() as u64, expected.end - expected.start, "{need:?}");
    }
    if let Some(lead) = lead {
        let expected = &file[lead.start.min(size) as usize..lead.end.min(size) as usize];
        assert!(fetched.leads.iter().all(|lead| lead[..] == *expected));
        assert_eq!(fetched.leads.is_empty(), expected.is_empty());
    }
}

pub(super) fn ranges() -> Ranges {
    Ranges::new(Limits::default())
}

/// So many needs of 16 bytes, too far apart to be asked for as one.
pub(super) fn scattered(count: u64) -> Vec<Range<u64>> {
    (1..=count).map(|n| n * 1000..n * 1000 + 16).collect()
}
