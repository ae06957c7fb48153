//! Calls of a hub to its files that fail when a test wants them to: a small library, loaded before that of C.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, in C.
const SOURCE: &str = include_str!("failing.c");

/// Numbers in the shared page: kind, error, first, times, seen, hits.
const NUMBERS: usize = 6;

/// What fails: the kind of call as the library numbers it, and what the error is called; no error is a short write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) call: &'static str,
    kind: u32,
    pub(crate) error: &'static str,
    number: u32,
}

const fn failure(call: &'static str, kind: u32, error: &'static str, number: u32) -> Failure {
    Failure { call, kind, error, number }
}

/// What may go wrong with calls to files.
pub(crate) const FAILURES: [Failure; 19] = [
    failure("open", 1, "EMFILE", 24),
    failure("open", 1, "EIO", 5),
    failure("open", 1, "ENOSPC", 28),
    failure("write", 2, "EIO", 5),
    failure("write", 2, "ENOSPC", 28),
    failure("write", 2, "EINTR", 4),
    failure("write", 2, "half of it", 0),
    failure("fsync", 3, "EIO", 5),
    failure("fsync", 3, "ENOSPC", 28),
    failure("fsync", 3, "EINTR", 4),
    failure("rename", 4, "EIO", 5),
    failure("link", 5, "EIO", 5),
    failure("link", 5, "ENOSPC", 28),
    failure("unlink", 6, "EIO", 5),
    failure("ftruncate", 7, "EIO", 5),
    failure("ftruncate", 7, "ENOSPC", 28),
    failure("mkdir", 8, "ENOSPC", 28),
    failure("mkdir", 8, "EIO", 5),
    failure("read", 9, "EIO", 5),
];

/// The library, compiled, and the page it shares with this test.
pub(crate) struct Calls {
    directory: tempfile::TempDir,
    page: File,
}

impl Calls {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("failing.c");
        fs::write(&source, SOURCE).unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let library = directory.path().join("failing.so");
        let compiled = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .output();
        let compiled = compiled.unwrap_or_else(|error| {
            panic!("{compiler} cannot be run ({error}): install a C compiler (apt-get install -y gcc), or name it in CC")
        });
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let page = directory.path().join("page");
        let page = File::options().read(true).write(true).create_new(true).open(page).unwrap();
        page.write_all_at(&[0; 4 * NUMBERS], 0).unwrap();
        Self { directory, page }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The words before the command line of a hub whose calls to files below `data` are to fail.
    pub(crate) fn wrapper(&self, data: &Path) -> [String; 4] {
        [
            "env".to_owned(),
            format!("LD_PRELOAD={}", self.at("failing.so").display()),
            format!("PHASIC_TEST_CALLS={}", self.at("page").display()),
            format!("PHASIC_TEST_ROOT={}", data.display()),
        ]
    }

    /// A word more for the wrapper: what the hub writes, syncs and names is noted.
    pub(crate) fn noting(&self) -> String {
        format!("PHASIC_TEST_LOG={}", self.at("log").display())
    }

    /// What was noted so far: each line the deed, the path, and where to.
    pub(crate) fn noted(&self) -> Vec<[String; 3]> {
        let text = fs::read_to_string(self.at("log")).unwrap();
        let words = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            std::array::from_fn(|_| words.next().unwrap_or_default())
        };
        text.lines().map(words).collect()
    }

    /// From now on calls fail: so many of them, from the `first` on.
    pub(crate) fn fail(&self, failure: Failure, first: u32, times: u32) {
        let set = |place: u64, number: u32| self.page.write_all_at(&number.to_ne_bytes(), 4 * place).unwrap();
        set(0, 0);
        for (place, number) in (1..).zip([failure.number, first, times, 0, 0]) {
            set(place, number);
        }
        // The kind last: before it is said, nothing fails.
        set(0, failure.kind);
    }

    /// Nothing fails any more. Says how many calls of the kind there were, and how many have failed.
    pub(crate) fn stop(&self) -> (u32, u32) {
        self.page.write_all_at(&[0; 4], 0).unwrap();
        let mut page = [0; 4 * NUMBERS];
        self.page.read_exact_at(&mut page, 0).unwrap();
        let number = |place: usize| u32::from_ne_bytes(page[4 * place..4 * place + 4].try_into().unwrap());
        (number(4), number(5))
    }
}
