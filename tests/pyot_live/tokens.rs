//! Tokens of both sides (PY-T).

use serde_json::json;

use super::world::{Call, FOREVER, World, call};

pub fn tokens_are_the_same(world: &mut World) {
    let mut calls: Vec<(Call, String)> = Vec::new();
    // what Pyot's own objects ask for
    for made in world.python.must("of_models", json!({})).as_array().unwrap() {
        let [server, method, params, queries] = [0, 1, 2, 3].map(|part| made[0][part].as_str().unwrap().to_owned());
        calls.push((Call { server, method, params, queries }, made[1].as_str().unwrap().to_owned()));
    }
    assert_eq!(calls.len(), 7);
    // and what they would not
    let queries = [
        "{}",
        r#"{"queue": [420, 440], "beginTime": 1, "champion": null, "x": true, "f": 1.0, "e": 1e+20, "n": 1e-07}"#,
        r#"{"a b": "it's", "c": "both ' and \"", "d": {"e": []}}"#,
    ];
    let params = [
        r#"{"name": "it's \u200b\u00a0\u00ad é안日本\ud83d\ude00 \"x\" \\ \n\t\r\u0007"}"#,
        r#"{"name": "\ud83e\udee8 is of Unicode 15, \ud83e\uddcc of 14"}"#,
        r#"{"z": 1, "a": -0.0, "i": 123456789012345678901234567890}"#,
    ];
    for (params, queries) in params.iter().flat_map(|params| queries.iter().map(move |queries| (params, queries))) {
        let call = Call { queries: (*queries).to_owned(), ..call("match_v4_matchlist", params) };
        let value = world.python.must("value_of", json!({"call": call.json()}));
        calls.push((call, value.as_str().unwrap().to_owned()));
    }
    for (call, value) in &calls {
        assert_eq!(world.token(call), *value, "{call:?}");
    }
}

/// A player whose name has everything: the entry is under the same key, whoever writes it.
pub fn entries_with_odd_names_are_found(world: &mut World) {
    let odd = call(FOREVER, r#"{"name": "it's \u200b 안녕 \ud83e\udee8 \" 100% [*]?"}"#);
    world.set(&odd, "[1]");
    assert_eq!(world.python("get", &odd, None, None), json!(["list", "[1]"]), "{}", world.version);
    world.python("put", &odd, None, Some("[2]"));
    assert_eq!(world.get(&odd).unwrap().1, "[2]", "{}", world.version);
}
