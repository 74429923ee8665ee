//! EXPIRATIONS: the tables of Pyot's models, and what stands there (PY-E).

use super::*;

/// PY-E1, PY-E6, PY-E7: pyot_live compares the tables with Pyot's own; here is how many there are.
#[test]
fn models_of_pyot_have_their_tables() {
    for (model, form, count, kept) in [
        (
            "lol",
            3,
            42,
            vec![
                "cdragon_champion_by_id",
                "cdragon_champion_summary",
                "cdragon_item_full",
                "cdragon_profile_icon_full",
                "cdragon_rune_full",
                "cdragon_spells_full",
                "meraki_champion_by_key",
                "meraki_item_by_id",
            ],
        ),
        ("TFT", 3, 17, vec!["cdragon_profile_icon_full", "cdragon_tft_full"]),
        ("Lor", 3, 8, vec!["ddragon_lor_set_data"]),
        ("val", 3, 9, vec![]),
        ("RIOT", 3, 3, vec![]),
        (
            "lol",
            6,
            45,
            vec![
                "cdragon_champion_by_id",
                "cdragon_champion_summary",
                "cdragon_item_full",
                "cdragon_profile_icon_full",
                "cdragon_rune_full",
                "cdragon_spells_full",
                "meraki_champion_by_key",
                "meraki_item_by_id",
            ],
        ),
        ("tft", 6, 17, vec!["cdragon_profile_icon_full", "cdragon_tft_full"]),
    ] {
        let (pipeline, warnings) = pipeline(model, &json!({"PYOT": form, "PIPELINE": [django(&json!({}))]}));
        let table = &pipeline.levels[0].expirations;
        assert_eq!(table.names().count(), count, "{model}");
        let seconds = Expiry::Seconds(if form == 3 { 10_800 } else { 1200 });
        let found: Vec<&str> = table.names().filter(|name| table.of(name) == Some(seconds)).collect();
        assert_eq!(found, kept, "{model}");
        let never = table.names().filter(|name| table.of(name) == Some(Expiry::Never)).count();
        assert_eq!(never, count - kept.len());
        for name in ["account_v1_by_puuid", "account_v1_by_riot_id", "account_v1_active_shard"] {
            assert_eq!(table.of(name), Some(Expiry::Never), "{model}"); // PY-E1
        }
        assert_eq!(table.of("of_no_model"), None); // PY-E5
        assert_eq!(warnings.is_empty(), !kept.is_empty(), "{model}: {warnings:?}"); // a store that keeps nothing
    }
    let (pipeline, _) = pipeline("riot", &json!([django(&json!({"EXPIRATIONS": {"account_v1_by_puuid": "1d"}}))]));
    let table = &pipeline.levels[0].expirations;
    assert_eq!(table.of("account_v1_by_puuid"), Some(Expiry::Seconds(86_400)));
    assert_eq!(
        store(&django(&json!({"EXPIRATIONS": {"status_v3_shard_data": 9}}))).expirations.of("status_v3_shard_data"),
        Some(Expiry::Seconds(9))
    );
    // so it is spelt in Pyot
    store(&django(&json!({"EXPIRATIONS": {"clash_v1_toutnaments_by_tournament_id": 1}})));
    // 2.7: the documentation says 3 h
    let (pipeline, _) = self::pipeline("VAL", &json!([django(&json!({}))]));
    assert_eq!(pipeline.levels[0].expirations.of("content_v1_contents"), Some(Expiry::Never));
}

/// PY-E2.
#[test]
fn unknown_endpoints_of_models_of_pyot() {
    let told = wrong(&django(&json!({"EXPIRATIONS": {"summoner_v4_by_nam": 1}})));
    assert!(
        told.starts_with(".EXPIRATIONS.summoner_v4_by_nam: is not an endpoint of lol in Pyot 3; did you mean summoner_v4_by_name? (\"*\""),
        "{told}"
    );
    let told = wrong(&django(&json!({"expirations": {"SUMMONER_V4_BY_NAME": 1}})));
    assert!(
        told.starts_with(".expirations.SUMMONER_V4_BY_NAME: is not") && told.contains("mean summoner_v4_by_name?"),
        "{told}"
    );
    let told = wrong(&django(&json!({"EXPIRATIONS": {"match_v5_match": 1}})));
    assert!(told.contains("in Pyot 3; Pyot 6 has it (\"PYOT\": 6)"), "{told}");
    let told = wrong(&django(&json!({"EXPIRATIONS": {"zzz": 1}})));
    assert!(told.starts_with(".EXPIRATIONS.zzz: is not an endpoint of lol in Pyot 3 (\"*\" stands for all"), "{told}");
    // PY-E5: in no table, though a model uses it
    let told = refused(&json!({"tft": [django(&json!({"EXPIRATIONS": {"third_party_code_v4_code": 1}}))]}));
    assert!(
        told.starts_with("PIPELINES.tft[0].EXPIRATIONS.third_party_code_v4_code: is not an endpoint of tft"),
        "{told}"
    );
    let six = json!({"LOL": {"PYOT": 6, "PIPELINE": [django(&json!({"EXPIRATIONS": {"match_v5_match": 1}}))]}});
    assert_eq!(open(&six).pipelines[0].levels[0].expirations.of("match_v5_match"), Some(Expiry::Seconds(1)));
    for wrong_type in [json!([]), json!(3), json!("3h"), json!(false)] {
        assert!(wrong(&django(&json!({ "EXPIRATIONS": wrong_type }))).starts_with(".EXPIRATIONS: must be an object"));
    }
    let null = store(&django(&json!({"EXPIRATIONS": null}))); // Python's None
    assert_eq!(null.expirations.names().count(), 42);
}

