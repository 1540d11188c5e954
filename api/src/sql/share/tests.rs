use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Shares;

#[tokio::test]
async fn one_caller_has_its_share_and_leaves_the_rest_to_others() {
    let shares = Shares::new(2, 2);
    let (one, other): (Arc<str>, Arc<str>) = (Arc::from("one"), Arc::from("other"));
    let hold = async |who: &Arc<str>| shares.of(who).unwrap().hold(Instant::now()).await;
    let first = hold(&one).await.unwrap();
    let second = hold(&one).await.unwrap();
    assert!(hold(&one).await.is_none());
    assert!(hold(&other).await.is_some());
    drop(first);
    assert!(hold(&one).await.is_some());
    drop(second);
    // Whoever has no question any more is remembered only as long as he has spent more than came since.
    shares
        .of(&one)
        .unwrap()
        .allowance()
        .spend(Duration::from_secs(600), Instant::now());
    assert!(shares.of(&Arc::from("third")).is_some());
    let mut held: Vec<String> = shares
        .held
        .lock()
        .unwrap()
        .keys()
        .map(|who| (**who).to_owned())
        .collect();
    held.sort();
    assert_eq!(held, ["one", "third"]);
    // Where access is open nobody is known, and all share all workers.
    assert!(shares.of(&Arc::from("")).is_none());
}
