//! Go's `http.FileServer` over a directory: listings, redirects, ranges, conditions and content types.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use hyper::{Response, StatusCode};

use super::body::{Answer, FileBody, GO_BUFFER, Segment, answer, full, go_error, set, unsized_body};
use super::ranges::{self, Range, Unsatisfiable};
use super::zone::{http_date, parse_http_date, unix_seconds};

/// What the Go release a kubelet was built with makes of the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// 1.18, in Kubernetes 1.24.
    Old,
    /// 1.26, in Kubernetes 1.36.
    New,
}

/// Which names the node's mime table knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mime {
    /// Debian's, as in the recordings: `.log` is text/x-log.
    #[default]
    Debian,
    /// Go's own alone, as on a node without a table: `.log` is guessed from its content.
    Bare,
}

/// A directory and the server's habits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server<'a> {
    pub(crate) root: &'a Path,
    pub(crate) go: Go,
    pub(crate) mime: Mime,
}

impl Server<'_> {
    /// Answers a GET of `path`, which is decoded, below the root and need not begin with a slash.
    pub(crate) fn serve(&self, path: &[u8], query: Option<&str>, headers: &HeaderMap) -> Answer {
        let mut path = path.to_vec();
        if !path.starts_with(b"/") {
            path.insert(0, b'/');
        }
        let redirect = |to: &str| {
            let to = query.map_or_else(|| to.to_owned(), |query| format!("{to}?{query}"));
            let mut answer = answer(StatusCode::MOVED_PERMANENTLY, "", "");
            set(&mut answer, "location", &to);
            answer
        };
        if path.ends_with(b"/index.html") {
            return redirect("./");
        }
        let cleaned = clean(&path);
        let target = self.root.join(OsStr::from_bytes(cleaned.trim_ascii_start_slash()));
        let Ok(metadata) = fs::metadata(&target) else { return go_error(StatusCode::NOT_FOUND, "404 page not found") };
        let base = || escape_path(cleaned.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
        match (metadata.is_dir(), path.ends_with(b"/")) {
            (true, false) => return redirect(&format!("{}/", base())),
            (false, true) => return redirect(&format!("../{}", base())),
            _ => {}
        }
        if !metadata.is_dir() {
            return self.content(&target, headers);
        }
        let index = target.join("index.html");
        match fs::metadata(&index) {
            Ok(metadata) if metadata.is_file() => self.content(&index, headers),
            _ => self.list(&target, &metadata, headers),
        }
    }

    fn list(&self, directory: &Path, metadata: &Metadata, headers: &HeaderMap) -> Answer {
        let modified = modified(metadata);
        if headers.get(IF_MODIFIED_SINCE).is_some_and(|since| date(since.as_bytes()).is_some_and(|at| modified <= at)) {
            return not_modified(modified);
        }
        let Ok(entries) = fs::read_dir(directory) else {
            return go_error(StatusCode::INTERNAL_SERVER_ERROR, "Error reading directory");
        };
        let mut names: Vec<Vec<u8>> = entries
            .flatten()
            .map(|entry| {
                let mut name = entry.file_name().as_bytes().to_vec();
                // A link to a directory is listed without a slash.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    name.push(b'/');
                }
                name
            })
            .collect();
        names.sort_by(|a, b| a.strip_suffix(b"/").unwrap_or(a).cmp(b.strip_suffix(b"/").unwrap_or(b)));
        let mut page = match self.go {
            Go::Old => "<pre>\n".to_owned(),
            Go::New => "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n".to_owned(),
        }
        .into_bytes();
        for name in &names {
            page.extend_from_slice(b"<a href=\"");
            page.extend_from_slice(reference(name).as_bytes());
            page.extend_from_slice(b"\">");
            page.extend_from_slice(&escape_html(name));
            page.extend_from_slice(b"</a>\n");
        }
        page.extend_from_slice(b"</pre>\n");
        let length = page.len();
        let mut listing = answer(StatusCode::OK, "text/html; charset=utf-8", page);
        if length > GO_BUFFER {
            listing.headers_mut().remove("content-length");
            listing = listing.map(unsized_body);
        }
        set(&mut listing, "last-modified", &http_date(modified));
        listing
    }

    fn content(&self, path: &Path, headers: &HeaderMap) -> Answer {
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Renamed since it was looked at.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return go_error(StatusCode::NOT_FOUND, "404 page not found");
            }
            Err(_) => return go_error(StatusCode::FORBIDDEN, "403 Forbidden"),
        };
        // What was opened may be another file by now than what was looked at.
        let Ok(metadata) = file.metadata() else { return go_error(StatusCode::FORBIDDEN, "403 Forbidden") };
        let size = metadata.len();
        let modified = modified(&metadata);
        let kind = content_type(path, self.mime, self.go, &mut file);
        let header = |name: HeaderName| headers.get(name).map(|value| value.as_bytes());

        if header(IF_UNMODIFIED_SINCE).and_then(date).is_some_and(|at| modified > at) {
            let mut answer = answer(StatusCode::PRECONDITION_FAILED, "", "");
            set(&mut answer, "last-modified", &http_date(modified));
            return answer;
        }
        if header(IF_MODIFIED_SINCE).and_then(date).is_some_and(|at| modified <= at) {
            return not_modified(modified);
        }
        let range = match (header(RANGE), header(IF_RANGE)) {
            (Some(range), Some(condition)) => date(condition).is_some_and(|at| at == modified).then_some(range),
            (range, _) => range,
        };
        let ranges = match range.map(|range| ranges::parse(&String::from_utf8_lossy(range), size)) {
            None => Vec::new(),
            Some(Ok(ranges)) => ranges,
            Some(Err(Unsatisfiable::NoOverlap)) if size == 0 && self.go == Go::New => Vec::new(),
            Some(Err(Unsatisfiable::NoOverlap)) => {
                let mut answer = go_error(StatusCode::RANGE_NOT_SATISFIABLE, "invalid range: failed to overlap");
                set(&mut answer, "content-range", &format!("bytes */{size}"));
                return self.refused(answer, modified);
            }
            Some(Err(Unsatisfiable::Invalid)) => {
                return self.refused(go_error(StatusCode::RANGE_NOT_SATISFIABLE, "invalid range"), modified);
            }
        };
        // More asked for than there is: probably an attack, says Go, and sends the file as it is.
        let ranges = if ranges.iter().map(|range| range.length).sum::<u64>() > size { Vec::new() } else { ranges };
        let mut answer = match ranges[..] {
            [] => {
                let body = FileBody::new(file, vec![Segment::Range { start: 0, length: size }]);
                with_type(StatusCode::OK, body, &kind)
            }
            [range] => {
                let body = FileBody::new(file, vec![Segment::Range { start: range.start, length: range.length }]);
                let mut answer = with_type(StatusCode::PARTIAL_CONTENT, body, &kind);
                set(&mut answer, "content-range", &range.content_range(size));
                answer
            }
            _ => {
                let boundary = boundary();
                let body = FileBody::new(file, multipart(&ranges, size, &kind, &boundary));
                with_type(StatusCode::PARTIAL_CONTENT, body, &format!("multipart/byteranges; boundary={boundary}"))
            }
        };
        set(&mut answer, "accept-ranges", "bytes");
        set(&mut answer, "last-modified", &http_date(modified));
        answer
    }

    /// Older Go left Last-Modified in its errors.
    fn refused(&self, mut answer: Answer, modified: i64) -> Answer {
        if self.go == Go::Old {
            set(&mut answer, "last-modified", &http_date(modified));
        }
        answer
    }
}

