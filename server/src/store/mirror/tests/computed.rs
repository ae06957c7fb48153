//! What another hub had computed on demand is mirrored under the very ids this hub would give it.

use super::{pass_of, reconcile, with_upstreams};
use crate::store::tests::{ids, publication};
use crate::store::{Actor, Expired, Store};

const ID: &str = "computed-1";

async fn collect(store: &Store) -> Expired {
    store.expire_submissions(90, false, &Actor::Hub).await.unwrap()
}

#[tokio::test]
async fn what_another_hub_had_computed_does_not_go_with_results_of_this_one() {
    let (_directory, store) = with_upstreams(&["hub"]).await;
    let theirs = publication(ID, "theirs");
    reconcile(&store, &pass_of("hub", vec![theirs])).await.unwrap();
    assert_eq!(collect(&store).await, Expired::default());
    assert_eq!(ids(&store).await, [ID]);
    // What it stood for keeps its address, as all that is mirrored does.
    reconcile(&store, &pass_of("hub", vec![])).await.unwrap();
    assert_eq!(collect(&store).await, Expired::default());
    assert_eq!(store.snapshot().await.unwrap().former_versions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_hidden_by_a_result_of_this_hub_is_looked_for_at_once_when_that_goes() {
    let (_directory, store) = with_upstreams(&["hub"]).await;
    let entry = || publication(ID, "file");
    let row = async || store.upstream("hub").await.unwrap().unwrap();
    for by_collection in [true, false] {
        reconcile(&store, &pass_of("hub", vec![entry()])).await.unwrap();
        store.publish_computed(&[entry()], &[]).await.unwrap();
        assert_eq!((row().await.computes, row().await.must_read), (0, false));
        if by_collection {
            assert_eq!(collect(&store).await.computes, [entry().id]);
        } else {
            store.publish_computed(&[], &[entry().id]).await.unwrap();
        }
        assert!(ids(&store).await.is_empty());
        let upstream = row().await;
        assert!(upstream.must_read && upstream.due_seconds.is_none(), "{upstream:?}");
    }
    // Removing what is not this hub's removes nothing.
    reconcile(&store, &pass_of("hub", vec![entry()])).await.unwrap();
    store.publish_computed(&[], &[entry().id]).await.unwrap();
    assert_eq!(ids(&store).await, [ID]);
}
