//! What every [`BlobStore`] must do, one function per promise. A backend calls [`all`] with a way to make fresh
//! stores.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use phasic_hub_api::Sha256;

use std::time::Duration;

use super::{BlobError, BlobStore, ByteStream, Quarantined, Terms, in_memory};

const ANY: Terms = Terms { max_bytes: 1 << 20, sha256: None };

pub(super) async fn all<S: BlobStore>(fresh: impl Fn() -> S) {
    what_is_stored_is_given_back(&fresh()).await;
    the_empty_blob_is_a_blob(&fresh()).await;
    pieces_are_put_together(&fresh()).await;
    ranges_are_cut_to_the_blob(&fresh()).await;
    storing_twice_is_storing_once(&fresh()).await;
    what_was_never_stored_is_not_found(&fresh()).await;
    a_body_with_another_hash_is_refused(&fresh()).await;
    a_body_that_is_too_long_is_refused_without_reading_on(&fresh()).await;
    a_body_that_breaks_off_leaves_nothing(&fresh()).await;
    many_can_store_the_same_bytes_at_once(&fresh()).await;
    all_names_are_listed_in_order(&fresh()).await;
    what_is_checked_has_its_size_and_its_name(&fresh()).await;
    only_what_is_old_enough_expires(&fresh()).await;
    what_is_renewed_is_as_if_it_were_stored_again(&fresh()).await;
    nothing_is_in_quarantine_that_was_never_damaged(&fresh()).await;
}

/// What must be true of a damaged blob, whatever damaged it; backends damage one of their own and call this. `name` stood
/// for `whole`, and was damaged so that `damaged_bytes` are left of it; 0 says that nothing is.
pub(super) async fn a_damaged_blob_is_set_aside_until_it_is_stored_again<S: BlobStore>(
    store: &S,
    whole: &[u8],
    damaged_bytes: u64,
) {
    let name = Sha256::of(whole);
    let refused = store.check(name).await;
    assert!(matches!(refused, Err(BlobError::Damaged(bad)) if bad == name), "{refused:?}");
    assert_absent(store, name).await;
    let quarantined = store.quarantined().await.unwrap();
    assert_eq!(quarantined, [Quarantined { name, size_bytes: damaged_bytes }]);
    assert!(!store.names().await.unwrap().contains(&name));
    store.put(in_memory(whole.to_vec()), ANY).await.unwrap();
    assert_eq!(read(store, name, None).await, whole);
    assert_eq!(store.quarantined().await.unwrap().len(), 1, "kept for whoever wants to know why");
    assert!(store.discard(name).await.unwrap() && !store.discard(name).await.unwrap());
    assert_eq!(store.quarantined().await.unwrap(), []);
    assert_eq!(read(store, name, None).await, whole);
}

async fn nothing_is_in_quarantine_that_was_never_damaged(store: &impl BlobStore) {
    let name = store.put(in_memory("good"), ANY).await.unwrap().sha256;
    assert_eq!(store.quarantined().await.unwrap(), []);
    assert!(!store.discard(name).await.unwrap());
    assert_eq!(read(store, name, None).await, b"good");
}

async fn read(store: &impl BlobStore, name: Sha256, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let pieces: Vec<Bytes> = store.open(name, range).await.unwrap().body.try_collect().await.unwrap();
    pieces.concat()
}

async fn assert_absent(store: &impl BlobStore, name: Sha256) {
    assert_eq!(store.size_bytes(name).await.unwrap(), None);
    assert!(!store.sizes_bytes().await.unwrap().contains_key(&name));
    assert!(matches!(store.open(name, None).await, Err(BlobError::NotFound(missing)) if missing == name));
}

async fn what_is_stored_is_given_back(store: &impl BlobStore) {
    let bytes: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
    let blob = store.put(in_memory(bytes.clone()), ANY).await.unwrap();
    assert_eq!((blob.sha256, blob.size_bytes), (Sha256::of(&bytes), 200_000));
    assert_eq!(read(store, blob.sha256, None).await, bytes);
    assert_eq!(store.size_bytes(blob.sha256).await.unwrap(), Some(200_000));
    let other = store.put(in_memory("other"), ANY).await.unwrap();
    let sizes = store.sizes_bytes().await.unwrap();
    assert_eq!(sizes, [(blob.sha256, 200_000), (other.sha256, 5)].into());
    assert_eq!(store.open(blob.sha256, Some(5..7)).await.unwrap().size_bytes, 200_000);
}

async fn the_empty_blob_is_a_blob(store: &impl BlobStore) {
    let blob = store.put(Box::pin(stream::empty()), ANY).await.unwrap();
    assert_eq!((blob.sha256, blob.size_bytes), (Sha256::of(b""), 0));
    assert_eq!(read(store, blob.sha256, None).await, b"");
}

async fn pieces_are_put_together(store: &impl BlobStore) {
    let pieces = ["he", "", "ll", "o"].map(|piece| Ok(Bytes::from(piece)));
    let terms = Terms { max_bytes: 5, sha256: Some(Sha256::of(b"hello")) };
    store.put(Box::pin(stream::iter(pieces)), terms).await.unwrap();
    assert_eq!(read(store, Sha256::of(b"hello"), None).await, b"hello");
}

