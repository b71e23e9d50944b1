//! What a Windows node's `Get-WinEvent … | Format-Table -AutoSize -Wrap` prints: a heading, the events, oldest first, and
//! empty lines. The newest are chosen first (`-MaxEvents`), then the pattern is tried. From its documentation, not recorded.

use regex_lite::RegexBuilder;

use super::kubelet::{QueryRules, Until};
use super::query::Options;
use super::zone::Civil;

/// Where nothing fits.
pub(crate) const NO_EVENTS: &str =
    "Get-WinEvent : No events were found that match the specified selection criteria.\r\n";

/// All there is.
pub(crate) const TABLE: &str = include_str!("../../fixtures/logs/windows-get-winevent.txt");

/// The part of it that these ask for. Times are the node's, whatever the request's offset.
pub(crate) fn events(options: &Options, rules: QueryRules) -> String {
    let (heading, events, end) = parts();
    let since = options.since.as_ref().map(|at| at.shown.seconds());
    let until = match rules.until {
        Until::Fixed => options.until.as_ref(),
        Until::Broken => options.until.as_ref().and(options.since.as_ref()),
    };
    let until = until.map(|at| at.shown.seconds());
    let within = |event: &&str| {
        let at = time(event);
        since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until)
    };
    let most = options.tail.map_or(usize::MAX, |tail| usize::try_from(tail).unwrap_or_default());
    let newest: Vec<&str> = events.iter().copied().filter(within).rev().take(most).collect();
    if newest.is_empty() {
        return NO_EVENTS.to_owned();
    }
    let pattern = options.pattern.as_ref().and_then(|p| RegexBuilder::new(p).case_insensitive(true).build().ok());
    let message = |event: &str| event.split_whitespace().collect::<Vec<_>>().join(" ");
    let chosen: Vec<&str> = newest
        .into_iter()
        .rev()
        .filter(|event| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&message(event))))
        .collect();
    // A table of nothing is nothing.
    if chosen.is_empty() { String::new() } else { format!("{heading}{}{end}", chosen.concat()) }
}

/// Its heading, its events with the lines that continue them, and the empty lines at its end.
pub(crate) fn parts() -> (&'static str, Vec<&'static str>, &'static str) {
    let ruled = TABLE.find("\r\n-----").expect("a rule under the heading") + 2;
    let first = ruled + TABLE[ruled..].find('\n').expect("an end of the rule") + 1;
    let end = TABLE.trim_end().len() + 2;
    let starts: Vec<usize> = TABLE[first..end]
        .match_indices('\n')
        .map(|(at, _)| first + at + 1)
        .filter(|at| *at < end && TABLE.as_bytes()[*at].is_ascii_digit())
        .collect();
    let starts: Vec<usize> = std::iter::once(first).chain(starts).chain([end]).collect();
    (&TABLE[..first], starts.windows(2).map(|pair| &TABLE[pair[0]..pair[1]]).collect(), &TABLE[end..])
}

/// `11/14/2023 10:13:20 PM`, in seconds of the node's clock.
fn time(event: &str) -> i64 {
    let words: Vec<&str> = event.split_whitespace().take(3).collect();
    let numbers =
        |text: &str, by| text.split(by).map(|part: &str| part.parse().expect("a number")).collect::<Vec<i64>>();
    let (date, clock) = (numbers(words[0], '/'), numbers(words[1], ':'));
    let hour = clock[0] % 12 + if words[2] == "PM" { 12 } else { 0 };
    Civil { year: date[2], month: date[0], day: date[1], hour, minute: clock[1], second: clock[2] }.seconds()
}
