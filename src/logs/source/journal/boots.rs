//! The boots of a node, as its journal tells them apart.

use std::fmt::Write;

use super::{Remote, timestamp};
use crate::args::{Boot, Format};
use crate::error::{Error, Kind};
use crate::journal::{Id, Matches, Position, Value};
use crate::logs::outlet::Flow;
use crate::time::{Timestamp, Zone};

/// Boots named in an error.
const NAMED: usize = 3;

/// A boot, as far as the journal still holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The kernel's id of it.
    pub id: Id,
    /// When journald took its first entry.
    pub first: Timestamp,
    /// When journald took its last entry.
    pub last: Timestamp,
    /// When it began: its first entry's time, unless the clock was set since.
    pub began: Timestamp,
    /// Where its first entry stands.
    pub(super) start: Position,
}

/// What reading within a boot needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within {
    pub(super) id: Id,
    /// When journald took its last entry.
    pub(super) last: Timestamp,
}

impl Remote<'_> {
    /// The boot that was named. Where the node's object and its newest entry agree on the last one, no more is read for it.
    pub(super) async fn within(&mut self, named: &Boot) -> Flow<Within> {
        if let (Boot::Back(0), Some(id)) = (named, self.boot)
            && let Some(newest) = self.newest(Matches::all()).await?
            && newest.position.boot == id
        {
            return Ok(Within { id, last: timestamp(newest.position.realtime) });
        }
        let Span { id, last, .. } = self.boot(named).await?;
        Ok(Within { id, last })
    }

    /// All boots, oldest first.
    pub async fn boots(&mut self) -> Flow<Vec<Span>> {
        self.fetched.clear();
        self.journal.list_boots();
        let values = self.values().await?;
        let mut before = 0;
        let mut span = |Value { first, last, .. }: &Value, id: Id| {
            // No boot begins within another one, or after its own end: then uptime tells when it did.
            let wrong = first.realtime < before || first.realtime > last.realtime;
            let uptime = last.monotonic.saturating_sub(first.monotonic);
            let began = if wrong { last.realtime.saturating_sub(uptime) } else { first.realtime };
            before = last.realtime;
            let [first_at, last_at, began] = [first.realtime, last.realtime, began].map(timestamp);
            Span { id, first: first_at, last: last_at, began, start: *first }
        };
        Ok(values.iter().filter_map(|value| Some((value, value.id()?))).map(|(value, id)| span(value, id)).collect())
    }

    /// When a boot began: a window that begins then begins with its first entry, whatever that one's time.
    pub async fn began(&mut self, named: &Boot) -> Flow<Timestamp> {
        let boot = self.boot(named).await?;
        self.start = Some((boot.began, boot.start)).filter(|_| boot.began != boot.first);
        Ok(boot.began)
    }

    /// The boot that was named.
    pub async fn boot(&mut self, named: &Boot) -> Flow<Span> {
        let boots = self.boots().await?;
        // Of a file that can't be read the boots would be missing in the count.
        self.check_whole()?;
        let index = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let found = match named {
            Boot::Back(back) => boots.iter().rev().nth(index(*back)),
            Boot::Nth(nth) => boots.get(index(nth.saturating_sub(1))),
            Boot::Id(id) => boots.iter().find(|boot| id.parse() == Ok(boot.id)),
        };
        match found {
            Some(found) => {
                let node = self.node.name;
                self.node.notices.verbose(4, || format!("{node}: boot {named} is {}", found.id));
                Ok(*found)
            }
            None => Err(unknown(&self.place.journal(), named, &boots).into()),
        }
    }
}

fn unknown(journal: &str, named: &Boot, boots: &[Span]) -> Error {
    let Some(first) = boots.first() else {
        return Error::new(Kind::NotFound, format!("{journal} is empty: it knows no boot"));
    };
    let count = boots.len();
    let mut words = format!("{journal} knows no boot {named}; ");
    let _ = match count {
        1 => write!(words, "it knows one, 0, {}", first.id),
        _ => write!(words, "it knows {count}, 0 to -{} or +1 to +{count}", count - 1),
    };
    let ids: Vec<String> = boots.iter().rev().take(NAMED).map(|boot| boot.id.to_string()).collect();
    if count > 1 {
        let rest = if count > NAMED { ", …" } else { "" };
        let _ = write!(words, ": {}{rest}", ids.join(", "));
    }
    Error::new(Kind::NotFound, words).hint(format!("it begins at {}; --list-boots shows all", first.first.rfc3339()))
}

/// A table of boots, laid out as journalctl lays it out.
pub fn table(boots: &[Span]) -> String {
    let numbers: Vec<String> = (0..boots.len()).rev().map(|back| Boot::Back(back as u32).to_string()).collect();
    let width = numbers.iter().map(String::len).max().unwrap_or(0).max(3);
    let mut text = format!("{:>width$} {:<32} {:<27} {}\n", "IDX", "BOOT ID", "FIRST ENTRY", "LAST ENTRY");
    for (number, Span { id, first, last, .. }) in numbers.iter().zip(boots) {
        let _ = writeln!(text, "{number:>width$} {id} {} {}", shown(*first), shown(*last));
    }
    text
}

/// The table, or an object a line with journalctl's fields.
pub fn listed(boots: &[Span], format: Format) -> String {
    if format == Format::Text {
        return table(boots);
    }
    let mut text = String::new();
    for (Span { id, first, last, .. }, back) in boots.iter().zip((0..boots.len()).rev()) {
        let [first, last] = [first, last].map(|at| at.as_micros());
        let index = Boot::Back(back as u32);
        let _ =
            writeln!(text, "{{\"index\":{index},\"boot_id\":\"{id}\",\"first_entry\":{first},\"last_entry\":{last}}}");
    }
    text
}

/// `Tue 2023-11-14 22:13:20 UTC`.
fn shown(at: Timestamp) -> String {
    // 1 January 1970 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let day = at.as_seconds().div_euclid(86_400).rem_euclid(7);
    let day = usize::try_from(day).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or_default();
    let at = Zone::Utc.civil(at);
    let (year, month, date) = (at.year, at.month, at.day);
    format!("{day} {year:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", at.hour, at.minute, at.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boots(count: i64) -> Vec<Span> {
        let at = |n: i64| Timestamp::from_micros(1_700_000_000_000_000 + n * 86_400_000_000);
        let span = |n: i64| {
            let id = Id([n as u8; 16]);
            let start = Position { seqnum_id: id, seqnum: 1, realtime: 1, boot: id, monotonic: 1, xor_hash: 1 };
            Span { id, first: at(n), last: at(n + 1), began: at(n), start }
        };
        (0..count).map(span).collect()
    }

    #[test]
    fn a_table_grows_with_its_numbers() {
        let table = table(&boots(1001));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "  IDX BOOT ID                          FIRST ENTRY                 LAST ENTRY");
        let last = "    0 e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8 Mon 2026-08-10 22:13:20 UTC Tue 2026-08-11 22:13:20 UTC";
        assert_eq!((lines[1].split(' ').next(), lines[1001]), (Some("-1000"), last));
    }

    #[test]
    fn an_unknown_boot_is_told_which_there_are() {
        let words = |count| unknown("it", &Boot::Back(9), &boots(count)).chain();
        assert!(words(0).contains("empty"));
        assert!(words(1).contains("it knows one, 0, 0000"), "{}", words(1));
        assert!(words(3).ends_with(
            "0 to -2 or +1 to +3: 02020202020202020202020202020202, \
                                    01010101010101010101010101010101, 00000000000000000000000000000000"
        ));
        assert!(words(5).ends_with(", …"));
    }
}
