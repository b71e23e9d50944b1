//! Which entries are wanted, in the terms journalctl makes of its options.

use super::Id;
use super::entry::Field;

/// journald's message id of a core dump.
const CORE_DUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";

/// The `MESSAGE_ID` of journald's own note that it dropped messages of a unit: `Suppressed 123 messages from …`.
pub const SUPPRESSED: &str = "a596d6fe7bfa4994828e72309e95d61e";

/// Entries that satisfy each of several conditions; all entries where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    conditions: Vec<AnyOf>,
}

/// A condition: one of its terms holds, each of which asks for all of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnyOf {
    terms: Vec<Vec<Vec<u8>>>,
}

impl Matches {
    /// All entries.
    pub fn all() -> Matches {
        Matches::default()
    }

    /// Asks for this besides.
    pub fn and(mut self, condition: AnyOf) -> Matches {
        self.conditions.push(condition);
        self
    }

    pub(super) fn conditions(&self) -> &[AnyOf] {
        &self.conditions
    }

    /// Whether an entry with these fields is wanted.
    pub fn accept(&self, fields: &[Field]) -> bool {
        let has = |value: &Vec<u8>| fields.iter().any(|field| field.bytes() == value);
        self.conditions.iter().all(|any| any.terms.iter().any(|all| all.iter().all(has)))
    }
}

impl AnyOf {
    /// What `journalctl -u` shows: the unit's own entries, and what systemd, core dumps and others say of it.
    ///
    /// `.service` is added to a name without a suffix.
    pub fn unit(name: &str) -> AnyOf {
        let unit = &*full_name(name);
        let own = AnyOf::terms(&[
            &[["_SYSTEMD_UNIT", unit]],
            &[["MESSAGE_ID", CORE_DUMP], ["_UID", "0"], ["COREDUMP_UNIT", unit]],
            &[["_UID", "0"], ["OBJECT_SYSTEMD_UNIT", unit]],
        ]);
        let own = own.or(AnyOf::systemd_about(unit));
        if unit.ends_with(".slice") { own.or(AnyOf::field("_SYSTEMD_SLICE", unit)) } else { own }
    }

    /// What systemd says of a unit, whose name has its suffix: as 257 selects it, and as earlier ones do.
    pub(super) fn systemd_about(unit: &str) -> AnyOf {
        AnyOf::terms(&[&[["_PID", "1"], ["UNIT", unit]], &[["_SYSTEMD_CGROUP", "/init.scope"], ["UNIT", unit]]])
    }

    /// What a program says of itself under this name: `SYSLOG_IDENTIFIER`.
    pub fn identifier(name: &str) -> AnyOf {
        AnyOf::field("SYSLOG_IDENTIFIER", name)
    }

    /// This syslog priority and the more urgent ones: 0 (emergency) to 7 (debug).
    pub fn priority(least: u8) -> AnyOf {
        (0..=least.min(7)).fold(AnyOf::default(), |any, level| any.or(AnyOf::field("PRIORITY", &level.to_string())))
    }

    /// Everything of a boot.
    pub fn boot(id: Id) -> AnyOf {
        AnyOf::field("_BOOT_ID", &id.to_string())
    }

    /// What the kernel says.
    pub fn kernel() -> AnyOf {
        AnyOf::field("_TRANSPORT", "kernel")
    }

    /// One run of a unit, and what systemd says of that run.
    pub fn invocation(id: Id) -> AnyOf {
        let id = &*id.to_string();
        AnyOf::terms(&[&[["_SYSTEMD_INVOCATION_ID", id]], &[["_PID", "1"], ["INVOCATION_ID", id]]])
    }

    /// What a process says of itself under this name in a boot, whichever unit it is in by then.
    pub fn process(identifier: &str, pid: &str, boot: Id) -> AnyOf {
        AnyOf::terms(&[&[["_PID", pid], ["SYSLOG_IDENTIFIER", identifier], ["_BOOT_ID", &boot.to_string()]]])
    }

    /// A field with exactly this value.
    pub fn field(name: &str, value: &str) -> AnyOf {
        AnyOf::terms(&[&[[name, value]]])
    }

    /// This or that.
    pub fn or(mut self, other: AnyOf) -> AnyOf {
        self.terms.extend(other.terms);
        self
    }

    /// Fields and their values, all of one of these lists.
    fn terms(terms: &[&[[&str; 2]]]) -> AnyOf {
        let term = |term: &&[[&str; 2]]| term.iter().map(|pair| pair.join("=").into_bytes()).collect();
        AnyOf { terms: terms.iter().map(term).collect() }
    }

    pub(super) fn all_terms(&self) -> &[Vec<Vec<u8>>] {
        &self.terms
    }
}

/// A unit's name with its suffix: `.service` where it has none.
pub fn full_name(unit: &str) -> String {
    if has_suffix(unit) { unit.to_owned() } else { format!("{unit}.service") }
}

/// Whether a unit's name says of which kind it is.
fn has_suffix(name: &str) -> bool {
    const KINDS: [&str; 11] =
        ["service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope"];
    name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && KINDS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn fields(texts: &[&'static str]) -> Vec<Field> {
        texts.iter().map(|text| Field::parse(Bytes::from_static(text.as_bytes()), false).unwrap()).collect()
    }

    #[test]
    fn a_unit_is_what_it_says_and_what_systemd_says_of_it() {
        let unit = Matches::all().and(AnyOf::unit("kubelet"));
        for (texts, wanted) in [
            (&["_SYSTEMD_UNIT=kubelet.service"][..], true),
            (&["_SYSTEMD_UNIT=kubelet"], false),
            (&["_PID=1", "UNIT=kubelet.service"], true),
            (&["_PID=2", "UNIT=kubelet.service"], false),
            (&["_SYSTEMD_CGROUP=/init.scope", "UNIT=kubelet.service"], true),
            (&["_UID=0", "OBJECT_SYSTEMD_UNIT=kubelet.service"], true),
            (&[], false),
        ] {
            assert_eq!(unit.accept(&fields(texts)), wanted, "{texts:?}");
        }
        assert!(Matches::all().and(AnyOf::unit("a.slice")).accept(&fields(&["_SYSTEMD_SLICE=a.slice"])));
        assert!(
            Matches::all()
                .and(AnyOf::unit("snap.kubelet.daemon"))
                .accept(&fields(&["_SYSTEMD_UNIT=snap.kubelet.daemon.service"]))
        );
    }

    #[test]
    fn conditions_add_up_and_terms_are_alternatives() {
        let matches = Matches::all().and(AnyOf::identifier("a").or(AnyOf::identifier("b"))).and(AnyOf::priority(3));
        assert!(matches.accept(&fields(&["SYSLOG_IDENTIFIER=b", "PRIORITY=0"])));
        assert!(!matches.accept(&fields(&["SYSLOG_IDENTIFIER=b", "PRIORITY=4"])));
        assert!(!matches.accept(&fields(&["PRIORITY=3"])));
        assert!(Matches::all().accept(&[]));
        assert!(!Matches::all().and(AnyOf::default()).accept(&[]));
    }
}
