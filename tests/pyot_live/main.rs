//! Entries between larder's pipeline and the real Pyot's, of versions 3 and 6, over the same stores: PY-S, PY-P, PY-E, PY-T.
//!
//! Each side makes its tokens itself, from the same model, server, method and fields.
#![cfg(all(feature = "redis", feature = "file", feature = "sqlite-system", feature = "diskcache", feature = "memory"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod expirations;
mod levels;
mod tokens;
mod values;
mod world;

use world::World;

fn everything(version: u32) {
    let world = &mut World::new(version);
    tokens::tokens_are_the_same(world);
    tokens::entries_with_odd_names_are_found(world);
    values::values_are_read_by_the_other(world);
    values::python_objects_are_written_back(world);
    values::pyots_objects_show_larders_entries(world);
    levels::both_ask_the_stores_in_the_same_order(world);
    levels::both_remove_and_see_all_that_is_there(world);
    expirations::the_tables_are_pyots(world);
    expirations::both_write_the_same_times(world);
    expirations::what_is_never_kept_is_never_read(world);
    expirations::a_none_is_a_miss(world);
    expirations::what_is_over_is_over_for_both(world);
    expirations::what_is_written_back_lives_for_what_is_left(world);
}

#[test]
fn with_version_3() {
    everything(3);
}

#[test]
fn with_version_6() {
    everything(6);
}
