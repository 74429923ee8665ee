"""Makes tests/tokens/pyot_6.json: tokens by the real package, whose token module needs nothing else.

    pip download --no-deps pyot==6.0.9 && unzip pyot-6.0.9-py3-none-any.whl
    python3.11 tests/tokens/pyot_6.py pyot/pipeline/token.py > tests/tokens/pyot_6.json
"""

import importlib.util
import json
import sys
import unicodedata

CASES = [
    ("lol", "na1", "summoner_v4_by_name", '{"name": "Hide on bush"}', "{}"),
    ("lol", "kr", "summoner_v4_by_name", '{"name": "페이커vq"}', "{}"),
    ("lol", "euw1", "match_v4_match", '{"id": 2066851184}', "{}"),
    ("lol", "europe", "match_v5_matches", '{"puuid": "3c3hj-_x"}', '{"count": 20, "queue": 420, "type": "ranked"}'),
    ("lol", "euw1", "match_v4_matchlist", '{"account_id": "p_n"}', '{"champion": [13, 148], "queue": [420]}'),
    ("lol", "euw1", "league_v4_entries_by_division", '{"queue": "RANKED_SOLO_5x5", "division": "IV", "tier": "GOLD"}', '{"page": 9}'),
    ("riot", "americas", "account_v1_by_riot_id", '{"name": "it\'s me", "tag": "EU W"}', "{}"),
    ("val", "na", "content_v1_contents", "{}", '{"locale": "en-US"}'),
    ("lol", "en_us", "cdragon_champion_by_id", '{"id": 449}', "{}"),
    ("lol", "", "meraki_champion_by_key", '{"key": "MonkeyKing"}', "{}"),
    ("lol", "", "cdragon_item_full", "{}", "{}"),
    ("lol", "", "", "{}", "{}"),
    ("", "", "", "{}", "{}"),
    ("", "s", "", '{"a": "b"}', '{"c": "d"}'),
    ("lol", "na1", "m", '{"a": ""}', "{}"),
    ("lol", "na1", "m", '{"a": "", "b": ""}', '{"q": ""}'),
    ("lol", "na1", "m", '{"a": "", "b": "x"}', '{"": ""}'),
    ("lol", "na1", "m", '{"a": "x", "b": ""}', '{"": "", "x y": "a b"}'),
    ("lol", "na1", "m", '{"a": "a/b?c=d&e#%20"}', '{"q&=": "?/ "}'),
    ("lol", "na1", "m", '{"t": true, "f": false, "n": null}', '{"t": true, "f": false, "n": null}'),
    ("lol", "na1", "m", '{"f": 1.0, "g": 0.1, "e": 1e20, "n": 1e-7, "z": -0.0}', '{"i": -0, "h": 1e400, "k": -1e400}'),
    ("lol", "na1", "m", '{"x": NaN, "y": Infinity, "z": -Infinity}', "{}"),
    ("lol", "na1", "m", '{"b": 1000000000000000000000000000000}', '{"b": -18446744073709551616}'),
    ("lol", "na1", "m", '{"s": "line\\nbreak\\ttab \\u0000 \\u200b \\u00a0"}', '{"l": ["line\\nbreak", "\\u200b", "\\u00a0"]}'),
    ("lol", "na1", "m", '{"s": "\U0001fae8"}', '{"l": ["\U0001fae8", "\U0001f9cc"]}'),
    ("lol", "na1", "m", '{"d": {"a b": ["it\'s", {"x": []}, {}, [[]]]}}', '{"l": ["\\"", "\\"\'", "\\\\"]}'),
    ("lol", "na1", "m", '{"a": 1, "b": 2, "a": 3}', '{"q": [1], "r": 0, "q": "last"}'),
    ("lol", "na1", "m", '{"z": 1, "a": 2, "m": 3}', '{"b": 1, "a": 2}'),
    ("a b", "c d", "e f", '{"g h": "i j"}', '{"k l": ["m n", {"o p": "q r"}]}'),
    ("lol", "na1", "m", '{"l": [" a", "b "]}', '{"l": ["\\ud800"]}'),
]


def main():
    found = importlib.util.spec_from_file_location("token_of_pyot", sys.argv[1])
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    rows = []
    for model, server, method, params, queries in CASES:
        value = module.PipelineToken(model, server, method, json.loads(params), json.loads(queries)).value
        rows.append([model, server, method, params, queries, value])
    about = {"pyot": "6.0.9", "unicode": unicodedata.unidata_version}
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    print(f'{{"about": {json.dumps(about)}, "cases": [\n{lines}\n]}}')


main()
