//! A kubelet: its routes, its node log query and its file server, by release and setting.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, RANGE};
use hyper::{Method, StatusCode};
use tokio::sync::mpsc;

use super::body::{Answer, Channel, GO_BUFFER, answer, go_error, set};
use super::engine;
use super::files::{Go, Mime, Outside, Server, clean, inside};
use super::journal::{self, Journal, Localizer, Reader, Step};
use super::openshift;
use super::query::{self, FileCheck, Options, Plus, Query};
use super::windows;
use super::zone::Zone;

/// A kubelet's release and settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) release: Release,
    /// `None`: the query option is off or unknown and every parameter is ignored.
    pub(crate) query: Option<QueryRules>,
    pub(crate) flavour: Flavour,
    pub(crate) handler: Handler,
}

/// Whose kubelet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Vanilla,
    /// With `/logs/journal` and its parameters.
    OpenShift,
    /// With Get-WinEvent in place of journalctl. Not recorded: the shape is from its documentation.
    Windows,
}

/// `enableSystemLogHandler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    On,
    Off,
}

/// The two releases recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    V1_24,
    V1_36,
}

/// How a kubelet with the query on reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueryRules {
    pub(crate) files: FileCheck,
    pub(crate) until: Until,
}

/// What becomes of `untilTime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Until {
    /// Upstream from 1.30 on.
    #[default]
    Fixed,
    /// 1.27 to 1.29 and OpenShift: it gets the value of sinceTime, or the handler panics without one.
    Broken,
}

impl Mode {
    /// 1.24, which knows no query.
    pub(crate) const V1_24: Mode = Mode::vanilla(Release::V1_24, None);
    /// 1.36 with `enableSystemLogQuery: true`.
    pub(crate) const QUERY_ON: Mode = Mode::on(FileCheck::OsRoot, Until::Fixed);
    /// The same with the older check of file queries, which takes `?query=/foo.log`.
    pub(crate) const SECURE_JOIN: Mode = Mode::on(FileCheck::SecureJoin, Until::Fixed);
    /// The same with the until bug of 1.27 to 1.29.
    pub(crate) const BROKEN_UNTIL: Mode = Mode::on(FileCheck::OsRoot, Until::Broken);
    /// 1.36 as it comes: the query is off.
    pub(crate) const QUERY_OFF: Mode = Mode::vanilla(Release::V1_36, None);
    /// 1.36 with `enableSystemLogHandler: false`.
    pub(crate) const HANDLER_OFF: Mode = Mode { handler: Handler::Off, ..Mode::QUERY_OFF };
    /// OpenShift's kubelet of 1.24 (4.11).
    pub(crate) const OPENSHIFT_1_24: Mode = Mode { flavour: Flavour::OpenShift, ..Mode::V1_24 };
    /// OpenShift's kubelet of 1.36.
    pub(crate) const OPENSHIFT_1_36: Mode = Mode { flavour: Flavour::OpenShift, ..Mode::BROKEN_UNTIL };
    /// A Windows node with the query on.
    pub(crate) const WINDOWS: Mode = Mode { flavour: Flavour::Windows, ..Mode::QUERY_ON };

    const fn vanilla(release: Release, query: Option<QueryRules>) -> Mode {
        Mode { release, query, flavour: Flavour::Vanilla, handler: Handler::On }
    }

    const fn on(files: FileCheck, until: Until) -> Mode {
        Mode::vanilla(Release::V1_36, Some(QueryRules { files, until }))
    }
}

/// What a kubelet answers from.
#[derive(Debug)]
pub(crate) struct Kubelet {
    pub(crate) mode: Mode,
    pub(crate) zone: Zone,
    pub(crate) mime: Mime,
    /// Its /var/log.
    pub(crate) root: PathBuf,
    pub(crate) journal: Journal,
    /// Where the journal's files are, if on disk.
    pub(crate) journal_directory: Option<PathBuf>,
    pub(crate) reader: Reader,
    /// How long one query may take: 30 s at real kubelets.
    pub(crate) limit: Duration,
    pub(crate) ended: Ended,
}

