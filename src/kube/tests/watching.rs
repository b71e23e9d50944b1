//! Watching a list: events, and whatever ends them.

use super::super::node::{self, Metadata};
use super::super::watch::{News, Watch};
use super::*;

fn object(name: &str, version: u32) -> String {
    format!("{{\"metadata\":{{\"name\":\"{name}\",\"resourceVersion\":\"{version}\"}}}}")
}

fn event(kind: &str, name: &str, version: u32) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", object(name, version))
}

fn listed(names: &[&str], version: u32) -> Vec<u8> {
    let items: Vec<String> = names.iter().map(|name| object(name, 1)).collect();
    let items = items.join(",");
    answer("200 OK", &format!("{{\"metadata\":{{\"resourceVersion\":\"{version}\"}},\"items\":[{items}]}}"))
}

/// A watch from version 10 on whose requests get these answers.
async fn watching(answers: Vec<Vec<u8>>) -> (Watch, Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<Duration>>>, Listening) {
    let (server, heads) = answering(answers).await;
    let (client, waits) = client(server.http_url(), plain_trust(), auth(Connection::default()));
    (node::watch(Arc::new(client), "a=b", "", "10".to_owned()), heads, waits, server)
}

fn told(news: News) -> String {
    let name = |node: &Metadata| node.name.clone();
    match news {
        News::All(nodes) => format!("all {}", nodes.iter().map(name).collect::<Vec<_>>().join(",")),
        News::Here(node) => format!("here {}", node.name),
        News::Gone(node) => format!("gone {}", node.name),
    }
}

/// The version a request watches from; `list` of one that lists.
fn asked(heads: &Mutex<Vec<String>>) -> Vec<String> {
    let heads = heads.lock().unwrap();
    let version = |head: &String| head.split_once("resourceVersion=")?.1.split(['&', ' ']).next().map(str::to_owned);
    heads.iter().map(|head| version(head).unwrap_or_else(|| "list".to_owned())).collect()
}

#[tokio::test]
async fn events_are_told_and_a_watch_goes_on_from_the_last_of_them() {
    let first =
        [event("ADDED", "a", 11), event("MODIFIED", "a", 12), event("DELETED", "a", 13), event("BOOKMARK", "", 20)];
    let (mut watch, heads, waits, _server) =
        watching(vec![answer("200 OK", &first.concat()), answer("200 OK", &event("ADDED", "b", 21))]).await;
    let mut news = Vec::new();
    for _ in 0..4 {
        news.push(told(watch.next().await.unwrap()));
    }
    assert_eq!(news, ["here a", "here a", "gone a", "here b"]);
    assert_eq!(asked(&heads), ["10", "20"]);
    // One that ended soon is not opened again at once.
    assert_eq!(waits.lock().unwrap().len(), 1);
    let head = heads.lock().unwrap()[0].to_ascii_lowercase();
    for part in [
        "watch=true",
        "labelselector=a%3db",
        "allowwatchbookmarks=true",
        "timeoutseconds=",
        "as=partialobjectmetadata;",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
}

#[tokio::test]
async fn names_that_no_object_can_have_are_left_out() {
    let odd = [r"a\u001b[2J", r"a\nb", "", "A", "a/b", "-a", "a."];
    let events: Vec<String> =
        odd.iter().map(|name| event("ADDED", name, 11)).chain([event("ADDED", "b", 12)]).collect();
    let names: Vec<&str> = odd.into_iter().chain(["c.example"]).collect();
    let gone = answer("410 Gone", "{}");
    let (many, more): (Vec<_>, Vec<_>) =
        ((0..100).map(|n| format!("a/{n}")).collect(), (0..9).map(|n| format!("b/{n}")).collect());
    let many: Vec<&str> = many.iter().chain(&more).map(String::as_str).chain(["d"]).collect();
    let answers = vec![
        answer("200 OK", &events.concat()),
        gone.clone(),
        listed(&names, 30),
        gone.clone(),
        listed(&names, 40),
        gone,
        listed(&many, 50),
    ];
    let (server, _) = answering(answers).await;
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let notices = Notices::new(0, true, move |line| heard.lock().unwrap().push(line.to_owned()));
    let options = Options { pause: Pause::Record(Arc::default()), ..Options::new(notices) };
    let at = Server { url: server.http_url(), trust: plain_trust() };
    let client = Client::new(&at, auth(Connection::default()), options).unwrap();
    let mut watch = node::watch(Arc::new(client), "a=b", "", "10".to_owned());
    let mut next = async || told(watch.next().await.unwrap());
    assert_eq!([next().await, next().await, next().await], ["here b", "all c.example", "all c.example"]);
    // Each is said once, however often it is listed,
    let warned = said.lock().unwrap().clone();
    assert!(warned.len() == odd.len() && warned[0].starts_with("warning: left out: \"a\\u{1b}[2J\", "), "{warned:#?}");
    // and of very many no more than the first.
    assert_eq!(next().await, "all d");
    assert_eq!(said.lock().unwrap().iter().filter(|line| line.contains("left out")).count(), 100);
}

#[tokio::test]
async fn what_the_server_has_forgotten_is_listed_again() {
    let error = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}\n";
    let gone = answer("410 Gone", "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}");
    let (mut watch, heads, _, _server) = watching(vec![
        answer("200 OK", error),
        listed(&["a", "b"], 30),
        gone,
        listed(&["b"], 40),
        answer("200 OK", &event("ADDED", "c", 41)),
    ])
    .await;
    let mut news = Vec::new();
    for _ in 0..3 {
        news.push(told(watch.next().await.unwrap()));
    }
    assert_eq!(news, ["all a,b", "all b", "here c"]);
    assert_eq!(asked(&heads), ["10", "list", "30", "list", "40"]);
}

