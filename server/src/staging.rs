//! Where backups and bundles are made before they get their names: a directory beside them that nobody else reads, because
//! there may be private computes in it, and digests of tokens.

use std::fs::{self, DirBuilder, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Name of the lock that stands for a directory in use.
const LOCK: &str = "lock";

/// The name it has before it is locked, so that nobody takes its directory for one of a dead process.
const UNLOCKED: &str = "lock.new";

/// What has no lock is being made at this moment, or was left by a version that took none: then it is older than this.
const YOUNG: Duration = Duration::from_hours(1);

/// A directory of its own. It goes with all that is in it when the value is dropped; what a process has left that was killed
/// goes with the next one in the same place.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    /// Held, never read, until the directory goes.
    lock: Option<File>,
}

impl Staging {
    /// A directory beside a file of a kind that is about to be made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn beside(file: &Path, kind: &str) -> io::Result<Self> {
        let place = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let prefix = format!(".phasic-hub-{kind}-");
        sweep(place, &prefix);
        // By chance: in two containers processes have the same id.
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = place.join(format!("{prefix}{:016x}", u64::from_le_bytes(random)));
        create(&path)?;
        match lock(&path) {
            Ok(lock) => Ok(Self { path, lock: Some(lock) }),
            Err(error) => {
                // The error says more than whatever keeps an empty directory from being removed.
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it. That it is gone already is no error.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.clear()
    }

    /// Removes everything but the lock while that is held, then closes it, and removes the rest: a network file system keeps
    /// an open file under another name, and its directory with it. Who sees that nobody holds the lock may be quicker.
    fn clear(&mut self) -> io::Result<()> {
        let Some(lock) = self.lock.take() else { return Ok(()) };
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name() != LOCK {
                // What stays is tried once more below, where it is said why.
                let _ = remove_entry(&entry);
            }
        }
        drop(lock);
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Failing is harmless: the next one sweeps.
        let _ = self.clear();
    }
}

fn create(path: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes elsewhere"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn lock(directory: &Path) -> io::Result<File> {
    let file = File::create_new(directory.join(UNLOCKED))?;
    file.lock()?;
    fs::rename(directory.join(UNLOCKED), directory.join(LOCK))?;
    Ok(file)
}

/// Removes what dead processes have left; what cannot be removed may be somebody else's.
fn sweep(place: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(prefix);
        if !is_ours || !is_dead(&entry).unwrap_or(false) {
            continue;
        }
        let (path, removed) = (entry.path(), remove_entry(&entry));
        let path = path.display();
        if let Err(error) = removed {
            tracing::warn!(%path, %error, "cannot remove what a process has left");
        } else {
            tracing::info!(%path, "removed what a process had left that was killed");
        }
    }
}

fn remove_entry(entry: &DirEntry) -> io::Result<()> {
    let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
    if is_directory { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

fn is_dead(entry: &DirEntry) -> io::Result<bool> {
    let lock = entry.path().join(LOCK);
    if let Ok(found) = fs::symlink_metadata(&lock) {
        // For writing: network file systems lock nothing else.
        return Ok(found.is_file() && File::options().write(true).open(&lock)?.try_lock().is_ok());
    }
    let modified = fs::symlink_metadata(entry.path())?.modified()?;
    Ok(SystemTime::now().duration_since(modified).is_ok_and(|age| age > YOUNG))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::{LOCK, Staging};

    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn make_old(path: &Path) {
        File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
    }

    #[test]
    fn two_in_one_place_leave_each_other_alone_and_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("backup.tar");
        let one = Staging::beside(&file, "backup").unwrap();
        fs::write(one.path().join("half"), "written").unwrap();
        let other = Staging::beside(&file, "backup").unwrap();
        assert_ne!(one.path(), other.path());
        assert_eq!(fs::read(one.path().join("half")).unwrap(), b"written");
        other.remove().unwrap();
        drop(one);
        assert!(names(place.path()).is_empty());
    }

    #[test]
    fn what_is_gone_already_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let staging = Staging::beside(&place.path().join("backup.tar"), "backup").unwrap();
        fs::create_dir(staging.path().join("half")).unwrap();
        fs::remove_dir_all(staging.path()).unwrap();
        staging.remove().unwrap();
        assert!(names(place.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_looks_into_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let staging = Staging::beside(&place.path().join("backup.tar"), "backup").unwrap();
        assert_eq!(fs::metadata(staging.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_dead_processes_have_left_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in [".phasic-hub-backup-dead", ".phasic-hub-backup-7", ".phasic-hub-backup-8", "backups"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("hub.db"), "copy").unwrap();
        }
        fs::write(at(".phasic-hub-backup-dead").join(LOCK), "").unwrap();
        fs::write(at(".phasic-hub-backup-9"), "a file").unwrap();
        fs::write(at(".phasic-hub-bundle-9"), "of another kind").unwrap();
        // Of versions that took no lock, and of one that begins at this moment.
        for name in [".phasic-hub-backup-7", ".phasic-hub-backup-9", ".phasic-hub-bundle-9", "backups"] {
            make_old(&at(name));
        }
        drop(Staging::beside(&at("backup.tar"), "backup").unwrap());
        assert_eq!(names(place.path()), [".phasic-hub-backup-8", ".phasic-hub-bundle-9", "backups"]);
    }
}
