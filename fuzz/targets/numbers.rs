#![no_main]

use larder::codec::{Form, Input, Serializer};
use larder::value::Number;
use larder_fuzz::{codec, read};

libfuzzer_sys::fuzz_target!(|stored: &[u8]| {
    for form in [Form::RedisIntegers, Form::ValkeyNumbers] {
        let codec = codec(Serializer::Json, form);
        let number = read(&codec, stored, 0).and_then(|tree| tree.number());
        if let Some(number) = number
            && let Ok(again) = codec.encode(Input::Number(&number))
        {
            let tree = codec.decode(&again).expect("a number");
            match (&number, tree.number()) {
                (Number::Float(float), Some(Number::Float(same))) if float.is_nan() => assert!(same.is_nan()),
                // A float whose text ends in digits alone does not exist; an int below zero is a float in valkey's rules.
                (Number::Int(int), Some(Number::Float(_))) => assert!(form == Form::ValkeyNumbers && *int < 0.into()),
                (number, same) => assert_eq!(Some(number), same.as_ref()),
            }
        }
    }
});
