//! Where an identity provider's tokens are kept: in the kubeconfig that defined the user, which others read and write too.
//!
//! Two locks. Programs of this kind refresh one after another, each seeing the tokens of the one before it: an advisory
//! lock on the file's directory, which ends with its holder. The file itself is changed under client-go's lock, a file
//! beside it called `NAME.lock`, held for an instant, so that kubectl and we never overwrite each other. The new file takes
//! the old one's place in one step, so that readers, who lock nothing, find it whole at every moment.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::edit;
use super::kubeconfig::{self, MAX_FILE};
use super::read_file;
use crate::clock::Clock;
use crate::error::{Doing, Error, Kind, Result};
use crate::secret::Secret;

/// How long to wait for client-go's lock, which is held for a read and a write.
const LOCKED: Duration = Duration::from_secs(5);

/// The pause between two looks at a lock.
const LOOK: Duration = Duration::from_millis(10);

/// A user's place in a kubeconfig file.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    file: PathBuf,
    user: String,
}

/// What is kept there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) id: Option<Secret>,
    pub(crate) refresh: Option<Secret>,
}

/// Held while tokens are refreshed.
#[derive(Debug)]
pub(crate) struct Turn {
    _directory: Option<File>,
}

impl Store {
    /// `file` is the kubeconfig that holds `user`'s entry.
    pub(crate) fn new(file: PathBuf, user: String) -> Self {
        Store { file, user }
    }

    /// Waits until no other program of this kind refreshes tokens of this file, but not beyond `patience`, nor where the
    /// system can't tell.
    pub(crate) async fn turn(&self, patience: Duration, clock: &Clock) -> Turn {
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let Some(directory) = file.parent().and_then(|directory| File::open(directory).ok()) else {
            return Turn { _directory: None };
        };
        let waiting = async {
            while let Err(fs::TryLockError::WouldBlock) = directory.try_lock() {
                clock.sleep(LOOK).await;
            }
        };
        clock.within(Some(patience), waiting).await;
        Turn { _directory: Some(directory) }
    }

    /// The tokens as they stand there now.
    pub(crate) fn read(&self) -> Result<Tokens> {
        // A pipe gives what it has only once.
        if !fs::metadata(&self.file).is_ok_and(|file| file.is_file()) {
            return Err(Error::new(Kind::Failed, self.place()).because("it is no regular file"));
        }
        let bytes = read_file(&self.file, MAX_FILE).doing(Kind::Failed, || self.place())?;
        Ok(kubeconfig::tokens(&self.file, &bytes, &self.user)?.unwrap_or_default())
    }

    /// Puts `new` in the place of `old`. Where the refresh token is another than the old one by now, somebody logged in
    /// anew: that is left as it is.
    pub(crate) async fn save(&self, old: &Tokens, new: &Tokens, clock: &Clock) -> Result<()> {
        // client-go names the lock after the file as it was given; other names of the same file may be in use.
        let target = fs::canonicalize(&self.file).doing(Kind::Failed, || self.place())?;
        if !fs::metadata(&target).is_ok_and(|file| file.is_file()) {
            return Err(Error::new(Kind::Failed, self.place()).because("it is no regular file"));
        }
        let _target = self.lock(&target, clock).await?;
        let _given = match self.given()? {
            given if given == target => None,
            given => Some(self.lock(&given, clock).await?),
        };
        let before = read_file(&target, MAX_FILE).doing(Kind::Failed, || self.place())?;
        match kubeconfig::tokens(&self.file, &before, &self.user)? {
            Some(now) if now.refresh == old.refresh => {}
            _ => return Ok(()),
        }
        let mut fields = Vec::new();
        let mut field = |name, old: &Option<Secret>, new: &'_ Option<Secret>| {
            if let Some(value) = new
                && old.as_ref() != Some(value)
            {
                fields.push((name, value.clone()));
            }
        };
        field("id-token", &old.id, &new.id);
        field("refresh-token", &old.refresh, &new.refresh);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.expose().as_str())).collect();
        let text =
            kubeconfig::decode(&before).map_err(|why| Error::new(Kind::Failed, self.place()).because(why.what))?;
        let Some(text) = edit::put(&text, &self.user, &fields) else {
            let words =
                "the user entry is written in a way that can't be edited (several lines, or shared with others)";
            return Err(Error::new(Kind::Failed, self.place()).because(words));
        };
        replace(&target, &before, &kubeconfig::encode(&before, &text)).doing(Kind::Failed, || self.place())
    }

    /// The file's name as given, its directory resolved: another name than the file's own where it is a link.
    fn given(&self) -> Result<PathBuf> {
        let given = std::path::absolute(&self.file).doing(Kind::Failed, || self.place())?;
        match (given.parent().map(fs::canonicalize), given.file_name()) {
            (Some(Ok(directory)), Some(name)) => Ok(directory.join(name)),
            _ => Ok(given),
        }
    }

    /// Takes client-go's lock beside a name of the file.
    async fn lock(&self, name: &Path, clock: &Clock) -> Result<Lock> {
        let mut lock = name.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let taking = async {
            loop {
                match OpenOptions::new().write(true).create_new(true).open(&lock) {
                    Ok(_) => return Ok(Lock(lock.clone())),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => clock.sleep(LOOK).await,
                    Err(error) => {
                        return Err(Error::new(Kind::Failed, format!("making {}", lock.display())).because(error));
                    }
                }
            }
        };
        clock.within(Some(LOCKED), taking).await.unwrap_or_else(|| {
            Err(Error::new(Kind::Failed, format!("{} exists", lock.display()))
                .hint("another program is changing that kubeconfig; if none is, remove the lock file"))
        })
    }

    /// `kubeconfig FILE`.
    pub(crate) fn place(&self) -> String {
        format!("kubeconfig {}", self.file.display())
    }
}

