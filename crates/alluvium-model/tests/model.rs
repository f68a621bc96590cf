//! Goes through all that can happen, and through all that would without each guard.

use std::sync::atomic::Ordering;

use alluvium_core::Mode;
use alluvium_model::{Guard, INVARIANTS, Kind, Model, Trouble};
use stateright::{Checker as _, HasDiscoveries, Model as _};

/// Every model, the smallest first.
fn models() -> Vec<Model> {
    let mut models = vec![Model::of_exporters()];
    // What is of something else is that whatever happens.
    for (trouble, kind) in [
        (Trouble::None, Kind::Same),
        (Trouble::None, Kind::Narrower),
        (Trouble::None, Kind::OtherMode),
        (Trouble::Purged, Kind::Same),
        (Trouble::SwitchedOn, Kind::Same),
        (Trouble::SwitchedOff, Kind::Same),
        (Trouble::SwitchedOff, Kind::Narrower),
        (Trouble::SwitchedOff, Kind::OtherMode),
        (Trouble::Replaced, Kind::Same),
        (Trouble::TailLost, Kind::Same),
    ] {
        models.extend([Mode::Archive, Mode::Mirror].map(|mode| Model::new(mode, trouble, kind)));
    }
    models
}

#[test]
fn whatever_happens_the_table_comes_to_the_truth() {
    let (mut ways, mut states) = (0, 0);
    for model in models() {
        let (name, gone) = (model.to_string(), model.ways.clone());
        let checker = model.checker().spawn_bfs().join();
        println!("{name}: {} states", checker.unique_state_count());
        checker.assert_properties();
        states += checker.unique_state_count();
        ways |= gone.load(Ordering::Relaxed);
    }
    println!("{states} states");
    assert_eq!(ways, 0b1111, "every way is gone somewhere");
}

/// Of every guard, what happens without it.
#[test]
fn no_guard_can_be_spared() {
    let mut spared = Vec::new();
    for guard in Guard::ALL {
        match counterexample(guard) {
            Some(found) => println!("{guard:?}: {found}"),
            None => spared.push(guard),
        }
    }
    assert!(spared.is_empty(), "nothing comes of going without {spared:?}");
}

/// What goes wrong without a guard, in the model that is about it.
fn counterexample(guard: Guard) -> Option<String> {
    let model = model_about(guard);
    let name = model.to_string();
    let checker = model
        .without(guard)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found = checker.discoveries().into_iter();
    let (property, path) = found.find(|(property, _)| INVARIANTS.contains(property))?;
    let steps: Vec<String> = path
        .into_actions()
        .iter()
        .map(|action| format!("{action:?}"))
        .collect();
    Some(format!("{name}: not {property:?} after {}", steps.join(", ")))
}

fn model_about(guard: Guard) -> Model {
    let archive = |trouble| Model::new(Mode::Archive, trouble, Kind::Same);
    match guard {
        Guard::LogOfCursor | Guard::LogOfArtifact | Guard::LogWhileReading => archive(Trouble::Replaced),
        Guard::EndOfLog | Guard::MessageAtCursor | Guard::EndBeforeArtifact | Guard::MessageAtArtifact => {
            archive(Trouble::TailLost)
        }
        Guard::RowsWithoutCursor | Guard::VanishedRows => archive(Trouble::Purged),
        Guard::MemoryOfEvictions | Guard::MemoryOfArtifact | Guard::Remembering => {
            archive(Trouble::SwitchedOff)
        }
        Guard::RetentionOfLog | Guard::AskingBeforeSweeping => archive(Trouble::SwitchedOn),
        Guard::BeginningOfLog
        | Guard::ModeOfTable
        | Guard::BeginningAfterArtifact
        | Guard::OverrunWhileReading
        | Guard::DecidingBeforeLoading => archive(Trouble::None),
        Guard::ScopeOfArtifact => Model::new(Mode::Archive, Trouble::None, Kind::Narrower),
        Guard::ModeOfArtifact => Model::new(Mode::Archive, Trouble::None, Kind::OtherMode),
        Guard::EndWhileReading => Model::new(Mode::Mirror, Trouble::TailLost, Kind::Same),
        Guard::Forgetting | Guard::NoCursorWhileReconciling => {
            Model::new(Mode::Mirror, Trouble::None, Kind::Same)
        }
        Guard::ComparingThePointer
        | Guard::UploadingFirst
        | Guard::SparingTheNamed
        | Guard::SparingTheNew => Model::of_exporters(),
    }
}