fn with_type(status: StatusCode, body: FileBody, kind: &str) -> Answer {
    let length = body.length();
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = status;
    set(&mut answer, "content-length", &length.to_string());
    set(&mut answer, "content-type", kind);
    answer
}

fn not_modified(modified: i64) -> Answer {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    set(&mut answer, "last-modified", &http_date(modified));
    answer
}

fn modified(metadata: &Metadata) -> i64 {
    metadata.modified().map_or(0, unix_seconds)
}

fn date(header: &[u8]) -> Option<i64> {
    parse_http_date(std::str::from_utf8(header).ok()?)
}

fn multipart(ranges: &[Range], size: u64, kind: &str, boundary: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\r\n" };
        let head = format!(
            "{gap}--{boundary}\r\nContent-Range: {}\r\nContent-Type: {kind}\r\n\r\n",
            range.content_range(size)
        );
        segments.push(Segment::Bytes(head.into()));
        segments.push(Segment::Range { start: range.start, length: range.length });
    }
    segments.push(Segment::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    segments
}

/// 60 hexadecimal digits that a file will hardly contain.
fn boundary() -> String {
    (0..4).map(|_| format!("{:016x}", super::random())).collect::<String>()[..60].to_owned()
}

/// Go's `path.Clean` of an absolute path.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let mut cleaned = b"/".to_vec();
    cleaned.extend_from_slice(&parts.join(&b'/'));
    cleaned
}