#[tokio::test]
async fn what_breaks_is_asked_again_ever_more_seldom() {
    let mut answers: Vec<Vec<u8>> = (0..8).map(|_| answer("200 OK", "")).collect();
    answers.push(answer("200 OK", "no event\n"));
    answers.push(answer("200 OK", &event("ADDED", "a", 11)));
    answers.push(answer("200 OK", &event("ADDED", "b", 12)));
    let (mut watch, heads, waits, _server) = watching(answers).await;
    assert_eq!(told(watch.next().await.unwrap()), "here a");
    assert_eq!(told(watch.next().await.unwrap()), "here b");
    assert_eq!(asked(&heads)[..], [["10"; 10].as_slice(), &["11"]].concat());
    // One that brings an event and breaks at once is no success.
    let waits = waits.lock().unwrap().clone();
    let least = [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000, 30_000].map(Duration::from_millis);
    assert_eq!(waits.len(), least.len());
    for (wait, least) in waits.iter().zip(least) {
        assert!(*wait >= least && *wait <= least * 5 / 4, "{waits:?}");
    }
}

#[tokio::test]
async fn a_refused_watch_is_a_list_now_and_then_and_a_refused_list_ends_it() {
    let refusal = || answer("403 Forbidden", "{\"kind\":\"Status\",\"message\":\"nodes is forbidden\",\"code\":403}");
    let mut answers = vec![refusal(), listed(&["a"], 11), refusal(), refusal(), refusal(), listed(&["b"], 12)];
    answers.push(answer("200 OK", &event("ADDED", "c", 13)));
    answers.extend((0..5).map(|_| refusal()));
    let (mut watch, heads, waits, _server) = watching(answers).await;
    for news in ["all a", "all b", "here c"] {
        assert_eq!(told(watch.next().await.unwrap()), news);
    }
    assert_eq!(watch.next().await.unwrap_err().kind(), Kind::Denied);
    let asked = asked(&heads);
    assert_eq!(asked[..7], ["10", "list", "11", "list", "list", "list", "12"]);
    assert_eq!(asked[7..], ["13", "list", "list", "list", "list"]);
    let waits = waits.lock().unwrap().clone();
    // But for the one after the watch that ended soon.
    let long = waits.iter().filter(|wait| **wait >= Duration::from_secs(30)).count();
    assert_eq!((waits.len(), long), (9, 8), "{waits:?}");
}