/// client-go's lock, given back when dropped.
struct Lock(PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Replaces a file's content in one step, its owner and permissions kept.
fn replace(file: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, ResourceBusy};
    let open = OpenOptions::new().write(true).open(file)?;
    let metadata = open.metadata()?;
    if metadata.permissions().readonly() {
        return Err(io::Error::new(PermissionDenied, "it is read-only"));
    }
    let beside = Beside::of(file);
    let moved = match has_more(&open) {
        true => Err(io::Error::from(CrossesDevices)),
        false => beside.write(new, &metadata),
    };
    match moved.and_then(|()| fs::rename(&beside.0, file)) {
        // It can be written only where it is: mounted by itself, of another owner, under several names, with an access list.
        Err(error) if matches!(error.kind(), PermissionDenied | ResourceBusy | CrossesDevices) => {
            write_over(open, old, new)
        }
        done => done,
    }
}

/// Whether it has attributes that a new file would not have: an access list, say.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn has_more(file: &File) -> bool {
    // What systems give to every file.
    const USUAL: [&[u8]; 3] = [b"security.selinux", b"com.apple.provenance", b"com.apple.quarantine"];
    let mut names = [0; 1024];
    match rustix::fs::flistxattr(file, &mut names) {
        Ok(length) => names[..length].split(|byte| *byte == 0).any(|name| !name.is_empty() && !USUAL.contains(&name)),
        Err(error) => error == rustix::io::Errno::RANGE,
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn has_more(_: &File) -> bool {
    false
}

/// The new file until it has its name.
struct Beside(PathBuf);

impl Beside {
    /// One that nobody has, among those that a crash may have left: whoever changes the file holds its lock, so no other
    /// is in use.
    fn of(file: &Path) -> Self {
        let own = file.file_name().unwrap_or_default().to_string_lossy();
        let is_left = |name: &str| name.strip_prefix(&format!(".{own}.")).is_some_and(|rest| rest.ends_with(".new"));
        let beside = file.parent().and_then(|directory| fs::read_dir(directory).ok()).into_iter().flatten().flatten();
        for left in beside.filter(|entry| entry.file_name().to_str().is_some_and(is_left)) {
            let _ = fs::remove_file(left.path());
        }
        let random = BuildHasher::hash_one(&RandomState::new(), 0);
        Beside(file.with_file_name(format!(".{own}.{random:016x}.new")))
    }

    fn write(&self, content: &[u8], like: &fs::Metadata) -> io::Result<()> {
        let mut new = OpenOptions::new();
        new.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut new, 0o600);
        let mut new = new.open(&self.0)?;
        new.write_all(content)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            if like.nlink() > 1 {
                return Err(io::Error::new(io::ErrorKind::CrossesDevices, "the file has several names"));
            }
            let made = new.metadata()?;
            if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
                fchown(&new, Some(like.uid()), Some(like.gid()))?;
            }
        }
        new.set_permissions(like.permissions())?;
        new.sync_all()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes in place, as client-go does: in one call, and shortened only then, so that no reader finds an empty file. What
