//! Keys that memcached's clients refuse: larder refuses the same, and takes the others (M, pitfall 20).

use larder::capi::status::LARDER_EINVAL;
use serde_json::json;

use super::LARDER_OK;
use super::common::client::{Call, Input, Ttl};
use super::dice::Dice;
use super::world::{self, ALIASES, World, in_turn};

/// Keys for each alias.
const KEYS: usize = 150;

/// Keys about as long as they may be.
const LENGTHS: [usize; 6] = [244, 246, 247, 248, 249, 250];

#[test]
fn both_refuse_the_same_keys() {
    in_turn(|servers| {
        let seed = world::seed();
        let mut dice = Dice::new(seed);
        let mut world = World::start(servers);
        let (mut taken, mut refused) = (0, 0);
        for alias in ALIASES.into_iter().filter(|alias| alias.kind.is_memcached()) {
            let store = world.store(alias.name);
            for number in 0..KEYS {
                let key = match number % 3 {
                    0 => "y".repeat(*dice.pick(&LENGTHS)),
                    _ => dice.key(),
                };
                let version = *dice.pick(&[None, None, Some("8"), Some("a b")]);
                let what = format!("LARDER_SEED={seed}: {}, version {version:?}, key {key:?}", alias.name);
                let asked = json!({"alias": alias.name, "key": key, "version": version});
                let is_allowed = world.partner.must("is_allowed", asked).as_bool().unwrap();
                let set = store.set(&key, Input::Json("2"), Ttl::Default, Call::version(version));
                if is_allowed {
                    assert_eq!(set, Ok(LARDER_OK), "{what}");
                    taken += 1;
                } else {
                    let failure = set.expect_err(&what);
                    assert_eq!(failure.status, LARDER_EINVAL, "{what}: {failure:?}");
                    let got = store.get(&key, Call::version(version)).err().map(|failure| failure.status);
                    assert_eq!(got, Some(LARDER_EINVAL), "{what}");
                    refused += 1;
                }
            }
        }
        assert!(taken > 100 && refused > 100, "{taken} keys taken, {refused} refused");
    });
}
