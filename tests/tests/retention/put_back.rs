//! A stream that is restored from a backup. What is left of it is what it was, to the timestamps; but the server gives it the
//! instant at which it was restored, so that it is another log.

use alluvium::ReconcileReason;
use alluvium_e2e::{Backup, Proxy};

use crate::history::History;
use crate::scene::{Scene, Then, on_each};

async fn back_up(scene: &Scene) -> (Backup, History) {
    let client = scene.server.client().await;
    (Backup::take(&client, "KV_b").await, scene.history.clone())
}

async fn put_back(scene: &mut Scene, (backup, history): (Backup, History)) {
    let client = scene.server.client().await;
    scene.delete_stream().await;
    backup.put_back(&client, "KV_b").await;
    scene.holds(history);
}

async fn while_it_is_stopped(then: Then) {
    on_each(async |mut scene| {
        let follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        let backup = back_up(&scene).await;
        let end = scene.doomed(&follower).await;
        follower.stop().await;
        put_back(&mut scene, backup).await;
        scene.then(then, end).await;
        scene.find_at_a_start(ReconcileReason::LogReplaced).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_not_written_while_it_is_stopped() {
    while_it_is_stopped(Then::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_written_past_the_cursor_while_it_is_stopped() {
    while_it_is_stopped(Then::Past).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_written_over_the_cursor_while_it_is_stopped() {
    while_it_is_stopped(Then::PastAndOver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_not_written_while_it_runs() {
    on_each(async |mut scene| {
        let mut follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        let backup = back_up(&scene).await;
        scene.doomed(&follower).await;
        let before = scene.watch(&mut follower).await;
        put_back(&mut scene, backup).await;
        scene
            .find_with(follower, ReconcileReason::LogReplaced, &before)
            .await;
    })
    .await;
}

async fn while_it_is_cut_off(then: Then) {
    on_each(async |mut scene| {
        let proxy = Proxy::start(scene.server.port()).await;
        let mut follower = scene.follow(&proxy.url()).await;
        scene.begin(&follower).await;
        let backup = back_up(&scene).await;
        let end = scene.doomed(&follower).await;
        let before = scene.watch(&mut follower).await;
        proxy.refuse(true);
        proxy.cut();
        put_back(&mut scene, backup).await;
        scene.then(then, end).await;
        proxy.refuse(false);
        scene
            .find_with(follower, ReconcileReason::LogReplaced, &before)
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_written_past_the_cursor_while_it_is_cut_off() {
    while_it_is_cut_off(Then::Past).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_written_over_the_cursor_while_it_is_cut_off() {
    while_it_is_cut_off(Then::PastAndOver).await;
}