/// can't be written to its end is undone.
fn write_over(file: File, old: &[u8], new: &[u8]) -> io::Result<()> {
    let write = |content: &[u8]| {
        (&file).rewind()?;
        (&file).write_all(content)?;
        file.set_len(content.len() as u64)?;
        file.sync_all()
    };
    write(new).inspect_err(|_| {
        let _ = write(old);
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    const TEXT: &str =
        "# mine\nusers:\n- name: u\n  user: {auth-provider: {name: oidc, config: {id-token: i1, refresh-token: r1}}}\n";

    fn tokens(id: &str, refresh: &str) -> Tokens {
        Tokens { id: Some(id.into()), refresh: Some(refresh.into()) }
    }

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn store(file: &Path) -> Store {
        Store::new(file.to_owned(), "u".into())
    }

    fn save(file: &Path, old: &Tokens, new: &Tokens) -> Result<()> {
        block_on(store(file).save(old, new, &Clock::System))
    }

    fn expected() -> String {
        TEXT.replace("i1", "id-two").replace("r1", "refresh-two")
    }

    #[test]
    fn the_file_behind_a_link_is_replaced_with_its_permissions_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        let (real, link) = (dir.path().join("real/config"), dir.path().join("link"));
        for (name, mode) in [(&real, 0o640), (&link, 0o604)] {
            std::fs::write(&real, TEXT).unwrap();
            std::fs::set_permissions(&real, std::fs::Permissions::from_mode(mode)).unwrap();
            let _ = std::fs::remove_file(&link);
            symlink("real/config", &link).unwrap();
            let before = std::fs::metadata(&real).unwrap().ino();
            save(name, &tokens("i1", "r1"), &tokens("id-two", "refresh-two")).unwrap();
            assert_eq!(std::fs::read_to_string(&real).unwrap(), expected());
            let after = std::fs::metadata(&real).unwrap();
            assert_eq!(after.permissions().mode() & 0o777, mode);
            assert_ne!(after.ino(), before, "in one step, by a new file");
            assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(store(name).read().unwrap(), tokens("id-two", "refresh-two"));
        }
        let left = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
        assert_eq!((left(dir.path()), left(&dir.path().join("real"))), (2, 1));
    }

    #[test]
    fn what_a_crash_left_behind_stands_in_nobodys_way_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, TEXT).unwrap();
        let left = format!(".config.{}.new", std::process::id());
        for name in [left.as_str(), ".config.0123456789abcdef.new", ".config.bak", ".configs.1.new", "config.1.new"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        save(&file, &tokens("i1", "r1"), &tokens("id-two", "refresh-two")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected());
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".config.bak", ".configs.1.new", "config", "config.1.new"]);
    }

    #[test]
    fn a_file_with_several_names_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        std::fs::write(&one, format!("{TEXT}#{}\n", "x".repeat(100_000))).unwrap();
        std::fs::hard_link(&one, &two).unwrap();
        save(&one, &tokens("i1", "r1"), &tokens("id-two", "refresh-two")).unwrap();
        assert!(std::fs::read_to_string(&two).unwrap().starts_with(&expected()));
        save(&two, &tokens("id-two", "refresh-two"), &tokens("i1", "r1")).unwrap();
        assert!(
            std::fs::read_to_string(&one).unwrap().starts_with(&TEXT.replace("i1", "\"i1\"").replace("r1", "\"r1\""))
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_with_attributes_of_its_own_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, TEXT).unwrap();
        // Not every file system has them.
        if rustix::fs::setxattr(&file, "user.note", b"kept", rustix::fs::XattrFlags::empty()).is_ok() {
            save(&file, &tokens("i1", "r1"), &tokens("id-two", "refresh-two")).unwrap();
            let mut value = [0; 9];
            let length = rustix::fs::getxattr(&file, "user.note", &mut value).unwrap();
            assert_eq!((&value[..length], std::fs::read_to_string(&file).unwrap()), (&b"kept"[..], expected()));
        }
    }

    #[test]
    fn a_login_in_between_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, TEXT).unwrap();
        save(&file, &tokens("i0", "r0"), &tokens("id-two", "refresh-two")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
    }

    #[test]
    fn what_can_not_be_saved_is_told_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, TEXT).unwrap();
        let told = |file: &Path| save(file, &tokens("i1", "r1"), &tokens("id-two", "refresh-two")).unwrap_err().chain();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
        let chain = told(&file);
        assert!(chain.contains("read-only") || chain.contains("ermission denied"), "{chain}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
        std::fs::remove_file(&file).unwrap();
        let odd = TEXT
            .replace("{id-token: i1, refresh-token: r1}", "*x")
            .replace("# mine", "x: &x {id-token: i1, refresh-token: r1}");
        std::fs::write(&file, &odd).unwrap();
        assert!(told(&file).contains("can't be edited"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), odd);
        assert!(told(&dir.path().join("none")).contains("No such file"));
        assert!(told(Path::new("/dev/null")).contains("no regular file"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_lock_of_kubectl_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (file, lock) = (dir.path().join("config"), dir.path().join("config.lock"));
        std::fs::write(&file, TEXT).unwrap();
        std::fs::write(&lock, "").unwrap();
        block_on(async {
            let (store, old, new) = (store(&file), tokens("i1", "r1"), tokens("id-two", "refresh-two"));
            let mut saving = std::pin::pin!(store.save(&old, &new, &Clock::System));
            let unlock = async {
                // It has looked at least once by then, and seen the lock.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
                std::fs::remove_file(&lock).unwrap();
            };
            let (saved, ()) = tokio::join!(saving.as_mut(), unlock);
            saved.unwrap();
        });
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected());
        assert!(!lock.exists());
    }

    #[test]
    fn refreshing_is_done_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, TEXT).unwrap();
        block_on(async {
            let store = store(&file);
            let first = store.turn(LOCKED, &Clock::System).await;
            let mut second = std::pin::pin!(store.turn(LOCKED, &Clock::System));
            assert!(tokio::time::timeout(Duration::from_millis(30), second.as_mut()).await.is_err());
            drop(first);
            second.await;
        });
    }
}
