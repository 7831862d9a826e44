//! A line of the log is bounded, whatever a process calls itself: the room for an outcome is set
//! aside before anybody knows what it will say.

use std::io;

use serde::Serialize;
use serde_json::Value;

/// Bytes of the longest line, with its end.
pub(super) const LINE: usize = 16 << 10;

/// What strings (in bytes as JSON writes them) and lists (in members) are cut to, one after
/// another until the line fits.
const CUTS: [(usize, usize); 5] = [(4_096, 256), (1_024, 96), (512, 32), (256, 24), (64, 8)];
/// Ends a string that was cut, and is the last of a list of strings that was.
const MARK: &str = "… (cut)";

/// The line in JSON. What does not fit is cut and marked, and the line says `"cut":true`.
///
/// # Errors
/// It is too long without any of its contents: there is no such line.
pub(super) fn fit(line: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    if bytes.len() >= LINE {
        let mut value = serde_json::to_value(line)?;
        for (text, members) in CUTS {
            cut(&mut value, text, members);
            if let Value::Object(fields) = &mut value {
                fields.insert("cut".to_owned(), Value::Bool(true));
            }
            bytes = serde_json::to_vec(&value)?;
            if bytes.len() < LINE {
                break;
            }
        }
    }
    if bytes.len() >= LINE {
        return Err(io::Error::other("a line would be longer than 16 KiB"));
    }
    bytes.push(b'\n');
    Ok(bytes)
}

fn cut(value: &mut Value, text: usize, members: usize) {
    match value {
        Value::String(string) => cut_text(string, text),
        Value::Array(list) => {
            if list.len() > members {
                list.truncate(members);
                if let Some(Value::String(last)) = list.last_mut() {
                    MARK.clone_into(last);
                }
            }
            list.iter_mut().for_each(|one| cut(one, text, members));
        }
        Value::Object(fields) => fields.values_mut().for_each(|one| cut(one, text, members)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cut_text(string: &mut String, most: usize) {
    let mut length = 0;
    let mut keep = 0;
    for (at, c) in string.char_indices() {
        length += in_json(c);
        if length + MARK.len() <= most {
            keep = at + c.len_utf8();
        }
        if length > most {
            string.truncate(keep);
            string.push_str(MARK);
            return;
        }
    }
}

/// Bytes of a character in a JSON string.
fn in_json(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if u32::from(c) < 0x20 => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_character_is_that_in_json() {
        for c in ('\0'..'\u{300}').chain(['€', '𝄞', '\u{2028}', '\u{feff}']) {
            let written = serde_json::to_string(&c).unwrap();
            assert_eq!(written.len() - 2, in_json(c), "{c:?}");
        }
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        let line = serde_json::json!({"a": "b".repeat(8_000), "c": [1, 2]});
        let mut bytes = fit(&line).unwrap();
        assert_eq!(bytes.pop(), Some(b'\n'));
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), line);
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        for hostile in ["\u{1}", "\"", "x", "€", "\\", "𝄞"] {
            let long = hostile.repeat(300_000);
            let line = serde_json::json!({
                "id": "1-2-3",
                "name": long,
                "commandLine": vec![long.as_str(); 3],
                "statuses": vec![serde_json::json!({"command": hostile, "count": 1}); 5_000],
            });
            let bytes = fit(&line).unwrap();
            assert!(bytes.len() <= LINE, "{}", bytes.len());
            let read: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((&read["cut"], &read["id"]), (&true.into(), &"1-2-3".into()));
            assert!(read["name"].as_str().unwrap().ends_with(MARK));
        }
        let empty = serde_json::json!({"commandLine": vec![""; 200_000]});
        let read: Value = serde_json::from_slice(&fit(&empty).unwrap()).unwrap();
        let arguments = read["commandLine"].as_array().unwrap();
        assert!(arguments.len() > 50 && arguments.last().unwrap() == MARK);
    }
}
