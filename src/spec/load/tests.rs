use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::spec::files::MemoryFiles;

/// A text that only serde can judge: the schema says 'text', the type wants an even length.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(with = "String")]
struct Even(String);

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len().is_multiple_of(2) {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom(format!(
                "{text:?} has an odd length"
            )))
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    #[serde(default)]
    first: Option<Even>,
    #[serde(default)]
    second: Option<Even>,
    #[serde(default)]
    many: Vec<Even>,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn load_sample(text: &str) -> Loaded<Sample> {
    let schema = Schema::new(schemars::schema_for!(Sample).to_value()).unwrap();
    let env = |name: &str| (name == "NAME").then(|| "from-env".to_owned());
    load(
        "campaigns/a.yaml",
        Parsed::new(text.as_bytes()),
        &schema,
        Some(&env),
        |sample: &Sample, findings| {
            if sample.name == "bad" {
                findings.error(&Pointer::root().key("name"), "bad-name", "the name is bad");
            }
            if sample.limit.is_none() {
                findings.error(
                    &Pointer::root().key("limit"),
                    "no-limit",
                    "there is no limit",
                );
            }
        },
    )
}

fn codes(loaded: &Loaded<Sample>) -> Vec<String> {
    loaded
        .diagnostics
        .iter()
        .map(|d| {
            format!(
                "{} {}",
                d.place().trim_start_matches("campaigns/a.yaml:"),
                d.code
            )
        })
        .collect()
}

#[test]
fn a_good_file_becomes_its_value() {
    let loaded =
        load_sample("name: x\nfirst: ab\nlimit: 3\nlabels: {x-internal: q, team: sales}\n");
    assert!(loaded.valid && loaded.diagnostics.is_empty());
    let value = loaded.value.unwrap();
    assert!(value.second.is_none() && value.many.is_empty());
    assert_eq!(
        (value.first, value.limit),
        (Some(Even("ab".to_owned())), Some(3))
    );
    assert_eq!(
        value.labels.into_iter().collect::<Vec<_>>(),
        [("team".to_owned(), "sales".to_owned())]
    );
}

#[test]
fn every_stage_has_its_say_in_one_pass() {
    let loaded =
        load_sample("name: bad\nfirst: abc\nsecond: x\nmany: [ab, abc]\nlimt: 5\nname: again\n");
    assert!(!loaded.valid);
    assert_eq!(
        codes(&loaded),
        [
            "1:1 no-limit",
            "1:7 bad-name",
            "2:8 invalid-value",
            "3:9 invalid-value",
            "4:12 invalid-value",
            "5:1 unknown-key",
            "6:1 duplicate-key",
        ]
    );
    assert_eq!(loaded.value.unwrap().name, "bad");
}

#[test]
fn a_wrong_value_is_not_missed_as_well() {
    let loaded = load_sample("name: x\nlimit: many\n");
    assert_eq!(codes(&loaded), ["2:8 wrong-type"]);
    let loaded = load_sample("name: [x]\nlimit: 1\n");
    assert_eq!(codes(&loaded), ["1:7 wrong-type"]);
    assert!(loaded.value.is_none() && !loaded.valid);
}

#[test]
fn an_error_of_syntax_is_all_that_is_said() {
    let loaded = load_sample("name: x\nlimit: [1\n");
    assert_eq!(loaded.diagnostics.len(), 1);
    assert!(loaded.value.is_none() && !loaded.valid);
}

#[test]
fn what_the_environment_lacks_is_absent() {
    let loaded = load_sample("name: ${NAME}\nfirst: ${NOTHING}\nlimit: 1\n");
    assert!(loaded.valid, "{:?}", loaded.diagnostics);
    let value = loaded.value.unwrap();
    assert_eq!((value.name.as_str(), value.first), ("from-env", None));
    assert_eq!(
        codes(&load_sample("name: ${NOTHING}\nlimit: 1\n")),
        ["2:1 missing-key"]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_diagnostic() {
    let files = MemoryFiles::new()
        .with("campaigns/big.yaml", vec![b' '; 2_000_000])
        .with("campaigns/ok.yaml", "name: x");
    assert_eq!(
        read(&files, "campaigns/big.yaml").unwrap_err().code,
        "too-large"
    );
    assert_eq!(
        read(&files, "campaigns/none.yaml").unwrap_err().code,
        "missing-file"
    );
    assert!(read(&files, "campaigns/ok.yaml").is_ok());
}

#[test]
fn twenty_thousand_wrong_values_are_answered_at_once() {
    let text = format!("name: x\nmany: [{}]\n", "1,".repeat(19_000));
    let start = std::time::Instant::now();
    let loaded = load_sample(&text);
    assert!(!loaded.valid);
    // Far above what it takes, on a machine that may be busy: what grows faster than the file takes minutes.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
