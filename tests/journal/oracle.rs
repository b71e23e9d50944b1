//! What journalctl printed, and what it prints where it is installed.

use kubelet_logs::journal::{AnyOf, Matches, Query};

use super::driver::{fixtures, read};

const VARIANTS: [&str; 6] =
    ["c0k00.journal", "c0k0LZ4.journal", "c0k0XZ.journal", "c0k1ZSTD.journal", "c1k0LZ4.journal", "c1k1ZSTD.journal"];

fn expected(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals").join(name);
    std::fs::read_to_string(path).expect("a fixture")
}

fn kubelet() -> Matches {
    Matches::all().and(AnyOf::unit("kubelet"))
}

#[test]
fn variants_of_the_format_read_alike() {
    let expected = expected("expected.short-precise.txt");
    for name in VARIANTS {
        let run = read(&fixtures(name), Query::new(kubelet()));
        assert_eq!((run.text(), &run.notices, run.end), (expected.clone(), &vec![], None), "{name}");
        eprintln!("{name}: {} rounds {} bytes", run.rounds, run.bytes);
        let run = read(&fixtures(name), Query::tail(kubelet(), 1000));
        assert_eq!((run.text(), &run.notices, run.end), (expected.clone(), &vec![], None), "{name}");
        eprintln!("{name}: {} rounds {} bytes", run.rounds, run.bytes);
    }
}
