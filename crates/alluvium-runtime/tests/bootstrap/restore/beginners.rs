//! Two archives of one log under one key, of which one began when the log had forgotten something.

use std::sync::Arc;

use alluvium_core::artifact::{BaseReason, ExportPlan};
use alluvium_core::{Mode, Sequence, Table};
use alluvium_runtime::{ExportError, ExportOptions, ExportReport, Exported, Exporter};

use super::{World, caught_up};
use crate::shelf::{content, key, new_table};

/// An archive that has seen everything, one that began later, and their log.
async fn two() -> (World, Arc<dyn Table>, Arc<dyn Table>) {
    let world = World::new(Mode::Archive);
    let (first, second) = (new_table(), new_table());
    world.follow(&first).await;
    world.log.put("a", "1");
    world.log.put("b", "1");
    world.follow(&first).await;
    world.log.evict_before(Sequence::new(2));
    world.follow(&second).await;
    assert_eq!(
        (content(first.as_ref()).len(), content(second.as_ref()).len()),
        (2, 1)
    );
    (world, first, second)
}

async fn export(world: &World, table: &Arc<dyn Table>) -> Result<ExportReport, ExportError> {
    let exporter = Exporter::new(
        Arc::clone(table),
        world.transport(),
        key(),
        ExportOptions::default(),
    );
    match exporter.export().await? {
        Exported::Published(report) => Ok(*report),
        other => panic!("not published: {other:?}"),
    }
}

/// Both follow one message more.
async fn go_on(world: &World, tables: [&Arc<dyn Table>; 2]) {
    world.log.put("c", "1");
    for table in tables {
        world.follow(table).await;
    }
}

#[tokio::test]
async fn one_that_began_later_exports_nothing_over_one_that_has_seen_more() {
    let (world, first, second) = two().await;
    export(&world, &first).await.unwrap();
    go_on(&world, [&first, &second]).await;
    let error = export(&world, &second).await.unwrap_err();
    assert!(matches!(error, ExportError::KeepsMore { .. }), "{error:?}");
    let report = export(&world, &first).await.unwrap();
    assert_eq!(report.published.manifest.since, Some(Sequence::ZERO));
}

#[tokio::test]
async fn one_that_has_seen_more_replaces_the_artifact_of_one_that_began_later() {
    let (world, first, second) = two().await;
    let report = export(&world, &second).await.unwrap();
    assert_eq!(report.published.manifest.since, Some(Sequence::new(2)));
    go_on(&world, [&first, &second]).await;
    let report = export(&world, &first).await.unwrap();
    assert_eq!(report.plan, ExportPlan::Base(BaseReason::SeenMore));
    assert_eq!(report.rows, 3);
}

/// What was restored has seen what its artifact had, no more and no less, and exports on.
#[tokio::test]
async fn one_that_is_restored_has_seen_what_its_artifact_had() {
    for early in [true, false] {
        let (world, first, second) = two().await;
        let of = if early { &first } else { &second };
        let since = export(&world, of).await.unwrap().published.manifest.since;
        world.log.put("c", "1");
        world.log.evict_before(Sequence::new(3));
        let third = new_table();
        let builder = world.with_artifacts(&third, world.transport());
        caught_up(builder.track_changes(true)).await;
        assert_eq!(third.since(), since, "of the earlier one: {early}");
        let report = export(&world, &third).await.unwrap();
        assert!(
            matches!(report.plan, ExportPlan::Delta { .. }),
            "{:?}",
            report.plan
        );
        assert_eq!(report.published.manifest.since, since);
    }
}

/// What a table began with and never came to read, it has not seen.
#[tokio::test]
async fn one_that_was_cut_short_before_its_first_message_begins_when_it_is_started_again() {
    let world = World::new(Mode::Archive);
    world.log.put("a", "1");
    let table = new_table();
    // As a start leaves it that was cut short.
    table.remember_eviction().unwrap();
    table.remember_since(Some(Sequence::new(1))).unwrap();
    world.log.put("b", "1");
    world.log.evict_before(Sequence::new(2));
    world.follow(&table).await;
    assert_eq!(table.since(), Some(Sequence::new(2)));
    world.log.put("c", "1");
    world.follow(&table).await;
    assert_eq!(table.since(), Some(Sequence::new(2)));
}
