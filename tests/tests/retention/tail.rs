//! A server that is killed with its last writes lost: its files are those of an earlier moment.

use std::fs;
use std::path::Path;

use alluvium::ReconcileReason;
use alluvium_e2e::Proxy;
use tempfile::TempDir;

use crate::history::History;
use crate::scene::{Scene, Then, on_each};

/// The server's files, and what they hold.
struct Files(TempDir, History);

/// The server is gone for a moment.
async fn copy(scene: &mut Scene) -> Files {
    let copy = tempfile::tempdir().unwrap();
    scene.server.kill().await;
    copy_tree(&scene.server.store_dir(), copy.path());
    scene.server.restart().await;
    Files(copy, scene.history.clone())
}

async fn lose(scene: &mut Scene, Files(copy, history): Files) {
    scene.server.kill().await;
    fs::remove_dir_all(scene.server.store_dir()).unwrap();
    copy_tree(copy.path(), &scene.server.store_dir());
    scene.server.restart().await;
    scene.holds(history);
}

async fn while_it_is_stopped(then: Then, cause: ReconcileReason) {
    on_each(async |mut scene| {
        let follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        let copy = copy(&mut scene).await;
        let end = scene.doomed(&follower).await;
        follower.stop().await;
        lose(&mut scene, copy).await;
        scene.then(then, end).await;
        scene.find_at_a_start(cause).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_not_written_while_it_is_stopped() {
    while_it_is_stopped(Then::Nothing, ReconcileReason::TailLost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_written_past_the_cursor_while_it_is_stopped() {
    while_it_is_stopped(Then::Past, ReconcileReason::HistoryChanged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_written_over_the_cursor_while_it_is_stopped() {
    while_it_is_stopped(Then::PastAndOver, ReconcileReason::HistoryChanged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_not_written_while_it_runs() {
    on_each(async |mut scene| {
        let mut follower = scene.follow(&scene.server.url()).await;
        scene.begin(&follower).await;
        let copy = copy(&mut scene).await;
        scene.doomed(&follower).await;
        let before = scene.watch(&mut follower).await;
        lose(&mut scene, copy).await;
        scene
            .find_with(follower, ReconcileReason::TailLost, &before)
            .await;
    })
    .await;
}

async fn before_it_is_connected_again(then: Then) {
    on_each(async |mut scene| {
        let proxy = Proxy::start(scene.server.port()).await;
        let mut follower = scene.follow(&proxy.url()).await;
        scene.begin(&follower).await;
        let copy = copy(&mut scene).await;
        let end = scene.doomed(&follower).await;
        let before = scene.watch(&mut follower).await;
        proxy.refuse(true);
        lose(&mut scene, copy).await;
        scene.then(then, end).await;
        proxy.refuse(false);
        scene
            .find_with(follower, ReconcileReason::HistoryChanged, &before)
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_written_past_the_cursor_before_it_is_connected_again() {
    before_it_is_connected_again(Then::Past).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_written_over_the_cursor_before_it_is_connected_again() {
    before_it_is_connected_again(Then::PastAndOver).await;
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
