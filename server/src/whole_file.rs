//! Files for people that appear under their name whole or not at all: backups and bundles.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// A new file that nobody else reads: there may be private computes in it, and digests of tokens.
///
/// # Errors
/// When it cannot be made, or is there already.
pub(crate) fn create_private(file: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Gives a written and synced file its name, in the same directory or below it, which survives a loss of power when this
/// returns. What stands there stays.
///
/// # Errors
/// When there is a file of this name, or the file system fails.
pub(crate) fn give_name(written: &Path, name: &Path) -> io::Result<()> {
    // A link, because a rename would replace what somebody has put there meanwhile.
    match fs::hard_link(written, name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links: only an empty file of our own is replaced.
            create_private(name)?;
            fs::rename(written, name).inspect_err(|_| drop(fs::remove_file(name)))?;
        }
        linked => linked?,
    }
    match name.parent() {
        Some(directory) if directory != Path::new("") => sync(directory),
        _ => sync(Path::new(".")),
    }
}

/// Has a directory on disk with the names in it.
///
/// # Errors
/// When the file system fails.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    // Directories cannot be opened, and need not be synced, on Windows.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::give_name;

    #[test]
    fn a_file_gets_its_name_and_never_that_of_another() {
        let place = tempfile::tempdir().unwrap();
        let [written, name, taken] = ["written", "name", "taken"].map(|name| place.path().join(name));
        fs::write(&written, "whole").unwrap();
        fs::write(&taken, "somebody's").unwrap();
        assert_eq!(give_name(&written, &taken).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&taken).unwrap(), b"somebody's");
        give_name(&written, &name).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"whole");
        // What cannot be linked at all, as where there are no links, is not left half done.
        assert!(give_name(&place.path().join("nothing"), &place.path().join("other")).is_err());
        assert!(!place.path().join("other").exists());
    }
}
