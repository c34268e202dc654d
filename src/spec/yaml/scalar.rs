//! What an unquoted word is: the core schema of YAML 1.2.2, section 10.3.2.

use serde_json::Number;

/// An unquoted word's meaning.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    Number(Number),
    /// `.inf`, `.nan`, or a number too large for any use.
    NotFinite,
    Text,
}

/// Resolves an unquoted word.
pub(super) fn resolve(word: &str) -> Meaning {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Meaning::NotFinite,
        _ => {}
    }
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Meaning::NotFinite;
    }
    if let Some(digits) = word.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = word.strip_prefix("0o") {
        return based(digits, 8);
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let plain = word.strip_prefix('+').unwrap_or(word);
        if let Ok(value) = plain.parse::<u64>() {
            return Meaning::Number(value.into());
        }
        if let Ok(value) = plain.parse::<i64>() {
            return Meaning::Number(value.into());
        }
        return float(plain);
    }
    if is_float(unsigned) {
        float(word.strip_prefix('+').unwrap_or(word))
    } else {
        Meaning::Text
    }
}

fn based(digits: &str, radix: u32) -> Meaning {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Meaning::Text;
    }
    u64::from_str_radix(digits, radix)
        .map_or(Meaning::NotFinite, |value| Meaning::Number(value.into()))
}

fn float(word: &str) -> Meaning {
    word.parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map_or(Meaning::NotFinite, Meaning::Number)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(word: &str) -> bool {
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (word, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_fits && exponent_fits
}

/// Whether YAML 1.1 read this number with a leading zero as octal: a word on which two readers disagree.
pub(super) fn is_old_octal(word: &str) -> bool {
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unquoted_word_is_what_yaml_1_2_says() {
        let number = |n: u64| Meaning::Number(n.into());
        for (word, meaning) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("null", Meaning::Null),
            ("true", Meaning::Bool(true)),
            ("False", Meaning::Bool(false)),
            ("yes", Meaning::Text),
            ("on", Meaning::Text),
            ("nULL", Meaning::Text),
            ("0", number(0)),
            ("+15550100", number(15_550_100)),
            ("-3", Meaning::Number((-3).into())),
            ("010", number(10)),
            ("0o10", number(8)),
            ("0x1F", number(31)),
            ("0xZZ", Meaning::Text),
            ("1_000", Meaning::Text),
            ("12:30", Meaning::Text),
            ("2026-12-01", Meaning::Text),
            ("1.5", Meaning::Number(Number::from_f64(1.5).unwrap())),
            (".5", Meaning::Number(Number::from_f64(0.5).unwrap())),
            ("1.", Meaning::Number(Number::from_f64(1.0).unwrap())),
            ("1e3", Meaning::Number(Number::from_f64(1000.0).unwrap())),
            ("1e", Meaning::Text),
            (".", Meaning::Text),
            ("-", Meaning::Text),
            ("+", Meaning::Text),
            ("1e999", Meaning::NotFinite),
            (".nan", Meaning::NotFinite),
            ("-.inf", Meaning::NotFinite),
            ("18446744073709551615", number(u64::MAX)),
            (
                "99999999999999999999",
                Meaning::Number(Number::from_f64(1e20).unwrap()),
            ),
            ("5%", Meaning::Text),
            ("30s", Meaning::Text),
        ] {
            assert_eq!(resolve(word), meaning, "{word:?}");
        }
        assert!(
            is_old_octal("010")
                && is_old_octal("+07")
                && !is_old_octal("0")
                && !is_old_octal("0.5")
        );
    }
}