/// A name as the href of a listing: percent-escaped, and marked relative where a colon would make it look like a scheme.
fn reference(name: &[u8]) -> String {
    let escaped = escape_path(name);
    let first = escaped.split('/').next().unwrap_or_default();
    if first.contains(':') { format!("./{escaped}") } else { escaped }
}

/// Percent-escapes what Go escapes in a path.
pub(crate) fn escape_path(path: &[u8]) -> String {
    let mut escaped = String::new();
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Escapes the five characters Go's listing escapes.
fn escape_html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in text {
        match byte {
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            b'"' => escaped.extend_from_slice(b"&#34;"),
            b'\'' => escaped.extend_from_slice(b"&#39;"),
            other => escaped.push(*other),
        }
    }
    escaped
}

/// The type by the name's ending, else by the first 512 bytes.
fn content_type(path: &Path, mime: Mime, go: Go, file: &mut File) -> String {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let known = match (ending.as_deref(), mime) {
        (Some("html" | "htm"), _) => Some("text/html; charset=utf-8"),
        (Some("json"), _) => Some("application/json"),
        (Some("xml"), _) => Some("text/xml; charset=utf-8"),
        (Some("css"), _) => Some("text/css; charset=utf-8"),
        (Some("js"), _) => Some("text/javascript; charset=utf-8"),
        (Some("pdf"), _) => Some("application/pdf"),
        (Some("log"), Mime::Debian) => Some("text/x-log; charset=utf-8"),
        (Some("txt"), Mime::Debian) => Some("text/plain; charset=utf-8"),
        // Only the newer recording's machine knew it.
        (Some("gz"), Mime::Debian) if go == Go::New => Some("application/gzip"),
        _ => None,
    };
    if let Some(known) = known {
        return known.to_owned();
    }
    let mut head = Vec::new();
    let _ = file.take(512).read_to_end(&mut head);
    sniff(&head).to_owned()
}

/// Go's `DetectContentType`, as far as logs need it.
fn sniff(head: &[u8]) -> &'static str {
    let trimmed = head.trim_ascii_start();
    const MARKUP: [&str; 8] = ["<!DOCTYPE HTML", "<HTML", "<HEAD", "<SCRIPT", "<TABLE", "<BODY", "<BR", "<P"];
    let markup = MARKUP.iter().any(|tag| {
        trimmed.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
            && trimmed.get(tag.len()).is_some_and(|end| b" >".contains(end))
    });
    if markup {
        return "text/html; charset=utf-8";
    }
    let magic: [(&[u8], &str); 9] = [
        (b"<?xml", "text/xml; charset=utf-8"),
        (b"%PDF-", "application/pdf"),
        (b"\xfe\xff", "text/plain; charset=utf-16be"),
        (b"\xff\xfe", "text/plain; charset=utf-16le"),
        (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\0asm", "application/wasm"),
    ];
    if let Some((_, kind)) = magic.iter().find(|(start, _)| head.starts_with(start)) {
        return kind;
    }
    let binary = |byte: &u8| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    if head.iter().any(binary) { "application/octet-stream" } else { "text/plain; charset=utf-8" }
}

