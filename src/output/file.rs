//! A file in place of stdout: what was in it stays until there is something to put there.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// Opened at the first byte, so that a run that can't read anything leaves an older log as it is.
#[derive(Debug)]
pub struct Late {
    path: PathBuf,
    file: Option<File>,
}

impl Late {
    /// Looks whether it can be written; nothing is changed yet.
    pub fn new(path: PathBuf) -> io::Result<Late> {
        let file = match File::options().write(true).open(&path) {
            // Pipes and devices have nothing to keep, and a pipe whose other end is there stays open.
            Ok(file) => (!file.metadata()?.is_file()).then_some(file),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                if !folder.is_none_or(|folder| folder.is_dir()) {
                    return Err(why);
                }
                None
            }
            Err(why) => return Err(why),
        };
        Ok(Late { path, file })
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(File::create(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Write for Late {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open()?.write(bytes)
    }

    /// Of a file to which nothing was written nothing is left.
    fn flush(&mut self) -> io::Result<()> {
        self.open()?.flush()
    }
}
