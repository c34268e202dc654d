//! The JSON Schemas of a campaign and of tidings.yaml, made from the types.
//!
//! There are two forms of each. The *published* one (`schema/*.json`) is for editors: draft 07, since that is what
//! yaml-language-server reads without a warning, with `definitions`, `x-` keys allowed, and conditions by `kind`.
//! The *validator's* one is for our own checks: the same types with everything written in place, so that an error's
//! path into it is a plain JSON pointer, and with [`super::scalar::KIND_KEYWORD`] where a parser of ours explains
//! better than a pattern.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::campaign::CampaignSpec;
use super::engine::EngineSpec;
use super::scalar::KIND_KEYWORD;

/// Where the schemas lie in a repository; the `$id` is the path alone, since a workspace carries its own copy.
const CAMPAIGN_ID: &str = "campaign.schema.json";
const TIDINGS_ID: &str = "tidings.schema.json";

/// The text of `schema/campaign.schema.json`.
pub fn campaign_schema() -> String {
    let mut schema = published::<CampaignSpec>(CAMPAIGN_ID);
    if let Value::Object(root) = &mut schema {
        root.insert("allOf".to_owned(), by_kind());
    }
    pretty(&schema)
}

/// The text of `schema/tidings.schema.json`.
pub fn tidings_schema() -> String {
    let mut schema = published::<EngineSpec>(TIDINGS_ID);
    // In tidings.yaml any text may be a `${NAME}`.
    each_object(&mut schema, &mut |map| {
        if let Some(Value::String(pattern)) = map.get_mut("pattern")
            && !pattern.contains(r"\$\{")
        {
            *pattern = format!(r"(?:{pattern})|\$\{{");
        }
    });
    pretty(&schema)
}

/// The schema of a campaign for our own validator (see the module).
pub fn campaign_validator() -> Value {
    validator::<CampaignSpec>()
}

/// The schema of tidings.yaml for our own validator; the variables must have been put in before.
pub fn tidings_validator() -> Value {
    validator::<EngineSpec>()
}

fn generate<T: JsonSchema>(inline: bool) -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = inline;
    let mut schema = SchemaGenerator::new(settings)
        .into_root_schema_for::<T>()
        .to_value();
    remove_nulls(&mut schema);
    each_object(&mut schema, &mut |map| {
        // Descriptions are doc comments: their line breaks are those of the source.
        if let Some(Value::String(text)) = map.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        // Names of Rust's numbers, which editors do not know.
        if map
            .get("format")
            .and_then(Value::as_str)
            .is_some_and(|f| f.starts_with("uint") || f.starts_with("int"))
        {
            map.remove("format");
        }
        describe_tag(map);
        // What must be there has no default; serde's own is only there to let the other checks run.
        let required: Vec<String> = strings(map.get("required"));
        if let Some(Value::Object(properties)) = map.get_mut("properties") {
            for key in required {
                if let Some(Value::Object(property)) = properties.get_mut(&key) {
                    property.remove("default");
                }
            }
        }
    });
    schema
}

fn published<T: JsonSchema>(id: &str) -> Value {
    let mut schema = generate::<T>(false);
    each_object(&mut schema, &mut |map| {
        map.remove(KIND_KEYWORD);
        if map.get("additionalProperties") == Some(&Value::Bool(false)) {
            map.insert("patternProperties".to_owned(), json!({"^x-": {}}));
        }
    });
    let Value::Object(mut rest) = schema else {
        return schema;
    };
    // What a reader looks for first stands first.
    let mut root = Map::new();
    for key in ["$schema", "title", "description"] {
        root.extend(rest.shift_remove(key).map(|value| (key.to_owned(), value)));
    }
    root.insert("$id".to_owned(), Value::String(id.to_owned()));
    root.append(&mut rest);
    Value::Object(root)
}

fn validator<T: JsonSchema>() -> Value {
    generate::<T>(true)
}

fn pretty(schema: &Value) -> String {
    // Serialising a `Value` cannot fail: its keys are text.
    let mut text = serde_json::to_string_pretty(schema).unwrap_or_default();
    text.push('\n');
    text
}

fn strings(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|v| Some(v.as_str()?.to_owned()))
        .collect()
}

/// The `type` of a source says what its variant is; serde's tag has no doc comment of its own.
fn describe_tag(map: &mut Map<String, Value>) {
    let description = map.get("description").cloned();
    if let Some(Value::Object(tag)) = map.get_mut("properties").and_then(|p| p.get_mut("type"))
        && let Some(name) = tag.get("const").cloned()
    {
        if let Some(description) = description {
            tag.insert("description".to_owned(), description);
        }
        tag.insert("examples".to_owned(), Value::Array(vec![name]));
    }
}

/// Which keys each kind requires and refuses, for editors; our own checks say the same in more words.
fn by_kind() -> Value {
    let rule = |kind: &str, required: &[&str], refused: &[&str]| {
        let refused: Map<String, Value> = refused
            .iter()
            .map(|key| ((*key).to_owned(), Value::Bool(false)))
            .collect();
        json!({
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"required": required, "properties": refused}
        })
    };
    Value::Array(
        super::campaign::KEYS_BY_KIND
            .iter()
            .map(|keys| rule(keys.kind.as_str(), keys.required, keys.refused))
            .collect(),
    )
}

/// schemars marks what is optional as nullable too. A key without a value is refused here (it is nearly always a
/// slip), but where null has a meaning of its own (`x-nullable`).
fn remove_nulls(schema: &mut Value) {
    each_object(schema, &mut |map| {
        if map.remove("x-nullable").is_some() {
            return;
        }
        if map.get("default") == Some(&Value::Null) {
            map.remove("default");
        }
        if let Some(Value::Array(types)) = map.get_mut("type") {
            types.retain(|t| t != "null");
            if let [one] = types.as_slice() {
                let one = one.clone();
                map.insert("type".to_owned(), one);
            }
        }
        if let Some(Value::Array(values)) = map.get_mut("enum") {
            values.retain(|v| !v.is_null());
        }
        if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
            let before = branches.len();
            branches.retain(|branch| branch != &json!({"type": "null"}));
            if branches.len() < before && branches.len() == 1 {
                let only = branches.remove(0);
                map.remove("anyOf");
                // What stands beside it (description, examples) belongs to the key and wins.
                if only.get("$ref").is_some() {
                    // Draft 07 ignores what stands beside a `$ref`.
                    map.insert("allOf".to_owned(), Value::Array(vec![only]));
                } else if let Value::Object(only) = only {
                    for (key, value) in only {
                        map.entry(key).or_insert(value);
                    }
                }
            }
        }
    });
}

/// Visits every schema object, inner ones last.
fn each_object(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            for (key, inner) in map.iter_mut() {
                // These hold data, not schemas.
                if !matches!(
                    key.as_str(),
                    "examples" | "default" | "enum" | "const" | "required"
                ) {
                    each_object(inner, visit);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                each_object(item, visit);
            }
        }
        _ => {}
    }
}
