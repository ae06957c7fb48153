use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use phasic_engine::graph::GraphHash;

use super::{ArtifactCache, CacheError, NewEntry, StagedFile};

fn hash(digit: char) -> GraphHash {
    digit.to_string().repeat(64).parse().unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn entry<'a>(program: &'a [u8], components: &'a [(GraphHash, Vec<u8>)]) -> NewEntry<'a> {
    NewEntry { hash: hash('a'), program, components }
}

#[test]
fn an_installed_entry_lies_where_phasic_looks_for_it() {
    let root = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::at(root.path().join("made/on/demand"));
    assert_eq!(cache.read_program(&hash('a')).unwrap(), None);
    let components = [(hash('b'), b"component".to_vec())];
    let path = cache.install(&entry(b"program", &components)).unwrap();
    let folder = cache.root().join("parameterized_reward_compute");
    assert_eq!(path, folder.join(format!("{}.bin", "a".repeat(64))));
    assert_eq!(cache.read_program(&hash('a')).unwrap().unwrap(), b"program");
    let expected = [format!("{}.bin", "a".repeat(64)), format!("scc_{}.bin", "b".repeat(64))];
    assert_eq!(names(&folder), BTreeSet::from(expected));
    assert_eq!(std::fs::read(cache.component_path(&hash('b'))).unwrap(), b"component");
}

#[test]
fn a_failed_install_leaves_the_old_entry_and_no_temporary_files() {
    let root = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::at(root.path());
    cache.install(&entry(b"old", &[])).unwrap();
    // A folder in the place of a component makes its rename fail, before the program is touched.
    std::fs::create_dir(cache.component_path(&hash('b'))).unwrap();
    let components = [(hash('b'), b"component".to_vec())];
    let error = cache.install(&entry(b"new", &components)).unwrap_err();
    assert!(error.to_string().contains("PHASIC_CACHE_DIR"), "{error}");
    assert_eq!(cache.read_program(&hash('a')).unwrap().unwrap(), b"old");
    let folder = root.path().join("parameterized_reward_compute");
    assert_eq!(names(&folder).len(), 2, "{:?}", names(&folder));
}

#[test]
fn readers_see_one_of_two_whole_files_while_writers_compete() {
    let root = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::at(root.path());
    let contents = [vec![b'x'; 100_000], vec![b'y'; 50_000]];
    cache.install(&entry(&contents[0], &[])).unwrap();
    std::thread::scope(|scope| {
        for content in &contents {
            scope.spawn(|| (0..50).for_each(|_| drop(cache.install(&entry(content, &[])).unwrap())));
        }
        scope.spawn(|| {
            for _ in 0..200 {
                let seen = cache.read_program(&hash('a')).unwrap().unwrap();
                assert!(contents.contains(&seen), "a torn file of {} bytes", seen.len());
            }
        });
    });
    assert_eq!(names(&root.path().join("parameterized_reward_compute")).len(), 1);
}

#[tokio::test]
async fn a_second_process_waits_for_the_lock_and_gives_up_with_advice() {
    let root = tempfile::tempdir().unwrap();
    let cache = ArtifactCache::at(root.path()).with_lock_timeout(Duration::from_millis(60));
    let held = cache.lock(&hash('a')).await.unwrap();
    let started = Instant::now();
    let error = cache.lock(&hash('a')).await.unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert!(matches!(error, CacheError::Locked { .. }));
    assert!(error.to_string().contains("PHASIC_HUB_LOCK_TIMEOUT"), "{error}");
    // Other entries are not concerned.
    drop(cache.lock(&hash('b')).await.unwrap());
    drop(held);
    let held = cache.lock(&hash('a')).await.unwrap();
    assert!(matches!(cache.lock(&hash('a')).await, Err(CacheError::Locked { .. })));
    drop(held);
}

#[test]
fn a_dropped_staged_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(StagedFile::create(&folder.path().join("x")).unwrap());
    assert!(names(folder.path()).is_empty());
    assert!(StagedFile::create(Path::new("/")).is_err());
}

#[test]
fn only_old_temporary_files_of_ours_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str, age_hours: u64| {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600 * age_hours)).unwrap();
    };
    place(".x.bin.phasic-hub-tmp.1.0.0", 25);
    place(".y.bin.phasic-hub-tmp.1.0.0", 1);
    place("z.bin.tmp.77", 500);
    place("z.bin", 500);
    super::staged::sweep(folder.path());
    let kept = [".y.bin.phasic-hub-tmp.1.0.0", "z.bin.tmp.77", "z.bin"].map(str::to_owned);
    assert_eq!(names(folder.path()), BTreeSet::from(kept));
}