/// How many queries have come to their end, whether all was written or the time was over.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    count: Mutex<usize>,
    more: Condvar,
}

impl Ended {
    fn one(&self) {
        *self.count.lock().expect("no panic while counting") += 1;
        self.more.notify_all();
    }

    /// Waits until it is so many; panics after a minute.
    pub(crate) fn wait(&self, least: usize) {
        let count = self.count.lock().expect("no panic while counting");
        let waited = self.more.wait_timeout_while(count, Duration::from_secs(60), |count| *count < least);
        let (count, late) = waited.expect("no panic while counting");
        assert!(!late.timed_out(), "waited for the end of {least} queries, of {} only", *count);
    }
}

/// A request as the kubelet gets it.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// Still percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) from: From,
}

/// Who stands before the kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    /// The API server, whose transport asks for gzip where the client said nothing, and unpacks it again.
    Proxy,
}

/// What the handler did.
pub(crate) enum Outcome {
    Answered(Answer),
    /// It panicked: the connection closes without an answer.
    Panicked,
}

impl std::convert::From<Answer> for Outcome {
    fn from(answer: Answer) -> Outcome {
        Outcome::Answered(answer)
    }
}

impl Kubelet {
    /// Answers one request.
    pub(crate) async fn answer(self: &Arc<Self>, asked: Asked<'_>) -> Outcome {
        let Some(path) = query::unescape_bytes(asked.path, Plus::Plus) else {
            return answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "400 Bad Request").into();
        };
        // Go's mux cleans a path before it looks at it; the proxy has done so already.
        let mut cleaned = clean(&path);
        if path.ends_with(b"/") && cleaned != b"/" {
            cleaned.push(b'/');
        }
        match cleaned.as_slice() {
            b"/logs" => self.to_slash("/logs/", &asked).into(),
            b"/healthz" => {
                let mut ok = answer(StatusCode::OK, "text/plain; charset=utf-8", "ok");
                set(&mut ok, "x-content-type-options", "nosniff");
                ok.into()
            }
            b"/healthz/ping" | b"/healthz/log" | b"/healthz/syncloop" => {
                answer(StatusCode::OK, "text/plain; charset=utf-8", "ok").into()
            }
            b"/configz" => {
                let mut shown = answer(StatusCode::OK, "application/json", self.configz());
                set(&mut shown, "x-content-type-options", "nosniff");
                shown.into()
            }
            path => match path.strip_prefix(b"/logs/") {
                Some(_) if self.mode.handler == Handler::Off => {
                    go_error(StatusCode::METHOD_NOT_ALLOWED, "logs endpoint is disabled.").into()
                }
                Some(below) => self.logs(below, &asked).await,
                None => go_error(StatusCode::NOT_FOUND, "404 page not found").into(),
            },
        }
    }

    fn go(&self) -> Go {
        match self.mode.release {
            Release::V1_24 => Go::Old,
            Release::V1_36 => Go::New,
        }
    }

    /// The mux's redirect to the same path with a slash.
    fn to_slash(&self, path: &str, asked: &Asked<'_>) -> Answer {
        let to = asked.query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let (status, words) = match self.mode.release {
            Release::V1_24 => (StatusCode::MOVED_PERMANENTLY, "Moved Permanently"),
            Release::V1_36 => (StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect"),
        };
        let shown = to
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;");
        let mut answer = answer(status, "text/html; charset=utf-8", format!("<a href=\"{shown}\">{words}</a>.\n\n"));
        set(&mut answer, "location", &to);
        answer
    }

    async fn logs(self: &Arc<Self>, below: &[u8], asked: &Asked<'_>) -> Outcome {
        if *asked.method != Method::GET {
            let mut refused =
                answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "405: Method Not Allowed");
            if self.mode.release == Release::V1_36 {
                set(&mut refused, "allow", "GET");
            }
            return refused.into();
        }
        if !admits_anything(asked.headers) {
            let words = match self.mode.release {
                Release::V1_24 => "406: Not Acceptable",
                Release::V1_36 => "406: Not Acceptable\n\nAvailable representations: ",
            };
            return answer(StatusCode::NOT_ACCEPTABLE, "text/plain; charset=utf-8", words).into();
        }
        let pairs = query::pairs(asked.query.unwrap_or_default());
        if let Some(asks) = self.openshift(below, &pairs) {
            return match asks {
                Ok(runs) => self.stream(asked, |out| Arc::clone(self).print(runs, out)).await,
                Err(why) => {
                    let status = match self.mode.release {
                        Release::V1_24 => StatusCode::BAD_REQUEST,
                        Release::V1_36 => StatusCode::NOT_ACCEPTABLE,
                    };
                    go_error(status, &why).into()
                }
            };
        }
        let files = Server { root: &self.root, go: self.go(), mime: self.mime };
        let Some(rules) = self.mode.query else { return files.serve(below, asked.query, asked.headers).into() };
        let query = match query::parse(&pairs) {
            Err(why) => return go_error(StatusCode::BAD_REQUEST, &why).into(),
            // OpenShift looks at the options only where there is a query.
            Ok(Some(query)) if self.mode.flavour == Flavour::OpenShift && query.is_empty() => {
                return files.serve(below, asked.query, asked.headers).into();
            }
            Ok(None) => return files.serve(below, asked.query, asked.headers).into(),
            Ok(Some(query)) => query,
        };
        if let Err(why) = query.validate(&self.root, rules.files) {
            return go_error(StatusCode::NOT_ACCEPTABLE, &why).into();
        }
        if let [file] = &query.files[..] {
            return files.serve(file.as_bytes(), asked.query, asked.headers).into();
        }
        if self.mode.flavour == Flavour::Windows {
            return self.windows(query, rules, asked).await;
        }
        if rules.until == Until::Broken && query.options.until.is_some() && query.options.since.is_none() {
            return Outcome::Panicked;
        }
        self.stream(asked, |out| Arc::clone(self).copy(query, rules, out)).await
    }

    /// The journalctl runs that OpenShift's own parameters ask for, if the request is of that kind.
    fn openshift(&self, below: &[u8], pairs: &[(String, String)]) -> Option<Result<Vec<Vec<String>>, String>> {
        if self.mode.flavour != Flavour::OpenShift {
            return None;
        }
        let with_unit = pairs.iter().any(|(key, _)| key == "unit");
        match self.mode.release {
            // With its slash, journal is a directory like any other.
            Release::V1_24 => (below == b"journal").then(|| {
                let asked = openshift::parse(pairs, self.mode.release)?;
                let boots = asked.boot.map_or_else(|| vec![-1, 0], |boot| vec![boot]);
                Ok(boots.into_iter().map(|boot| asked.arguments(Some(boot))).collect())
            }),
            // With or without.
            Release::V1_36 => (below == b"journal" || below == b"journal/" || with_unit).then(|| {
                let asked = openshift::parse(pairs, self.mode.release)?;
                Ok(vec![asked.arguments(asked.boot)])
            }),
        }
    }

    /// What a Windows node's Get-WinEvent prints.
    async fn windows(self: &Arc<Self>, query: Query, rules: QueryRules, asked: &Asked<'_>) -> Outcome {
        if let Some(boot) = query.options.boot {
            let why = format!("boot: Invalid value: {boot}: boot is not supported on Windows");
            return go_error(StatusCode::NOT_ACCEPTABLE, &why).into();
        }
        let text = match query.services.iter().any(|service| service == "kubelet") {
            true => windows::events(&query.options, rules),
            false => windows::NO_EVENTS.to_owned(),
        };
        self.stream(asked, |out| async move {
            let _ = out.send(Ok(text.into())).await;
        })
        .await
    }

    /// Answers with what `write` writes, as it comes.
    async fn stream<F>(&self, asked: &Asked<'_>, write: impl FnOnce(mpsc::Sender<io::Result<Bytes>>) -> F) -> Outcome
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let encoding = match (asked.headers.get(ACCEPT_ENCODING).map(|value| value.as_bytes()), asked.from) {
            (Some(b"gzip"), _) => Encoding::Gzip,
            // Go's transport asks for no compression of ranges.
            (None, From::Proxy) if !asked.headers.contains_key(RANGE) => Encoding::GzipUnpacked,
            _ => Encoding::Identity,
        };
        let (out, mut written) = mpsc::channel(4);
        tokio::spawn(write(out));
        if encoding == Encoding::Gzip {
            written = compress(written);
        }
        // What the kubelet's gzip gathers before its first block leaves it.
        const BLOCK: usize = 128 * 1024;
        let (known_length, gather) = match encoding {
            Encoding::Identity | Encoding::Gzip => (true, GO_BUFFER),
            Encoding::GzipUnpacked => (false, BLOCK),
        };
        let Ok(mut answer) = Channel::head(written, known_length, gather).await else { return Outcome::Panicked };
        set(&mut answer, "content-type", "text/plain;charset=UTF-8");
        if encoding == Encoding::Gzip {
            set(&mut answer, "content-encoding", "gzip");
        }
        answer.into()
    }

    /// Writes what journalctl prints, run after run, within the limit.
    async fn print(self: Arc<Self>, runs: Vec<Vec<String>>, out: mpsc::Sender<io::Result<Bytes>>) {
        let _ = tokio::time::timeout(self.limit, async {
            for args in runs {
                self.pass(&args, &out).await;
            }
        })
        .await;
    }

    /// Passes on what one journalctl prints, as long as someone reads it.
    async fn pass(&self, args: &[String], out: &mpsc::Sender<io::Result<Bytes>>) {
        let mut output = self.read(args);
        while let Some(piece) = output.recv().await {
            if !piece.is_empty() && out.send(Ok(piece)).await.is_err() {
                return;
            }
        }
    }

    /// Writes the answer to a query into `out`, within the limit.
    async fn copy(self: Arc<Self>, query: Query, rules: QueryRules, out: mpsc::Sender<io::Result<Bytes>>) {
        self.copy_in_time(query, rules, out).await;
        self.ended.one();
    }

    async fn copy_in_time(&self, query: Query, rules: QueryRules, out: mpsc::Sender<io::Result<Bytes>>) {
        let mut over = std::pin::pin!(tokio::time::sleep(self.limit));
        let mut known = Vec::new();
        let mut probe = self.read(&["--field".to_owned(), "_SYSTEMD_UNIT".to_owned()]);
        let probed = tokio::select! {
            () = &mut over => false,
            () = async { while let Some(piece) = probe.recv().await { known.extend_from_slice(&piece); } } => true,
        };
        drop(probe);
        let known = String::from_utf8_lossy(&known).into_owned();
        let (native, files): (Vec<String>, Vec<String>) =
            query.services.into_iter().partition(|service| probed && known.contains(&format!("{service}.service")));
        let mut in_time = probed;
        if !native.is_empty() {
            let args = arguments(&native, &query.options, rules);
            tokio::select! {
                () = &mut over => in_time = false,
                () = self.pass(&args, &out) => {}
            }
        }
        if files.is_empty() {
            return;
        }
        if query.options != Options::default() {
            let words = format!(
                "\noptions present and query resolved to log files for [{}]\ntry without specifying options\n",
                files.join(" ")
            );
            let _ = out.send(Ok(words.into())).await;
            return;
        }
        for service in files {
            let text =
                if in_time { self.guess(&service) } else { b"\ncontext error: context deadline exceeded\n".to_vec() };
            for piece in Bytes::from(text).chunks(32 * 1024) {
                if out.send(Ok(Bytes::copy_from_slice(piece))).await.is_err() {
                    return;
                }
            }
        }
    }

    /// A service's log file by the kubelet's guesses, or its words for why there is none.
    fn guess(&self, service: &str) -> Vec<u8> {
        for name in [service.to_owned(), format!("{service}.log"), format!("{service}/{service}.log")] {
            match inside(&self.root, &name) {
                Ok(path) if path.is_dir() => {}
                Ok(path) => match std::fs::read(path) {
                    Ok(bytes) => return bytes,
                    Err(why) => return format!("\nerror getting log for {service}: {why}\n").into_bytes(),
                },
                Err(Outside::Missing) => {}
                Err(Outside::Escapes) => {
                    return format!("\nerror getting log for {service}: openat {name}: path escapes from parent\n")
                        .into_bytes();
                }
            }
        }
        format!("\nlog not found for {service}\n").into_bytes()
    }

    /// Runs journalctl, or what stands for it.
    fn read(&self, args: &[String]) -> mpsc::Receiver<Bytes> {
        match (&self.journal_directory, self.reader) {
            (_, Reader::Script(script)) => journal::perform(script(args)),
            (_, Reader::Made(recording)) => {
                journal::perform(vec![Step::Print(engine::answer(recording, &self.zone, args))])
            }
            (Some(directory), Reader::Auto) if journal::installed() => journal::journalctl(directory, &self.zone, args),
            _ => {
                let mut lines = Localizer::new(&self.zone);
                let text = engine::answer(self.journal.recording(), &self.zone, args);
                journal::perform(vec![Step::Print(lines.push(text.into()))])
            }
        }
    }

    fn configz(&self) -> String {
        let handler = self.mode.handler == Handler::On;
        let kind = match self.mode.release {
            Release::V1_24 => "",
            Release::V1_36 => r#""kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1","#,
        };
        let mut text = format!(r#"{{"kubeletconfig":{{{kind}"#);
        text.push_str(r#""enableServer":true,"port":10250,"authentication":{"webhook":{"enabled":true,"cacheTTL":"2m0s"},"anonymous":{"enabled":false}},"authorization":{"mode":"Webhook"},"enableDebuggingHandlers":true,"logging":{"format":"text","verbosity":2}"#);
        text.push_str(&format!(r#","enableSystemLogHandler":{handler}"#));
        if self.mode.release == Release::V1_36 {
            text.push_str(&format!(r#","enableSystemLogQuery":{}"#, self.mode.query.is_some()));
        }
        text + "}}\n"
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    GzipUnpacked,
}

/// Compresses what passes.
fn compress(mut plain: mpsc::Receiver<io::Result<Bytes>>) -> mpsc::Receiver<io::Result<Bytes>> {
    use std::io::Write as _;
    let (out, packed) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        while let Some(piece) = plain.recv().await {
            let written = piece.and_then(|piece| encoder.write_all(&piece));
            let ready = std::mem::take(encoder.get_mut());
            let sent = match written {
                Ok(()) if ready.is_empty() => continue,
                Ok(()) => out.send(Ok(ready.into())).await,
                Err(broken) => out.send(Err(broken)).await,
            };
            if sent.is_err() {
                return;
            }
        }
        let _ = out.send(encoder.finish().map(Bytes::from)).await;
    });
    packed
}

/// The arguments a 1.36 kubelet gives journalctl.
fn arguments(units: &[String], options: &Options, rules: QueryRules) -> Vec<String> {
    let mut args: Vec<String> = ["--utc", "--no-pager", "--output=short-precise"].map(str::to_owned).to_vec();
    if let Some(since) = &options.since {
        args.push(format!("--since={}", since.shown.unpadded()));
    }
    let until = match rules.until {
        Until::Fixed => options.until.as_ref(),
        Until::Broken => options.until.as_ref().and(options.since.as_ref()),
    };
    if let Some(until) = until {
        args.push(format!("--until={}", until.shown.unpadded()));
    }
    if let Some(tail) = options.tail {
        args.push("--pager-end".to_owned());
        args.push(format!("--lines={tail}"));
    }
    args.extend(units.iter().map(|unit| format!("--unit={unit}")));
    if let Some(pattern) = &options.pattern {
        args.push(format!("--grep={pattern}"));
        // What --grep alone would print of colours is off by the pipe.
    }
    if let Some(boot) = options.boot {
        args.push("--boot".to_owned());
        args.push(boot.to_string());
    }
    args
}

/// Whether the Accept header is absent or admits `*/*`.
fn admits_anything(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(ACCEPT).iter().peekable();
    given.peek().is_none()
        || given
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|kind| kind.split(';').next().unwrap_or_default().trim() == "*/*")
}
