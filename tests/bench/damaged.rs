//! The most memory that reading a journal takes, whatever a node makes of its files: damaged at random, full of values that are
//! small only while they are packed, or of values that are large, whether they are printed or not.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::cluster::{Credential, Mode, Node, Setup};
use crate::measure::peak_alone;
use crate::mutate::{Random, mutate, objects};
use crate::peer::{Access, Peer};
use crate::report::{Bound, Figures, Held, Verdict};
use crate::support::journals::entries::{Entries, Filling, MIDNIGHT};
use crate::support::journals::{Variant, Writer, remote};
use crate::{Effort, access};

const NODE: &str = "node-1";
const FROM_NODE: [&str; 3] = [NODE, "--source", "journal"];
const MOST_MB: f64 = 64.0;
/// Read as they are by what was there: 260 and 1210 entries.
const ORIGINALS: [&str; 4] = ["c1k1ZSTD", "c0k0XZ", "c0k0LZ4", "c0k00"];
/// Length and number of values, and what they are: such as take next to nothing until they are unpacked, and such as do not.
const LARGE: [(usize, usize, Filling, &str); 5] = [
    (700_000, 300, Filling::Compressible, "packed values"),
    (5_000_000, 60, Filling::Compressible, "packed values"),
    (700_000, 150, Filling::Incompressible, "messages"),
    (700_000, 150, Filling::Aside, "other values"),
    (100_000, 1000, Filling::Aside, "other values"),
];
/// Ways to read them.
const PARTS: [(&str, &[&str]); 5] = [
    ("all", &["-u", "kubelet"]),
    ("the last 20", &["-u", "kubelet", "--tail", "20"]),
    ("all, -o jsonl", &["-u", "kubelet", "-o", "jsonl"]),
    ("the last 100, -o jsonl", &["-u", "kubelet", "--tail", "100", "-o", "jsonl"]),
    ("the last 100 about a pod", &["-u", "kubelet", "--for", "pod/default/web-1", "--tail", "100"]),
];
/// Of so many damaged files all are read where they are, and one through its node as well.
const ON_A_NODE: u64 = 10;
/// Ways to read.
const WAYS: [&[&str]; 3] =
    [&["-u", "kubelet"], &["--tail", "50"], &["--since", "2023-11-14 22:14:00", "--until", "2023-11-14 22:16:00"]];

/// Measures each build.
pub(crate) fn measure(peers: &[&Peer], effort: &Effort, folder: &Path, out: &mut impl Write) -> io::Result<Verdict> {
    let root = folder.join("log");
    let journal = root.join("journal/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&journal)?;
    let file = journal.join("system.journal");
    let originals: Vec<(Vec<u8>, Vec<usize>)> = ORIGINALS
        .iter()
        .map(|name| fixture(name).map(|bytes| (bytes.clone(), objects(&bytes))))
        .collect::<io::Result<_>>()?;
    let cluster = Setup::new(vec![Node::new(NODE, Mode::QUERY_OFF).files(&root)]).start();
    let access = access(&cluster, folder, Credential::Token)?;
    let title = "The most memory for a journal that is damaged or hostile".to_owned();
    let mut figures = Figures::new(title, &["peak MB", "told of"]);
    let mut peaks = vec![(0, 0); peers.len()];
    let here = file.to_string_lossy().into_owned();
    for nth in 0..effort.mutations {
        let mut random = Random(5_u64.wrapping_add(nth.wrapping_mul(0x1000_0001)));
        let (original, objects) = &originals[(nth % originals.len() as u64) as usize];
        let mut bytes = original.clone();
        mutate(&mut bytes, objects, &mut random);
        fs::write(&file, &bytes)?;
        for (peer, (most, told)) in peers.iter().zip(&mut peaks) {
            let way = WAYS[(nth / 4 % 3) as usize];
            let (peak, said) = read(peer, &access, &["--from", &here], way)?;
            *most = peak.max(*most);
            *told += usize::from(said.contains("damaged"));
            if nth % ON_A_NODE == 0 {
                *most = read(peer, &access, &FROM_NODE, way)?.0.max(*most);
            }
        }
    }
    for (peer, (most, told)) in peers.iter().zip(peaks) {
        let (count, through) = (effort.mutations, effort.mutations.div_ceil(ON_A_NODE));
        row(&mut figures, format!("{}: {count} damaged files, {through} through the node", peer.name), most, told);
    }
    fs::remove_file(&file)?;
    if let Some(program) = remote("a journal of large values") {
        for (length, count, filling, kind) in LARGE {
            let mut writer = Writer::start(program, &journal, Variant::NEW, 0)?;
            let mut entries = Entries::from(1, MIDNIGHT, 2000);
            for _ in 0..count {
                entries.write_long(length, filling, &mut writer.input())?;
            }
            writer.finish();
            for (words, args) in PARTS {
                for peer in peers {
                    let (most, _) = read(peer, &access, &FROM_NODE, args)?;
                    row(&mut figures, format!("{}: {count} {kind} of {length} bytes, {words}", peer.name), most, 0);
                }
            }
            for file in fs::read_dir(&journal)? {
                fs::remove_file(file?.path())?;
            }
        }
    }
    cluster.requests();
    figures.print(out)
}

fn row(figures: &mut Figures, name: String, most: u64, told: usize) {
    let megabytes = most as f64 / 1e6;
    let held = Held { unit: "MB", value: megabytes, most: MOST_MB, how: Bound::Must };
    figures.row(name, vec![format!("{megabytes:.1}"), told.to_string()], vec![held]);
}

/// Reads; a panic or a hang would be an error.
fn read(peer: &Peer, access: &Access, from: &[&str], args: &[&str]) -> io::Result<(u64, String)> {
    let args = [from, &["--timeout", "60s"], args].concat();
    let (peak, said) = peak_alone(&peer.run(access, &args))?;
    if said.contains("--timeout") {
        return Err(io::Error::other(format!("{} {}: {said}", peer.name, args.join(" "))));
    }
    Ok((peak, said))
}

fn fixture(name: &str) -> io::Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/journals/{name}.journal.gz"));
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path)?).read_to_end(&mut bytes)?;
    Ok(bytes)
}
