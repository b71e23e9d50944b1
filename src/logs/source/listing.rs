//! The kubelet's listing of a directory under /var/log: HTML of Go's file server (`net/http`, `dirList`).
//!
//! Every entry is `<a href="HREF">NAME</a>`; the href is percent-encoded and then HTML-escaped, directories end in `/`.

use crate::error::{Error, Kind};
use crate::http::{Encoding, Request, Response};
use crate::kube::{path, status};
use crate::logs::outlet::Flow;
use crate::logs::source::{JOURNAL_FOLDER, Node, expect_listing, is_file_servers};

/// A listing is smaller.
pub(super) const LONGEST: usize = 32 << 20;

/// At most this many entries are taken from one listing.
pub const MOST: usize = 100_000;

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, decoded, without the slash of a directory.
    pub name: String,
    /// Whether it is a directory. A link to one counts as a file here: the listing does not tell.
    pub directory: bool,
}

/// Lists a directory under /var/log; `""` is /var/log itself.
pub async fn list(node: &Node<'_>, directory: &str) -> Flow<Vec<Entry>> {
    let url = if directory.is_empty() { path::logs_root(node.name) } else { path::logs_dir(node.name, directory) };
    let answer = node.get(Request::get(url).encoding(Encoding::Identity)).await?;
    let shown = format!("/var/log/{}", directory.trim_end_matches('/'));
    let no_directory = |words: String| {
        let hint =
            format!("read a file with: kubectl kubelet-logs {} --path {}", node.name, directory.trim_end_matches('/'));
        Error::new(Kind::Usage, words).hint(hint)
    };
    match answer.status {
        200 if is_listing(&answer) => entries(answer, &shown).await,
        200 if answer.content_type().starts_with("text/html") => {
            let words = format!("{shown} holds an index.html, which the kubelet shows instead of a listing");
            let hint = format!("kubectl kubelet-logs {} --path {directory}/FILE reads a file in it", node.name);
            Err(Error::new(Kind::Failed, words).hint(hint).into())
        }
        200 if !is_file_servers(&answer) => {
            let hint = format!(
                "its files are in {shown}/MACHINE-ID, with the id that kubectl get node {} -o yaml shows as machineID; -u reads the log of a unit",
                node.name
            );
            Err(Error::usage(format!("{shown} is a directory, {JOURNAL_FOLDER}")).hint(hint).into())
        }
        200 | 301 | 307 => Err(no_directory(format!("{shown} is no directory")).into()),
        404 => {
            let error = status::error_of(answer).await;
            if error.to_string().contains("page not found") {
                let hint = format!("see what there is: kubectl kubelet-logs ls {}", node.name);
                return Err(Error::new(Kind::NotFound, format!("no directory {shown}"))
                    .because(error)
                    .hint(hint)
                    .into());
            }
            Err(error.into())
        }
        _ => Err(status::error_of(answer).await.into()),
    }
}

/// The entries of an answer that is a listing; all of them, or it is an error.
pub(super) async fn entries(answer: Response, shown: &str) -> Flow<Vec<Entry>> {
    let cut = |why: String| Error::new(Kind::Partial, format!("listing {shown}: {why}"));
    let html = expect_listing(answer).await?.body.collect(LONGEST).await.map_err(|ended| cut(ended.to_string()))?;
    if !html.trim_ascii_end().ends_with(b"</pre>") {
        return Err(cut("the listing has no end".to_owned()).into());
    }
    Ok(parse(&String::from_utf8_lossy(&html)))
}

/// Whether an answer is a listing: text/html without `Accept-Ranges` (an HTML file has that header).
pub fn is_listing(answer: &Response) -> bool {
    answer.content_type().starts_with("text/html") && answer.header("accept-ranges").is_none()
}

/// Whether a body begins as Go's file server begins a listing: with `<pre>`, or since Go 1.23 with a viewport first.
pub fn begins(body: &[u8]) -> bool {
    body.starts_with(b"<pre>") || body.starts_with(b"<!doctype html>") && memchr::memmem::find(body, b"<pre>").is_some()
}

/// The entries, in the server's order. Whatever is no plain name of this directory is left out.
pub fn parse(html: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for part in html.split("<a href=\"").skip(1).take(MOST) {
        let Some((href, _)) = part.split_once('"') else { continue };
        let href = unescape(href);
        // A name with a colon in its first segment is written as `./a:b`.
        let href = href.strip_prefix("./").unwrap_or(&href);
        let (encoded, directory) = match href.strip_suffix('/') {
            Some(name) => (name, true),
            None => (href, false),
        };
        let Some(name) = decode(encoded) else { continue };
        if !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']) {
            entries.push(Entry { name, directory });
        }
    }
    entries
}

/// The five entities Go's escaper writes (`htmlReplacer`), and the numeric forms of its older ones.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        plain.push_str(before);
        let known = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&#34;", '"'), ("&#39;", '\''), ("&quot;", '"')];
        match known.into_iter().find(|(entity, _)| after.starts_with(entity)) {
            Some((entity, c)) => {
                plain.push(c);
                rest = after.get(entity.len()..).unwrap_or_default();
            }
            None => {
                plain.push('&');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// Percent-decoding; names that are no UTF-8 can't be asked for again and are refused.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let hex = |b: &u8| char::from(*b).to_digit(16);
        let [high, low, after @ ..] = after else { return None };
        bytes.push((hex(high)? * 16 + hex(low)?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped_then_decoded() {
        let html = "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n\
            <a href=\"audit/\">audit/</a>\n<a href=\"caf%C3%A9-100%25.log\">café-100%.log</a>\n\
            <a href=\"name%20with%20space%20&amp;%20%3Cangle%3E.log\">x</a>\n<a href=\"./a:b.log\">a:b.log</a>\n\
            <a href=\"it&#39;s%22.log\">x</a>\n</pre>\n";
        let names: Vec<(String, bool)> = parse(html).into_iter().map(|e| (e.name, e.directory)).collect();
        let expected = [
            ("audit", true),
            ("café-100%.log", false),
            ("name with space & <angle>.log", false),
            ("a:b.log", false),
            ("it's\".log", false),
        ];
        assert_eq!(names, expected.map(|(name, directory)| (name.to_owned(), directory)));
    }

    #[test]
    fn hostile_hrefs_are_left_out() {
        for href in [
            "",
            "/",
            "../",
            "..",
            "/etc/passwd",
            "https://evil/",
            "a/b",
            "%2e%2e",
            "%zz",
            "%",
            "%ff",
            "a%00b",
            "&amp",
            "//",
        ] {
            let html = format!("<pre>\n<a href=\"{href}\">x</a>\n");
            let names: Vec<String> = parse(&html).into_iter().map(|e| e.name).collect();
            assert!(names.is_empty() || names == ["&amp"], "{href}: {names:?}");
        }
        assert!(parse("<a href=\"never closed").is_empty());
    }
}