/// Why a path is refused below a root that may not be left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    Escapes,
    Missing,
}

/// Follows a path as Go's `os.Root` does: nothing absolute, and no step above the root.
pub(crate) fn inside(root: &Path, name: &str) -> Result<PathBuf, Outside> {
    if name.starts_with('/') {
        return Err(Outside::Escapes);
    }
    let mut at = PathBuf::new();
    let mut left: Vec<String> = name.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." if !at.pop() => return Err(Outside::Escapes),
            ".." => continue,
            _ => {}
        }
        let next = at.join(&part);
        match fs::read_link(root.join(&next)) {
            Ok(target) => {
                links += 1;
                if target.is_absolute() || links > 40 {
                    return Err(Outside::Escapes);
                }
                left.extend(target.to_string_lossy().split('/').rev().map(str::to_owned));
            }
            Err(_) => at = next,
        }
    }
    let path = root.join(at);
    if fs::symlink_metadata(&path).is_err() { Err(Outside::Missing) } else { Ok(path) }
}

trait TrimSlash {
    fn trim_ascii_start_slash(&self) -> &[u8];
}

impl TrimSlash for Vec<u8> {
    fn trim_ascii_start_slash(&self) -> &[u8] {
        self.strip_prefix(b"/").unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, cleaned) in [
            ("/", "/"),
            ("//kubelet.log", "/kubelet.log"),
            ("/a/./b/../c/", "/a/c"),
            ("/../../etc/passwd", "/etc/passwd"),
        ] {
            assert_eq!(clean(path.as_bytes()), cleaned.as_bytes(), "{path}");
        }
    }

    #[test]
    fn listing_names_are_escaped_twice() {
        assert_eq!(reference("name with space & <angle>.log".as_bytes()), "name%20with%20space%20&%20%3Cangle%3E.log");
        assert_eq!(reference("café-100%.log".as_bytes()), "caf%C3%A9-100%25.log");
        assert_eq!(reference(b"12:30.log"), "./12:30.log");
        assert_eq!(reference(b"it's \"x\"#?"), "it%27s%20%22x%22%23%3F");
        assert_eq!(escape_html(b"a&b<c>'\""), b"a&amp;b&lt;c&gt;&#39;&#34;");
    }

    #[test]
    fn content_is_guessed_as_go_guesses() {
        assert_eq!(sniff(b""), "text/plain; charset=utf-8");
        assert_eq!(sniff(b"Nov 14 kernel: x\n"), "text/plain; charset=utf-8");
        assert_eq!(sniff(b"a\0b"), "application/octet-stream");
        assert_eq!(sniff(b"\x1f\x8b\x08\0"), "application/x-gzip");
        assert_eq!(sniff(b"  <html>x"), "text/html; charset=utf-8");
        assert_eq!(sniff("ünï".as_bytes()), "text/plain; charset=utf-8");
    }

    #[test]
    fn a_root_is_not_left() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("audit")).unwrap();
        fs::write(root.path().join("audit/audit.log"), "x").unwrap();
        std::os::unix::fs::symlink("audit/audit.log", root.path().join("in")).unwrap();
        std::os::unix::fs::symlink("/etc/os-release", root.path().join("out")).unwrap();
        std::os::unix::fs::symlink("../x", root.path().join("audit/up")).unwrap();
        assert!(inside(root.path(), "audit/audit.log").is_ok());
        assert!(inside(root.path(), "./in").is_ok());
        assert!(inside(root.path(), "audit/../in").is_ok());
        assert_eq!(inside(root.path(), "/audit"), Err(Outside::Escapes));
        assert_eq!(inside(root.path(), "out"), Err(Outside::Escapes));
        assert_eq!(inside(root.path(), "../x"), Err(Outside::Escapes));
        assert_eq!(inside(root.path(), "audit/up"), Err(Outside::Missing));
        assert_eq!(inside(root.path(), "nosuch"), Err(Outside::Missing));
    }
}
