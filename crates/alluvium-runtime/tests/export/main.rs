//! Exports with real parts: a table of an engine, a transport on an object store.

mod cancelled;
mod faults;
mod place;
mod watched;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use alluvium_core::artifact::{BaseReason, ExportPlan, ExportPolicy, Unfit};
use alluvium_core::{Binding, Mode, Scope, Sequence, Table as _, Transport as _};
use alluvium_object_store::LocalStore;
use alluvium_runtime::{ExportError, ExportOptions, ExportReport, Exported};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::place::{
    at, delete, exporter, exporter_with, fill, key, objects, put, rows_in, rows_of, table, transport,
    untracked_table,
};

#[track_caller]
fn published(exported: Exported) -> ExportReport {
    match exported {
        Exported::Published(report) => *report,
        other => panic!("not published: {other:?}"),
    }
}

fn delta(after: u64) -> ExportPlan {
    ExportPlan::Delta {
        keep: 1,
        after: Sequence::new(after),
        level: 0,
    }
}

/// A base, deltas, their fold, and a new base once they have outgrown the old one: each is the table as it is.
async fn base_deltas_fold_and_base_again(store: Arc<dyn ObjectStore>) {
    let (table, transport) = (table(), transport(store));
    fill(table.as_ref(), 0..2_000, 200);
    let options = ExportOptions::default().policy(ExportPolicy::default().fold(3));
    let exporter = exporter_with(&table, &transport, options);
    let base = published(exporter.export().await.unwrap());
    assert_eq!(base.plan, ExportPlan::Base(BaseReason::First));
    assert_eq!((base.rows, base.cursor()), (2_000, &at(2_000)));
    assert_eq!(
        rows_in(transport.as_ref(), &base.published.manifest).await,
        rows_of(table.as_ref())
    );

    let (mut levels, mut parent) = (Vec::new(), base.published.id);
    loop {
        let before = table.cursor().unwrap().sequence.get();
        put(table.as_ref(), "bulk.00000007", &format!("changed at {before}"));
        put(table.as_ref(), &format!("new.{before}"), "here");
        delete(table.as_ref(), &format!("bulk.{:08}", before - 1_950));
        let report = published(exporter.export().await.unwrap());
        let manifest = &report.published.manifest;
        assert_eq!(
            rows_in(transport.as_ref(), manifest).await,
            rows_of(table.as_ref())
        );
        assert_eq!(manifest.parent, Some(parent));
        parent = report.published.id;
        match report.plan {
            ExportPlan::Delta { level, after, .. } => {
                assert!(
                    level > 0 || (report.rows, after.get()) == (3, before),
                    "{report:?}"
                );
                levels.push(level);
            }
            plan => {
                assert_eq!(plan, ExportPlan::Base(BaseReason::Outgrown));
                assert_eq!(manifest.runs.len(), 1);
                break;
            }
        }
    }
    assert_eq!(levels[..8], [0, 0, 1, 0, 0, 1, 0, 0][..8], "{levels:?}");
    let history = transport.history(&key()).await.unwrap();
    assert_eq!(history.len(), levels.len() + 2);
}

