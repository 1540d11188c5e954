use std::sync::Arc;

use tokio::time::Instant;

use super::Shares;

#[tokio::test]
async fn one_caller_has_its_share_and_leaves_the_rest_to_others() {
    let shares = Shares::new(2);
    let (one, other): (Arc<str>, Arc<str>) = (Arc::from("one"), Arc::from("other"));
    let hold = async |who: &Arc<str>| shares.of(who).unwrap().hold(Instant::now()).await;
    let first = hold(&one).await.unwrap();
    let second = hold(&one).await.unwrap();
    assert!(hold(&one).await.is_none());
    assert!(hold(&other).await.is_some());
    drop(first);
    assert!(hold(&one).await.is_some());
    drop(second);
    // Whoever has no question any more is not remembered.
    assert!(shares.of(&other).is_some());
    assert_eq!(shares.held.lock().unwrap().len(), 1);
    // Where access is open nobody is known, and all share all workers.
    assert!(shares.of(&Arc::from("")).is_none());
}
