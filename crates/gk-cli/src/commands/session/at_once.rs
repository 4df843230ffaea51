//! Many calls at once, a few at a time.

use std::future::Future;

use tokio::task::JoinSet;

/// How many calls are under way together: many sessions end soon, and no control plane is flooded.
const TOGETHER: usize = 16;

/// What `task` makes of each item, in the order of the items.
pub(super) async fn at_once<I, T, F>(items: impl IntoIterator<Item = I>, task: impl Fn(I) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut waiting = items.into_iter().enumerate();
    let (mut running, mut done) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < TOGETHER
            && let Some((place, item)) = waiting.next()
        {
            let work = task(item);
            running.spawn(async move { (place, work.await) });
        }
        match running.join_next().await {
            Some(ended) => done.push(ended.expect("no task is stopped, and none panics")),
            None => break,
        }
    }
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, made)| made).collect()
}
