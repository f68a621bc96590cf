//! A stream that is deleted and made again under the same name.

use alluvium::{ReconcileReason, RestoreReason};

use crate::kind::{Kind, restore};
use crate::scene::{Scene, on_each, on_each_of};

/// What the new one comes to hold before anybody looks.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    Fewer,
    More,
}

async fn recreate(scene: &mut Scene, then: Then) {
    let end = scene.bucket.last().await;
    scene.delete_stream().await;
    scene.create_stream().await;
    match then {
        Then::Nothing => {}
        Then::Fewer => {
            scene.anew().await;
        }
        Then::More => {
            scene.anew().await;
            scene.up_to(end.next()).await;
            scene.anew().await;
        }
    }
}

async fn while_it_is_stopped(then: Then) {
    on_each(async |mut scene| {
        let follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        scene.doomed(&follower).await;
        follower.stop().await;
        recreate(&mut scene, then).await;
        scene.find_at_a_start(ReconcileReason::LogReplaced).await;
    })
    .await;
}

async fn while_it_runs(then: Then) {
    on_each(async |mut scene| {
        let mut follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        scene.doomed(&follower).await;
        let before = scene.watch(&mut follower).await;
        recreate(&mut scene, then).await;
        scene
            .find_with(follower, ReconcileReason::LogReplaced, &before)
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_fewer_messages_while_it_is_stopped() {
    while_it_is_stopped(Then::Fewer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_more_messages_while_it_is_stopped() {
    while_it_is_stopped(Then::More).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_message_while_it_runs() {
    while_it_runs(Then::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_fewer_messages_while_it_runs() {
    while_it_runs(Then::Fewer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_more_messages_while_it_runs() {
    while_it_runs(Then::More).await;
}

/// The artifact of the stream as it was is of no use. One of the stream as it is has all that the stream has evicted since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_goes_on_from_an_artifact_of_the_new_one() {
    on_each_of(&[Kind::Restorable], async |mut scene| {
        let mut follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        scene.doomed(&follower).await;
        let before = scene.watch(&mut follower).await;
        scene.delete_stream().await;
        scene.create_stream().await;
        follower.is_refused().await;
        assert_eq!(follower.rows(), before);
        let other = scene.elsewhere();
        let exporting = scene.follow_in(&other, &scene.server.url()).await;
        // Exports when it has followed what is evicted by then.
        scene.begin(&exporting).await;
        exporting.stop().await;
        let restored = restore(RestoreReason::LogReplaced);
        scene.ends_well(follower, &restored, &before).await;
    })
    .await;
}