async fn ranges_are_cut_to_the_blob(store: &impl BlobStore) {
    let name = store.put(in_memory("0123456789"), ANY).await.unwrap().sha256;
    for (range, expected) in
        [(0..10, "0123456789"), (3..5, "34"), (8..99, "89"), (4..4, ""), (10..20, ""), (99..100, "")]
    {
        assert_eq!(read(store, name, Some(range)).await, expected.as_bytes());
    }
}

async fn storing_twice_is_storing_once(store: &impl BlobStore) {
    let first = store.put(in_memory("twice"), ANY).await.unwrap();
    assert_eq!(store.put(in_memory("twice"), ANY).await.unwrap(), first);
    assert_eq!(read(store, first.sha256, None).await, b"twice");
}

async fn what_was_never_stored_is_not_found(store: &impl BlobStore) {
    assert_absent(store, Sha256::of(b"never")).await;
}

async fn a_body_with_another_hash_is_refused(store: &impl BlobStore) {
    let expected = Sha256::of(b"right");
    let refused = store.put(in_memory("wrong"), Terms { sha256: Some(expected), ..ANY }).await;
    assert!(matches!(refused, Err(BlobError::WrongHash { found, .. }) if found == Sha256::of(b"wrong")));
    assert_absent(store, expected).await;
    assert_absent(store, Sha256::of(b"wrong")).await;
}

async fn a_body_that_is_too_long_is_refused_without_reading_on(store: &impl BlobStore) {
    // The stream never ends, so this answers only if reading stops at the limit.
    let endless: ByteStream = Box::pin(stream::repeat_with(|| Ok(Bytes::from_static(b"abcd"))));
    let refused = store.put(endless, Terms { max_bytes: 10, sha256: None }).await;
    assert!(matches!(refused, Err(BlobError::TooLarge { limit_bytes: 10 })));
    assert!(store.put(in_memory("0123456789"), Terms { max_bytes: 10, sha256: None }).await.is_ok());
}

async fn a_body_that_breaks_off_leaves_nothing(store: &impl BlobStore) {
    let broken = [Ok(Bytes::from("begun")), Err(std::io::Error::other("reset"))];
    let refused = store.put(Box::pin(stream::iter(broken)), ANY).await;
    assert!(matches!(refused, Err(BlobError::Body(_))));
    assert_absent(store, Sha256::of(b"begun")).await;
}

async fn many_can_store_the_same_bytes_at_once(store: &impl BlobStore) {
    let stored: Vec<_> = stream::iter(0..16)
        .map(|_| store.put(in_memory(vec![7; 100_000]), ANY))
        .buffer_unordered(16)
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(stored.len(), 16);
    assert_eq!(read(store, stored[0].sha256, None).await, vec![7; 100_000]);
}

async fn all_names_are_listed_in_order(store: &impl BlobStore) {
    assert_eq!(store.names().await.unwrap(), []);
    let mut stored = Vec::new();
    for text in ["one", "two", "three", "four"] {
        stored.push(store.put(in_memory(text), ANY).await.unwrap().sha256);
    }
    stored.sort_unstable();
    assert_eq!(store.names().await.unwrap(), stored);
}

async fn what_is_checked_has_its_size_and_its_name(store: &impl BlobStore) {
    let blob = store.put(in_memory("checked"), ANY).await.unwrap();
    assert_eq!(store.check(blob.sha256).await.unwrap(), 7);
    let never = Sha256::of(b"never");
    assert!(matches!(store.check(never).await, Err(BlobError::NotFound(missing)) if missing == never));
}

async fn only_what_is_old_enough_expires(store: &impl BlobStore) {
    let name = store.put(in_memory("old"), ANY).await.unwrap().sha256;
    assert_eq!(store.expire(name, Duration::from_hours(1), true).await.unwrap(), None, "young");
    assert_eq!(store.expire(name, Duration::ZERO, false).await.unwrap(), Some(3), "only looked at");
    assert_eq!(read(store, name, None).await, b"old");
    assert_eq!(store.expire(name, Duration::ZERO, true).await.unwrap(), Some(3));
    assert_absent(store, name).await;
    assert_eq!(store.expire(name, Duration::ZERO, true).await.unwrap(), None);
    store.put(in_memory("old"), ANY).await.unwrap();
    assert_eq!(read(store, name, None).await, b"old");
}

async fn what_is_renewed_is_as_if_it_were_stored_again(store: &impl BlobStore) {
    let name = Sha256::of(b"kept");
    let refused = store.renew(name).await;
    assert!(matches!(refused, Err(BlobError::NotFound(absent)) if absent == name), "{refused:?}");
    store.put(in_memory("kept"), ANY).await.unwrap();
    assert_eq!(store.renew(name).await.unwrap(), 4);
    assert_eq!(store.expire(name, Duration::from_hours(1), true).await.unwrap(), None);
    assert_eq!(read(store, name, None).await, b"kept");
}
