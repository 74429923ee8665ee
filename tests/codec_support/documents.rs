//! JSON documents that nobody thought of.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        // Some characters escaped, some not.
        if c < ' ' || c == '"' || c == '\\' || u32::from(c) % 5 == 0 {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else {
            out.push(c);
        }
    }
    out + "\""
}

/// JSON texts of any shape, with repeated keys and short texts among them.
pub fn document() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-c]{0,2}".prop_map(|text| quoted(&text)),
        any::<String>().prop_map(|text| quoted(&text)),
        Just("\"\\ud800\"".to_owned()),
    ];
    let key = text.clone();
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<i64>().prop_map(|int| int.to_string()),
        any::<i32>().prop_map(|int| int.to_string()),
        any::<u8>().prop_map(|int| int.to_string()),
        "-?[1-9][0-9]{0,60}",
        any::<f64>().prop_filter("JSON has a text for it", |float| float.is_finite()).prop_map(|f| format!("{f:?}")),
        text,
    ];
    leaf.prop_recursive(6, 400, 12, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(|items| format!("[{}]", items.join(" ,"))),
            vec((key.clone(), inner), 0..12).prop_map(|pairs| {
                let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
                format!("{{{}}}", pairs.join(", "))
            }),
        ]
    })
}
