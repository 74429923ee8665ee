//! What pipelines count, for people and for Prometheus.

use larder::store::{Exposition, Samples};
use larder::timeout::Ttl;

use crate::bed::{Bed, FACES, ONE, Own, TWO, usual};

#[test]
fn what_a_pipeline_has_seen_is_told() {
    for face in FACES {
        let bed = Bed::loading(&usual(), Own::text("x"));
        bed.get(face, ONE).unwrap();
        bed.get(face, ONE).unwrap();
        bed.put("file", TWO, "x", Ttl::Forever);
        bed.get(face, TWO).unwrap();
        bed.get(face, "lolna1spectator_v4_current_game{'id':_1}{}").unwrap();
        let mut exposition = Exposition::default();
        bed.pipeline.samples(&mut exposition);
        let text = exposition.text();
        for line in [
            "larder_pipelines{pipeline=\"LOL\"} 1",
            "larder_pipeline_loads_total{pipeline=\"LOL\"} 2",
            "larder_pipeline_misses_total{pipeline=\"LOL\"} 0",
            "larder_pipeline_hits_total{pipeline=\"LOL\",alias=\"memory\"} 1",
            "larder_pipeline_hits_total{pipeline=\"LOL\",alias=\"file\"} 1",
            "larder_pipeline_written_back_total{pipeline=\"LOL\",alias=\"memory\"} 1",
            // asked, and written to after the load
            "larder_pipeline_skipped_total{pipeline=\"LOL\",alias=\"memory\"} 2",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        // when the pipeline is closed, its counters stay
        let mut exposition = Exposition::default();
        bed.pipeline.remains().unwrap().samples(&mut exposition);
        assert!(!exposition.text().contains("larder_pipelines"));
        assert!(exposition.text().contains("larder_pipeline_loads_total{pipeline=\"LOL\"} 2"));
        let skipped: u64 = bed.pipeline.stores().map(|store| store.stats().skipped).sum();
        assert_eq!(skipped, 4);
    }
}