/// PY-E8.
#[test]
fn a_star_and_models_of_one_s_own() {
    let named = json!({"*": "1h", "match_v4_match": -1, "cdragon_item_full": 0});
    let level = store(&django(&json!({ "EXPIRATIONS": named })));
    let of = |name| level.expirations.of(name);
    assert_eq!((of("match_v4_match"), of("cdragon_item_full")), (Some(Expiry::Forever), Some(Expiry::Never)));
    // what the configuration does not name, whether Pyot's table has it or not
    for name in ["summoner_v4_by_name", "cdragon_rune_full", "match_v5_match", "*"] {
        assert_eq!(of(name), Some(Expiry::Seconds(3600)), "{name}");
    }
    assert!(level.expirations.names().all(|name| name != "*"));

    let (pipeline, warnings) = pipeline(
        "Chess",
        &json!([
            django(&json!({"EXPIRATIONS": {"Game": 5, "player": 0}})),
            django(&json!({"EXPIRATIONS": {"*": -1}})),
            django(&json!({})),
        ]),
    );
    let [first, second, third] = pipeline.levels.as_slice() else { panic!("{pipeline:?}") };
    assert_eq!(first.expirations.of("Game"), Some(Expiry::Seconds(5)));
    assert_eq!((first.expirations.of("game"), first.expirations.of("account_v1_by_puuid")), (None, None)); // PY-E5
    assert_eq!(second.expirations.of("anything"), Some(Expiry::Forever));
    assert_eq!((third.expirations.of("x"), third.expirations.names().count()), (None, 0));
    assert_eq!(
        warnings,
        ["PIPELINES.Chess[2].EXPIRATIONS: keeps nothing, so this store is never asked: no endpoint has a time to live"]
    );
}

/// PY-E3, PY-E4.
#[test]
fn times_to_live() {
    let year = 365 * 86_400;
    for (value, expiry) in [
        (json!(0), Expiry::Never),
        (json!(-1), Expiry::Forever),
        (json!("-1"), Expiry::Forever),
        (json!(60), Expiry::Seconds(60)),
        (json!("60"), Expiry::Seconds(60)),
        (json!(" +1_000 "), Expiry::Seconds(1000)),
        (json!("${SECONDS}"), Expiry::Seconds(120)),
        (json!(60.0), Expiry::Seconds(60)),
        (json!("3h"), Expiry::Seconds(10_800)),
        (json!("10m"), Expiry::Seconds(600)),
        (json!("1h30m"), Expiry::Seconds(5400)),
        (json!("365d"), Expiry::Seconds(year)),
        (json!("PT3H"), Expiry::Seconds(10_800)),
        (json!("P1DT1M"), Expiry::Seconds(86_460)),
        (json!("0s"), Expiry::Never),
        (json!(4_000_000_000_000_000_i64), Expiry::Seconds(4_000_000_000_000_000)),
    ] {
        let level = store(&django(&json!({"EXPIRATIONS": {"match_v4_match": value}})));
        assert_eq!(level.expirations.of("match_v4_match"), Some(expiry), "{value}");
    }
    // As Python's int() and timedelta have it, but not without a word.
    for (value, expiry, told) in [
        (json!(0.9), Expiry::Never, "0.9 counts as 0, neither read nor stored, as in Pyot"),
        (json!(-1.5), Expiry::Forever, "-1.5 counts as -1, for ever, as in Pyot"),
        (json!(12.9), Expiry::Seconds(12), "12.9 counts as 12, as in Pyot"),
        (json!(true), Expiry::Seconds(1), "true counts as 1, as in Pyot"),
        (json!("0.5s"), Expiry::Never, "\"0.5s\" counts as 0, neither read nor stored, as in Pyot"),
        (json!("PT1.5S"), Expiry::Seconds(1), "\"PT1.5S\" counts as 1, as in Pyot"),
    ] {
        let (pipeline, warnings) =
            pipeline("LOL", &json!([django(&json!({"EXPIRATIONS": {"match_v4_match": value}}))]));
        assert_eq!(pipeline.levels[0].expirations.of("match_v4_match"), Some(expiry), "{value}");
        assert_eq!(warnings, [format!("PIPELINES.LOL[0].EXPIRATIONS.match_v4_match: {told}")]);
    }
    for (value, reason) in [
        (json!(-2), "is less than -1: -1 is for ever"), // PY-E4
        (json!("-60"), "is less than -1"),
        (json!(-2.5), "is less than -1"),
        (json!(i64::MIN), "is less than -1"),
        (json!(i64::MAX), "is longer than 146 million years; -1 is for ever"),
        (json!(1e300), "is longer than 146 million years"),
        (json!("999999999999999999w"), "is longer than 146 million years"),
        (json!(null), "must be a number of seconds, 0 (neither read nor stored), -1 (for ever) or a duration such as"),
        (json!([60]), "must be a number of seconds"),
        (json!({"hours": 3}), "must be a number of seconds"),
        (json!(""), "must be a number of seconds"),
        (json!("0.9"), "must be a number of seconds"), // int("0.9") is an error in Python
        (json!("-PT1S"), "must be a number of seconds"),
        (json!("3 hours"), "must be a number of seconds"),
        (json!("P1M"), "must be a number of seconds"),
        (json!("9".repeat(100_000)), "must be a number of seconds"),
    ] {
        for name in ["match_v4_match", "*"] {
            let told = wrong(&django(&json!({"EXPIRATIONS": {name: value}})));
            assert!(told.starts_with(".EXPIRATIONS") && told.contains(&format!(": {reason}")), "{told}");
        }
    }
}
