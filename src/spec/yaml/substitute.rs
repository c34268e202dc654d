//! `${NAME}` in text values.

use std::sync::Arc;

use super::{Data, Entry, Node};
use crate::spec::diagnostic::{Findings, Pointer, quote};

/// What looks an environment variable up. An unset and an empty one are both `None` by custom of the caller.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The longest text that a variable may put in, in bytes: an environment can hold far more than a setting needs.
const MAX_VALUE: usize = 64 * 1024;

/// The value with its variables put in; what names an unset one is left out.
pub(super) fn substitute(root: &Node, env: &Env<'_>, findings: &mut Findings) -> Node {
    walk(root, env, &Pointer::root(), findings).unwrap_or_else(|| Node::null_at(root.span))
}

fn walk(node: &Node, env: &Env<'_>, at: &Pointer, findings: &mut Findings) -> Option<Node> {
    let data = match &node.data {
        Data::Text(text) if text.contains('$') => return put_in(node, text, env, at, findings),
        Data::List(items) => Data::List(
            items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| walk(item, env, &at.index(i), findings))
                .collect(),
        ),
        Data::Map(entries) => Data::Map(
            entries
                .iter()
                .filter_map(|entry| {
                    let value = walk(&entry.value, env, &at.key(&entry.key), findings)?;
                    Some(Entry {
                        key: Arc::clone(&entry.key),
                        key_span: entry.key_span,
                        value,
                    })
                })
                .collect(),
        ),
        _ => return Some(node.clone()),
    };
    Some(Node {
        data,
        ..node.clone()
    })
}

fn put_in(
    node: &Node,
    text: &Arc<str>,
    env: &Env<'_>,
    at: &Pointer,
    findings: &mut Findings,
) -> Option<Node> {
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = text;
    let mut from_env = false;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(named) = after.strip_prefix('{') {
            let name = named.split_once('}').filter(|(name, _)| is_name(name));
            let Some((name, after)) = name else {
                findings
                    .error(at, "bad-substitution", format!("{} is not a `${{NAME}}`", quote(&rest[before.len()..])))
                    .detail("Write `${NAME}` with the name of an environment variable (letters, digits and `_`), or `$$` for a dollar sign.")
                    .at_range(node.span);
                return Some(node.clone());
            };
            let value = env(name)?;
            if value.len() > MAX_VALUE {
                findings
                    .error(
                        at,
                        "bad-substitution",
                        format!(
                            "the environment variable {name} holds {} bytes",
                            value.len()
                        ),
                    )
                    .detail(format!("At most {MAX_VALUE} bytes are accepted."))
                    .at_range(node.span);
                return Some(node.clone());
            }
            out.push_str(&value);
            from_env = true;
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    let mut new = node.clone();
    new.data = Data::Text(Arc::from(out));
    new.substituted = true;
    if from_env {
        new.raw = Some(Arc::clone(text));
    }
    Some(new)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