#[tokio::test]
async fn every_export_is_the_table_as_it_is_in_memory() {
    base_deltas_fold_and_base_again(Arc::new(InMemory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_export_is_the_table_as_it_is_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    base_deltas_fold_and_base_again(Arc::new(LocalStore::open(directory.path()).unwrap())).await;
}

#[tokio::test]
async fn what_did_not_change_is_not_uploaded() {
    let store = Arc::new(InMemory::new());
    let (table, transport) = (table(), transport(store.clone()));
    put(table.as_ref(), "eu", "1");
    let exporter = exporter(&table, &transport);
    let first = published(exporter.export().await.unwrap());
    let before = objects(store.as_ref()).await;
    assert_eq!(
        exporter.export().await.unwrap(),
        Exported::Unchanged {
            newest: Box::new(first.published.manifest)
        }
    );
    assert_eq!(objects(store.as_ref()).await, before);
}

#[tokio::test]
async fn a_cursor_that_moved_alone_needs_no_pack() {
    let (table, transport) = (table(), transport(Arc::new(InMemory::new())));
    table.apply(&[], &at(5)).unwrap();
    let exporter = exporter(&table, &transport);
    let empty = published(exporter.export().await.unwrap());
    assert_eq!((empty.rows, empty.segments), (0, 0));
    table.apply(&[], &at(9)).unwrap();
    let moved = published(exporter.export().await.unwrap());
    assert_eq!(
        (moved.plan.clone(), moved.segments, moved.cursor()),
        (delta(5), 0, &at(9))
    );
    assert!(transport.packs(&key()).await.unwrap().is_empty());
    put(table.as_ref(), "eu", "1");
    let filled = published(exporter.export().await.unwrap());
    assert_eq!(
        rows_in(transport.as_ref(), &filled.published.manifest).await,
        rows_of(table.as_ref())
    );
}

#[tokio::test]
async fn an_artifact_tells_whether_its_table_or_one_before_it_saw_the_log_evict() {
    let (first, transport) = (table(), transport(Arc::new(InMemory::new())));
    let second = table();
    for table in [&first, &second] {
        put(table.as_ref(), "eu", "1");
    }
    let policy = ExportPolicy::default().deltas_percent(1_000);
    let export = async |table| {
        let options = ExportOptions::default().policy(policy);
        let report = published(exporter_with(table, &transport, options).export().await.unwrap());
        let is_delta = matches!(report.plan, ExportPlan::Delta { .. });
        (is_delta, report.published.manifest.has_evicted)
    };
    assert_eq!(export(&first).await, (false, false));
    first.remember_eviction().unwrap();
    for table in [&first, &second] {
        put(table.as_ref(), "us", "1");
    }
    assert_eq!(export(&first).await, (true, true));
    // What it shares is of a table that did.
    put(second.as_ref(), "ap", "1");
    assert!(!second.has_evicted());
    assert_eq!(export(&second).await, (true, true));
}

#[tokio::test]
async fn many_segments_come_in_order_and_progress_is_told_of_each() {
    let (table, transport) = (table(), transport(Arc::new(InMemory::new())));
    fill(table.as_ref(), 0..20_000, 100);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let options = ExportOptions::default()
        .segment_bytes(50_000)
        .on_progress(move |progress| tells.lock().unwrap().push(progress));
    let exporter = exporter_with(&table, &transport, options);
    let report = published(exporter.export().await.unwrap());
    assert!(report.segments > 40, "{report:?}");
    assert_eq!(
        rows_in(transport.as_ref(), &report.published.manifest).await,
        rows_of(table.as_ref())
    );
    let told = told.lock().unwrap();
    assert!(told.is_sorted_by_key(|progress| (progress.segments, progress.rows, progress.bytes)));
    assert_eq!(told.len() as u64, report.segments);
    let last = told.last().unwrap();
    assert_eq!((last.rows, last.bytes), (report.rows, report.bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_one_commit_while_others_are_applied() {
    let (table, transport) = (table(), transport(Arc::new(InMemory::new())));
    fill(table.as_ref(), 0..5_000, 100);
    let (over, writing) = (Arc::new(AtomicBool::new(false)), table.clone());
    let told = Arc::clone(&over);
    let writer = thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            // Every commit writes the same value into both.
            let cursor = at(writing.cursor().unwrap().sequence.get() + 2);
            let value = cursor.sequence.to_string();
            let both = [("one", at(cursor.sequence.get() - 1)), ("two", cursor.clone())]
                .map(|(key, at)| alluvium_core::Change::put(key, value.clone(), at.sequence, at.timestamp));
            writing.apply(&both, &cursor).unwrap();
        }
    });
    let exporter = exporter(&table, &transport);
    let (mut artifacts, mut deltas) = (0, 0);
    while artifacts < 20 {
        let Exported::Published(report) = exporter.export().await.unwrap() else {
            continue;
        };
        artifacts += 1;
        deltas += u32::from(matches!(report.plan, ExportPlan::Delta { .. }));
        let rows = rows_in(transport.as_ref(), &report.published.manifest).await;
        let value = |key: &str| {
            rows.iter()
                .find(|row| row.0 == key)
                .map(|row| row.1.value.clone())
        };
        let expected = (report.cursor().sequence.get() > 5_000).then(|| report.cursor().sequence.to_string());
        assert_eq!(value("one"), expected.map(Into::into));
        assert_eq!(value("one"), value("two"));
    }
    over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(deltas > 10, "{deltas}");
}

#[tokio::test]
async fn what_does_not_fit_into_memory_with_its_values_is_read_again_and_what_does_not_at_all_is_a_base() {
    let (table, transport) = (table(), transport(Arc::new(InMemory::new())));
    fill(table.as_ref(), 0..3_000, 500);
    published(exporter(&table, &transport).export().await.unwrap());
    fill(table.as_ref(), 100..200, 700);
    delete(table.as_ref(), "bulk.00000150");
    // Room for a hundred keys, and not for their values.
    let options = ExportOptions::default().delta_bytes(20_000);
    let again = published(exporter_with(&table, &transport, options).export().await.unwrap());
    assert_eq!((again.plan.clone(), again.rows), (delta(3_000), 100));
    assert_eq!(
        rows_in(transport.as_ref(), &again.published.manifest).await,
        rows_of(table.as_ref())
    );

    fill(table.as_ref(), 0..1_000, 10);
    let options = ExportOptions::default().delta_bytes(20_000);
    let base = published(exporter_with(&table, &transport, options).export().await.unwrap());
    assert_eq!(base.plan, ExportPlan::Base(BaseReason::Outgrown));
    assert_eq!(
        rows_in(transport.as_ref(), &base.published.manifest).await,
        rows_of(table.as_ref())
    );
}

#[tokio::test]
async fn a_table_that_does_not_know_what_changed_is_exported_whole() {
    let (table, transport) = (untracked_table(), transport(Arc::new(InMemory::new())));
    let exporter = exporter(&table, &transport);
    put(table.as_ref(), "eu", "1");
    published(exporter.export().await.unwrap());
    put(table.as_ref(), "eu", "2");
    let whole = published(exporter.export().await.unwrap());
    assert_eq!(whole.plan, ExportPlan::Base(BaseReason::NotTracked));
    put(table.as_ref(), "eu", "3");
    table.track_changes(true).unwrap();
    let whole = published(exporter.export().await.unwrap());
    assert_eq!(whole.plan, ExportPlan::Base(BaseReason::Trimmed));
    assert_eq!(
        rows_in(transport.as_ref(), &whole.published.manifest).await,
        rows_of(table.as_ref())
    );
}

#[tokio::test]
async fn who_is_behind_is_superseded_and_goes_on_from_there_when_it_is_not() {
    let transport = transport(Arc::new(InMemory::new()));
    let (ahead, behind) = (table(), table());
    for table in [&ahead, &behind] {
        put(table.as_ref(), "eu", "1");
    }
    put(ahead.as_ref(), "eu", "2");
    let newest = published(exporter(&ahead, &transport).export().await.unwrap());
    assert_eq!(
        exporter(&behind, &transport).export().await.unwrap(),
        Exported::SupersededByNewer {
            by: Box::new(newest.published.manifest)
        }
    );
    put(behind.as_ref(), "eu", "2");
    put(behind.as_ref(), "us", "1");
    let next = published(exporter(&behind, &transport).export().await.unwrap());
    assert_eq!(next.plan, delta(2));
    assert_eq!(
        rows_in(transport.as_ref(), &next.published.manifest).await,
        rows_of(behind.as_ref())
    );
}

#[tokio::test]
async fn of_many_at_the_same_cursor_one_publishes() {
    let transport = transport(Arc::new(InMemory::new()));
    let tables = [table(), table(), table()];
    for round in 0..5 {
        for table in &tables {
            put(table.as_ref(), "eu", &round.to_string());
        }
        let [one, two, three] = tables.each_ref().map(|table| exporter(table, &transport));
        let all = tokio::join!(one.export(), two.export(), three.export());
        let all = [all.0, all.1, all.2].map(Result::unwrap);
        assert_eq!(all.iter().filter_map(Exported::report).count(), 1, "{all:?}");
    }
    assert_eq!(transport.history(&key()).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_table_without_a_cursor_is_refused() {
    let (table, transport) = (table(), transport(Arc::new(InMemory::new())));
    let exporter = exporter(&table, &transport);
    let nothing = exporter.export().await.unwrap_err();
    assert!(matches!(nothing, ExportError::NoCursor { .. }), "{nothing:?}");
    put(table.as_ref(), "eu", "1");
    table.amend(&[]).unwrap();
    let in_repair = exporter.export().await.unwrap_err();
    assert!(matches!(in_repair, ExportError::NoCursor { .. }), "{in_repair:?}");
    assert!(transport.history(&key()).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_key_of_another_table_is_refused() {
    let transport = transport(Arc::new(InMemory::new()));
    let (all, some) = (table(), table());
    put(all.as_ref(), "eu", "1");
    published(exporter(&all, &transport).export().await.unwrap());
    let scope = Scope::of(["eu.>"]).unwrap();
    some.bind(&Binding {
        log: "KV_routes".to_owned(),
        scope,
        mode: Mode::default(),
    })
    .unwrap();
    put(some.as_ref(), "eu.west", "1");
    let error = exporter(&some, &transport).export().await.unwrap_err();
    assert!(
        matches!(
            &error,
            ExportError::Refused {
                source: Unfit::Scope { .. },
                ..
            }
        ),
        "{error:?}"
    );
    let archive = ExportOptions::default().mode(Mode::Archive);
    let error = exporter_with(&all, &transport, archive)
        .export()
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            ExportError::Refused {
                source: Unfit::Mode { .. },
                ..
            }
        ),
        "{error:?}"
    );
}
