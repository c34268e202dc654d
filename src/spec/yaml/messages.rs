//! The parser's words → words for people.

/// What to tell about an error of syntax.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: &'static str,
    pub(super) summary: String,
    pub(super) detail: &'static str,
}

/// What is found in the parser's message, the code, what to say, and what to do about it. The first match counts.
const TABLE: &[(&str, &str, &str, &str)] = &[
    (
        "found a tab",
        "tab-indentation",
        "a tab stands where only spaces may",
        "YAML is indented with spaces only. Replace the tab by spaces.",
    ),
    (
        "tabs disallowed",
        "tab-indentation",
        "a tab stands where only spaces may",
        "YAML is indented with spaces only. Replace the tab by spaces.",
    ),
    (
        "tab cannot",
        "tab-indentation",
        "a tab stands where only spaces may",
        "YAML is indented with spaces only. Replace the tab by spaces.",
    ),
    (
        "start with a tab",
        "tab-indentation",
        "a tab stands where only spaces may",
        "YAML is indented with spaces only. Replace the tab by spaces.",
    ),
    (
        "unknown anchor",
        "unknown-anchor",
        "this alias names an anchor that is not defined above it",
        "An alias `*name` repeats the value marked `&name` earlier in the same file. Define the anchor first, or put the text into quotes.",
    ),
    (
        "recursion limit",
        "too-deep",
        "values are nested too deeply",
        "At most 64 levels are accepted.",
    ),
    (
        "quoted scalar, found unexpected end",
        "yaml-syntax",
        "a quoted text is not closed",
        "Add the closing quote.",
    ),
    (
        "quoted scalar, found unexpected document",
        "yaml-syntax",
        "a quoted text is not closed before `---` or `...`",
        "Add the closing quote.",
    ),
    (
        "invalid indentation in quoted",
        "yaml-syntax",
        "a line of a quoted text is not indented",
        "Indent the lines of a quoted text deeper than its key, or close the quote.",
    ),
    (
        "trailing content after double-quoted",
        "yaml-syntax",
        "something follows the closing quote",
        "Put quotes inside the text as `\\\"`, or use single quotes or a `|` block.",
    ),
    (
        "unknown escape",
        "yaml-syntax",
        "this backslash escape is not known",
        "In double quotes a backslash begins an escape. Write `\\\\` for a backslash, or use single quotes.",
    ),
    (
        "hexadecimal number",
        "yaml-syntax",
        "this backslash escape lacks its hexadecimal digits",
        "Write `\\x` with 2, `\\u` with 4 or `\\U` with 8 digits.",
    ),
    (
        "Unicode character escape",
        "yaml-syntax",
        "this escape names no Unicode character",
        "Write the character itself, or its number after `\\u` or `\\U`.",
    ),
    (
        "mapping values are not allowed",
        "yaml-syntax",
        "a `:` stands where no key can be",
        "A key begins its own line, in the column of its neighbours. A text that holds `: ` needs quotes.",
    ),
    (
        "illegal placement of ':'",
        "yaml-syntax",
        "a `:` stands where no key can be",
        "A key begins its own line, in the column of its neighbours. A text that holds `: ` needs quotes.",
    ),
    (
        "':' must be followed",
        "yaml-syntax",
        "a `:` is not followed by a space",
        "Write `key: value` with a space after the colon.",
    ),
    (
        "simple key expect",
        "yaml-syntax",
        "this line has no `:`",
        "A line of a mapping reads `key: value`. Check the indentation, and the quotes of the text above.",
    ),
    (
        "mapping keys are not allowed",
        "yaml-syntax",
        "a `?` stands where no key can be",
        "Put a text that begins with `?` into quotes.",
    ),
    (
        "did not find expected key",
        "yaml-syntax",
        "this line does not fit the mapping above it",
        "The keys of one mapping begin in the same column; an item of a list begins with `- `.",
    ),
    (
        "flow mapping, did not find",
        "yaml-syntax",
        "a `{…}` is not closed, or lacks a comma",
        "Write `{key: value, key: value}`.",
    ),
    (
        "expected ',' or ']'",
        "yaml-syntax",
        "a `[…]` is not closed, or lacks a comma",
        "Write `[one, two]`.",
    ),
    (
        "invalid indentation in flow",
        "yaml-syntax",
        "a line inside `{…}` or `[…]` is not indented",
        "Indent it deeper than the key, or close the bracket.",
    ),
    (
        "misplaced bracket",
        "yaml-syntax",
        "this bracket closes nothing",
        "Remove it, or put the text into quotes.",
    ),
    (
        "expected '-' indicator",
        "yaml-syntax",
        "this line does not fit the list above it",
        "The items of one list begin with `- ` in the same column.",
    ),
    (
        "block sequence entries are not allowed",
        "yaml-syntax",
        "an item of a list (`- `) stands where none can be",
        "Put the list on the lines below its key. A text that begins with `- ` needs quotes.",
    ),
    (
        "only valid inside a block",
        "yaml-syntax",
        "an item of a list (`- `) stands inside `{…}` or `[…]`",
        "Inside brackets items are separated by commas.",
    ),
    (
        "'-' must be followed",
        "yaml-syntax",
        "a `-` is not followed by a space",
        "Write `- item` with a space after the dash.",
    ),
    (
        "cannot start with '-'",
        "yaml-syntax",
        "a `-` is not followed by a space",
        "Write `- item` with a space after the dash, or put the text into quotes.",
    ),
    (
        "wrongly indented line in block",
        "yaml-syntax",
        "this line of a `|` or `>` block is indented less than its first line",
        "Indent all lines of the block alike.",
    ),
    (
        "block scalar",
        "yaml-syntax",
        "the head of this `|` or `>` block is not understood",
        "Write `|` or `>`, with `-` or `+` if you like, and begin the text on the next line.",
    ),
    (
        "comment intercepting",
        "yaml-syntax",
        "a comment interrupts a text of several lines",
        "Put the text into quotes or a `|` block, or move the comment.",
    ),
    (
        "byte order mark",
        "yaml-syntax",
        "a byte order mark stands inside the file",
        "It may stand at the very beginning only. Delete it.",
    ),
    (
        "document end marker",
        "yaml-syntax",
        "something follows the end of the document",
        "A file holds one document. Remove `...` or what follows it.",
    ),
    (
        "document start",
        "yaml-syntax",
        "something stands before or after the document that does not belong to it",
        "A file holds one mapping of `key: value` lines. Check the indentation of this line.",
    ),
    (
        "invalid indentation for anchor",
        "yaml-syntax",
        "the indentation of this anchor does not fit",
        "Put `&name` right before the value that it marks.",
    ),
    (
        "anchor or alias",
        "yaml-syntax",
        "`&` or `*` without a name",
        "A text that begins with `&` or `*` needs quotes.",
    ),
    (
        "expected node content",
        "yaml-syntax",
        "a value is missing here",
        "Write the value, or remove what stands before it.",
    ),
    (
        "directive",
        "yaml-syntax",
        "this `%` directive is not understood",
        "A text that begins with `%` needs quotes.",
    ),
    (
        "tag",
        "yaml-syntax",
        "this `!` tag is not understood",
        "A text that begins with `!` needs quotes.",
    ),
    (
        "handle wasn't declared",
        "yaml-syntax",
        "this `!` tag is not understood",
        "A text that begins with `!` needs quotes.",
    ),
    (
        "invalid indentation",
        "yaml-syntax",
        "the indentation of this line does not fit",
        "The keys of one mapping begin in the same column.",
    ),
    (
        "unexpected eof",
        "yaml-syntax",
        "the file ends too early",
        "Close what is open: a quote or a bracket.",
    ),
];

/// Says in plain words what the parser found. `found` is the character at the place.
pub(super) fn translate(info: &str, found: Option<char>) -> Said {
    if info.starts_with("unexpected character")
        && let Some(c) = found
    {
        return Said {
            code: "yaml-syntax",
            summary: format!("a text cannot begin with `{c}` unless it stands in quotes"),
            detail: "Put it into quotes, for example \"@name\".",
        };
    }
    if info.contains("indentation") && found == Some('\t') {
        return translate("tabs disallowed", None);
    }
    for (part, code, summary, detail) in TABLE {
        if info.contains(part) {
            return Said {
                code,
                summary: (*summary).to_owned(),
                detail,
            };
        }
    }
    Said {
        code: "yaml-syntax",
        summary: format!("this is not valid YAML: {info}"),
        detail: "Check the indentation, quotes and brackets here and just above.",
    }
}
