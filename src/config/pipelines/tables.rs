//! Pyot's own times to live: the endpoints of its models (PY-E6, PY-E7). Those of 3 are in its 3.1.1, those of 6 in 6.0.9.

use super::TokenForm;

/// The endpoints of every model.
const ACCOUNTS: &[&str] = &["account_v1_by_puuid", "account_v1_by_riot_id", "account_v1_active_shard"];

/// Not kept unless somebody says so.
const LOL: &[&str] = &[
    "champion_v3_rotation",
    "champion_mastery_v4_all_mastery",
    "champion_mastery_v4_by_champion_id",
    "clash_v1_players",
    "clash_v1_teams",
    "clash_v1_tournaments_by_team_id",
    "clash_v1_toutnaments_by_tournament_id", // so it is spelt in Pyot
    "clash_v1_tournaments_all",
    "league_v4_summoner_entries",
    "league_v4_challenger_league",
    "league_v4_grandmaster_league",
    "league_v4_master_league",
    "league_v4_entries_by_division",
    "league_v4_league_by_league_id",
    "status_v3_shard_data", // of Pyot 1
    "status_v4_platform_data",
    "match_v4_match",
    "match_v4_timeline",
    "match_v4_matchlist",
    "match_v4_tournament_match",
    "match_v4_tournament_matches",
    "spectator_v4_current_game",
    "spectator_v4_featured_games",
    "summoner_v4_by_name",
    "summoner_v4_by_id",
    "summoner_v4_by_account_id",
    "summoner_v4_by_puuid",
    "third_party_code_v4_code",
    "tournament_v4_codes_by_code",
    "tournament_v4_lobby_events",
    "tournament_stub_v4_lobby_events",
];

/// Only in Pyot 6 (since 5).
const LOL_OF_6: &[&str] = &["match_v5_match", "match_v5_timeline", "match_v5_matches"];

/// Kept for a while.
const LOL_FILES: &[&str] = &[
    "cdragon_champion_by_id",
    "cdragon_champion_summary",
    "cdragon_item_full",
    "cdragon_rune_full",
    "cdragon_profile_icon_full",
    "cdragon_spells_full",
    "meraki_champion_by_key",
    "meraki_item_by_id",
];

const LOR: &[&str] = &["ranked_v1_leaderboards", "match_v1_matchlist", "match_v1_match", "status_v1_platform_data"];

const LOR_FILES: &[&str] = &["ddragon_lor_set_data"];

const TFT: &[&str] = &[
    "league_v1_summoner_entries",
    "league_v1_challenger_league",
    "league_v1_grandmaster_league",
    "league_v1_master_league",
    "league_v1_entries_by_division",
    "league_v1_league_by_league_id",
    "match_v1_match",
    "match_v1_matchlist",
    "summoner_v1_by_name",
    "summoner_v1_by_id",
    "summoner_v1_by_account_id",
    "summoner_v1_by_puuid",
];

const TFT_FILES: &[&str] = &["cdragon_tft_full", "cdragon_profile_icon_full"];

const VAL: &[&str] = &[
    "match_v1_match",
    "match_v1_matchlist",
    "match_v1_recent",
    "content_v1_contents",
    "ranked_v1_leaderboards",
    "status_v1_platform_data",
];

/// A model's endpoints with their seconds; `None` for a model that Pyot does not have. `riot`, which Pyot lists and
/// cannot use, has those that all have (PY-E1).
pub(super) fn of(model: &str, form: TokenForm) -> Option<Vec<(&'static str, i64)>> {
    let (asked, files): (&[_], &[_]) = match model {
        "lol" => (LOL, LOL_FILES),
        "lor" => (LOR, LOR_FILES),
        "tft" => (TFT, TFT_FILES),
        "val" => (VAL, &[]),
        "riot" => (&[], &[]),
        _ => return None,
    };
    let (newer, while_kept) = match form {
        TokenForm::V3 => (&[][..], 3 * 3600),
        TokenForm::V6 => (if model == "lol" { LOL_OF_6 } else { &[] }, 20 * 60),
    };
    let not_kept = [ACCOUNTS, asked, newer].into_iter().flatten().map(|name| (*name, 0));
    Some(not_kept.chain(files.iter().map(|name| (*name, while_kept))).collect())
}
