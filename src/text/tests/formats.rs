use proptest::prelude::*;

use super::super::*;
use super::{World, anna, compile, composed, problems};
use crate::model::Contact;

/// A formatted text, readable: each entity as `kind(covered text)`.
fn shown(formatted: &Formatted) -> (String, Vec<String>) {
    let units: Vec<u16> = formatted.text.encode_utf16().collect();
    let entities = formatted
        .entities
        .iter()
        .map(|entity| {
            let covered = &units[entity.offset..entity.offset + entity.length];
            let covered = String::from_utf16(covered).unwrap();
            match &entity.kind {
                EntityKind::TextUrl { url } => format!("link({covered})->{url}"),
                EntityKind::Pre { language } => format!("pre:{language}({covered})"),
                EntityKind::Blockquote { collapsed: true } => format!("folded({covered})"),
                EntityKind::Blockquote { .. } => format!("quote({covered})"),
                EntityKind::CustomEmoji { document_id } => {
                    format!("emoji:{document_id}({covered})")
                }
                kind => format!("{kind:?}({covered})").to_lowercase(),
            }
        })
        .collect();
    (formatted.text.clone(), entities)
}

fn check(format: Format, cases: &[(&str, &str, &[&str])]) {
    for (markup, text, entities) in cases {
        let found =
            format_text(markup, format).unwrap_or_else(|problem| panic!("{markup}: {problem}"));
        let (found_text, found_entities) = shown(&found);
        let expected: Vec<String> = entities
            .iter()
            // The covered text in its own case: only the kind is lowered.
            .map(|entity| entity.to_string())
            .collect();
        assert_eq!(found_text, *text, "{markup:?}");
        let lower = |all: &[String]| all.iter().map(|e| e.to_lowercase()).collect::<Vec<_>>();
        assert_eq!(lower(&found_entities), lower(&expected), "{markup:?}");
    }
}

#[test]
fn markdown_means_what_people_write() {
    check(
        Format::Markdown,
        &[
            ("plain", "plain", &[]),
            (
                "**bold** and *italic* and _italic_ and ~~strike~~",
                "bold and italic and italic and strike",
                &[
                    "bold(bold)",
                    "italic(italic)",
                    "italic(italic)",
                    "strike(strike)",
                ],
            ),
            ("__bold__", "bold", &["bold(bold)"]),
            ("***both***", "both", &["bold(both)", "italic(both)"]),
            ("**a *b* c**", "a b c", &["bold(a b c)", "italic(b)"]),
            ("*a **b** c*", "a b c", &["italic(a b c)", "bold(b)"]),
            ("**a *b***", "a b", &["bold(a b)", "italic(b)"]),
            ("**bold**text", "boldtext", &["bold(bold)"]),
            (
                "un*frigging*believable",
                "unfriggingbelievable",
                &["italic(frigging)"],
            ),
            ("`code *x* \\n`", "code *x* \\n", &["code(code *x* \\n)"]),
            ("`` a`b ``", "a`b", &["code(a`b)"]),
            (
                "```rust\nlet x = 1;\n```",
                "let x = 1;",
                &["pre:rust(let x = 1;)"],
            ),
            (
                "```\na\n\nb\n```\nafter",
                "a\n\nb\nafter",
                &["pre:(a\n\nb)"],
            ),
            ("```inline```", "inline", &["pre:(inline)"]),
            (
                "[text](https://example.com)",
                "text",
                &["link(text)->https://example.com"],
            ),
            (
                "[**bold** text](https://example.com/a_b_c?x=1&y=(2))",
                "bold text",
                &[
                    "link(bold text)->https://example.com/a_b_c?x=1&y=(2)",
                    "bold(bold)",
                ],
            ),
            (
                "**[bold link](tg://user?id=1)**",
                "bold link",
                &["link(bold link)->tg://user?id=1", "bold(bold link)"],
            ),
            ("[t](example.com)", "t", &["link(t)->http://example.com"]),
            ("[t](mailto:a@b.c)", "t", &["link(t)->mailto:a@b.c"]),
            (
                "привет, **мир** 👍 *да*",
                "привет, мир 👍 да",
                &["bold(мир)", "italic(да)"],
            ),
            ("**«мир»**, **!**", "«мир», !", &["bold(«мир»)", "bold(!)"]),
            ("**👍 ok**", "👍 ok", &["bold(👍 ok)"]),
            ("**Line1\nLine2**", "Line1\nLine2", &["bold(Line1\nLine2)"]),
            // CommonMark would take the line break as a space.
            ("Line1\nLine2\n\nLine3", "Line1\nLine2\n\nLine3", &[]),
            ("a\r\nb", "a\nb", &[]),
        ],
    );
}

#[test]
fn markdown_that_matches_nothing_is_itself() {
    let cases: Vec<(&str, &str, &[&str])> = [
        "2 * 3 * 4",
        "snake_case_word and other_one",
        "**",
        "****",
        "a ** b",
        "*a",
        "a*",
        "**a*b",
        "`a",
        "``a`",
        "[a]",
        "[a](",
        "[a](b c)",
        "[a](javascript:alert(1))",
        "[a]()",
        "~a~",
        "~~~a~~~",
        "* item\n* item",
        "- item",
        "1. item",
        "# heading",
        "> quote",
        "| a | b |",
        "---",
        "<b>no html</b> &amp;",
        "C:\\dir\\new",
        "5 > 3 < 4",
        "** a **",
        "~~ a ~~",
        "a * b*",
        "**a\n\nb**",
        "@user_name_x",
        "https://example.com/a_b_c_d",
        "___",
        "_",
        "(*)",
        "][",
        "](x)",
    ]
    .into_iter()
    .map(|text| (text, text, &[][..]))
    .collect();
    check(Format::Markdown, &cases);
    check(
        Format::Markdown,
        &[
            ("\\*not italic\\*", "*not italic*", &[]),
            ("\\\\ \\` \\[a\\](b)", "\\ ` [a](b)", &[]),
            ("**a\\*\\*b**", "a**b", &["bold(a**b)"]),
            ("[[a](https://b.c)", "[a", &["link(a)->https://b.c"]),
            (
                "[a [b](https://b.c) c](https://d.e)",
                "[a b c](https://d.e)",
                &["link(b)->https://b.c"],
            ),
            ("*a [b*](https://b.c)", "*a b*", &["link(b*)->https://b.c"]),
            ("**a", "**a", &[]),
            ("**a** **b", "a **b", &["bold(a)"]),
        ],
    );
}

#[test]
fn html_means_telegrams_tags() {
    check(
        Format::Html,
        &[
            ("<b>a</b><strong>b</strong>", "ab", &["bold(a)", "bold(b)"]),
            (
                "<i>a</i> <em>b</em> <u>c</u> <ins>d</ins> <s>e</s> <strike>f</strike> <del>g</del>",
                "a b c d e f g",
                &[
                    "italic(a)",
                    "italic(b)",
                    "underline(c)",
                    "underline(d)",
                    "strike(e)",
                    "strike(f)",
                    "strike(g)",
                ],
            ),
            (
                "<tg-spoiler>a</tg-spoiler> <span class=\"tg-spoiler\">b</span>",
                "a b",
                &["spoiler(a)", "spoiler(b)"],
            ),
            (
                "<code>a</code> <pre>b</pre>",
                "a b",
                &["code(a)", "pre:(b)"],
            ),
            (
                "<pre><code class=\"language-rust\">let x;</code></pre>",
                "let x;",
                &["pre:rust(let x;)"],
            ),
            (
                "<a href=\"https://example.com/?a=1&amp;b=2\">t</a>",
                "t",
                &["link(t)->https://example.com/?a=1&b=2"],
            ),
            (
                "<a href='tg://user?id=1'>t</a> <A HREF=https://x.org>T</A>",
                "t T",
                &["link(t)->tg://user?id=1", "link(t)->https://x.org"],
            ),
            (
                "<a>https://example.com</a>",
                "https://example.com",
                &["link(https://example.com)->https://example.com"],
            ),
            (
                "<blockquote>a\nb</blockquote><blockquote expandable>c</blockquote>",
                "a\nbc",
                &["quote(a\nb)", "folded(c)"],
            ),
            (
                "<tg-emoji emoji-id=\"5368324170671202286\">👍</tg-emoji>",
                "👍",
                &["emoji:5368324170671202286(👍)"],
            ),
            ("<b>a <i>b</i></b>", "a b", &["bold(a b)", "italic(b)"]),
            ("<b>a<b>b</b></b>", "ab", &["bold(ab)"]),
            (
                "a &lt;b&gt; &amp; &quot; &#39; &#x1F44D; &nope; & b",
                "a <b> & \" ' 👍 &nope; & b",
                &[],
            ),
            ("Line1\nLine2\r\nLine3", "Line1\nLine2\nLine3", &[]),
            ("<b></b>x<i> </i>", "x", &[]),
            ("👍<b>👍</b>", "👍👍", &["bold(👍)"]),
            ("**no** _markdown_", "**no** _markdown_", &[]),
        ],
    );
}

#[test]
fn another_tag_is_an_error_with_its_place() {
    // (source, line, column, length, part of the summary, suggestion)
    type Case = (
        &'static str,
        usize,
        usize,
        usize,
        &'static str,
        Option<&'static str>,
    );
    let cases: &[Case] = &[
        ("a\n<h1>b</h1>", 2, 1, 3, "unknown tag <h1>", None),
        (
            "привет <stron>b</stron>",
            1,
            8,
            6,
            "unknown tag <stron>",
            Some("strong"),
        ),
        ("a<br>b", 1, 2, 3, "unknown tag <br>", None),
        ("a < b", 1, 3, 1, "begins no tag", Some("&lt;")),
        ("<b>a", 1, 1, 3, "<b> is not closed", None),
        ("a</b>", 1, 2, 4, "</b> closes nothing", None),
        (
            "<b><i>a</b></i>",
            1,
            8,
            4,
            "</b> stands where <i> is open",
            Some("</i>"),
        ),
        ("<b", 1, 1, 2, "not finished", None),
        ("<span>a</span>", 1, 1, 6, "no spoiler", None),
        (
            "<a href=\"javascript:x\">a</a>",
            1,
            1,
            23,
            "is not a link",
            None,
        ),
        (
            "<tg-emoji>a</tg-emoji>",
            1,
            1,
            10,
            "without its number",
            None,
        ),
        (
            "{{ contact.id }}\n{{ step }} <x>",
            2,
            12,
            2,
            "unknown tag <x>",
            None,
        ),
        (
            "{% if contact.premium %}<x>{% endif %}",
            1,
            25,
            2,
            "unknown tag <x>",
            None,
        ),
    ];
    for (source, line, column, len, said, suggestion) in cases {
        let found = problems(source, Format::Html);
        let problem = found
            .first()
            .unwrap_or_else(|| panic!("{source}: nothing found"));
        assert_eq!(
            (
                problem.code,
                problem.line,
                problem.column,
                problem.len,
                problem.suggestion.as_deref()
            ),
            ("markup", *line, *column, *len, *suggestion),
            "{source}: {found:?}"
        );
        assert!(problem.summary.contains(said), "{source}: {problem:?}");
    }
}

#[test]
fn html_that_depends_on_values_is_accepted_and_checked_when_it_is_known() {
    for source in [
        "<a href=\"{{ contact.fields.link }}\">x</a>",
        "<a href=\"https://x.org/{{ contact.id }}?a={{ step }}\">{{ contact.first_name }}</a>",
        "{% if contact.premium %}<b>{% endif %}x{% if contact.premium %}</b>{% endif %}",
        "{% for x in [1, 2] %}<i>{{ x }}</i>{% endfor %}",
        "{{ contact.fields.html|safe }}</b>",
        "<b>{{ contact.first_name }}</b>",
    ] {
        compile(source, Format::Html);
    }
    let mut contact = anna();
    for link in ["javascript:alert(1)", "no link", "\u{fffc}"] {
        contact.fields.insert("link".into(), link.into());
        let source = "<a href=\"{{ contact.fields.link }}\">x</a>";
        let error = composed(source, Format::Html, contact.clone()).unwrap_err();
        assert!(
            matches!(&error, ComposeError::TemplateError(said) if said.contains("not a link")),
            "{link}: {error}"
        );
    }
}

#[test]
fn inserted_values_are_escaped_and_safe_ones_are_not() {
    let mut contact = anna();
    contact.first_name = Some("**<b>A & *B*</b> [x](https://evil.org)**".into());
    let name = contact.first_name.clone().unwrap();
    for format in [Format::Plain, Format::Markdown, Format::Html] {
        for source in [
            "{{ contact.first_name }}",
            "{{ contact.first_name|e }}",
            "{% set n = contact.first_name %}{{ n }}",
            "{% set n %}{{ contact.first_name }}{% endset %}{{ n }}",
            "{% macro m(n) %}{{ n }}{% endmacro %}{{ m(contact.first_name) }}",
            "{{ contact.first_name ~ '' }}",
            "{{ [contact.first_name]|join(', ') }}",
            "{{ '%s'|format(contact.first_name) }}",
            "{{ contact.first_name|default('x') }}",
        ] {
            let found = composed(source, format, contact.clone()).unwrap();
            assert_eq!(found.text, name, "{source} {format:?}");
            assert_eq!(found.entities, [], "{source} {format:?}");
        }
    }
    contact.first_name = Some("<b>A</b>".into());
    let found = composed("{{ contact.first_name|safe }}", Format::Html, contact).unwrap();
    assert_eq!(shown(&found), ("A".into(), vec!["bold(a)".into()]));
    let mut contact = anna();
    contact.first_name = Some("**A**".into());
    let found = composed("{{ contact.first_name|safe }}", Format::Markdown, contact).unwrap();
    assert_eq!(shown(&found), ("A".into(), vec!["bold(a)".into()]));
}

#[test]
fn markup_around_a_value_holds_whatever_the_value_is() {
    for name in [
        "Bob", " Bob ", "*", "**", "_", "`", "]", ")", "\\", "a\n\nb", "«x»", "-", "<", "&", "'\"",
    ] {
        let contact = || Contact {
            first_name: Some(name.into()),
            ..Contact::default()
        };
        for (source, format, kind) in [
            ("x **{{ contact.first_name }}** y", Format::Markdown, "bold"),
            ("x _{{ contact.first_name }}_ y", Format::Markdown, "italic"),
            (
                "x ~~{{ contact.first_name }}~~ y",
                Format::Markdown,
                "strike",
            ),
            ("x `{{ contact.first_name }}` y", Format::Markdown, "code"),
            (
                "x [{{ contact.first_name }}](https://a.b) y",
                Format::Markdown,
                "link",
            ),
            ("x <b>{{ contact.first_name }}</b> y", Format::Html, "bold"),
        ] {
            let found = composed(source, format, contact()).unwrap();
            let (text, entities) = shown(&found);
            assert_eq!(text, format!("x {name} y"), "{source}");
            assert_eq!(entities.len(), 1, "{source} {name:?}");
            let expected = format!("{kind}({name}").to_lowercase();
            assert!(
                entities[0].to_lowercase().starts_with(&expected),
                "{entities:?}"
            );
        }
    }
    // Nor does an author's backslash before a value, or a value in a link, open a way.
    for name in ["*", "x) **y** (", "\"><b>x</b>", "[a](https://evil.org)"] {
        let contact = || Contact {
            first_name: Some(name.into()),
            ..Contact::default()
        };
        let found = composed(
            "\\{{ contact.first_name }}a\\{{ contact.first_name }}",
            Format::Markdown,
            contact(),
        )
        .unwrap();
        assert_eq!(found.entities, [], "{name}");
        for (source, format) in [
            (
                "[t](https://a.b/{{ contact.first_name }})",
                Format::Markdown,
            ),
            (
                "<a href=\"https://a.b/{{ contact.first_name }}\">t</a>",
                Format::Html,
            ),
        ] {
            let found = composed(source, format, contact()).unwrap();
            assert_eq!(found.text, "t", "{name}");
            assert_eq!(found.entities.len(), 1, "{name}");
        }
    }
}

#[test]
fn white_space_at_the_ends_is_trimmed_and_entities_with_it() {
    check(
        Format::Html,
        &[
            ("  \n<b> a </b>\n ", "a", &["bold(a)"]),
            ("<b>a\n\n</b>", "a", &["bold(a)"]),
            ("\u{a0}<i>x</i>\u{3000}", "x", &["italic(x)"]),
            (" <b>  </b> x", "x", &[]),
        ],
    );
    check(Format::Plain, &[("\n a \n b \n", "a \n b", &[])]);
}

/// Texts full of what markup is made of.
fn nasty() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("*"),
            Just("**"),
            Just("_"),
            Just("~~"),
            Just("`"),
            Just("```"),
            Just("["),
            Just("]"),
            Just("("),
            Just(")"),
            Just("](https://a.b)"),
            Just("\\"),
            Just("<"),
            Just("</b>"),
            Just("<b>"),
            Just("<a href=\""),
            Just("\">"),
            Just("&amp;"),
            Just("&"),
            Just("&#"),
            Just(";"),
            Just("\n"),
            Just("\n\n"),
            Just(" "),
            Just("a"),
            Just("ж"),
            Just("👍"),
            Just("\u{301}"),
            Just("\""),
            Just("'"),
            Just("{{"),
            Just("%}"),
            Just("\u{1b}"),
            Just("\u{fffc}"),
            Just("<pre>"),
            Just("</pre>"),
        ],
        0..24,
    )
    .prop_map(|parts| parts.concat())
}

fn sound(formatted: &Formatted) {
    let units: Vec<u16> = formatted.text.encode_utf16().collect();
    assert_eq!(formatted.units(), units.len());
    assert_eq!(formatted.text.trim(), formatted.text);
    let mut last = (0, usize::MAX);
    for entity in &formatted.entities {
        assert!(
            entity.length > 0 && entity.offset + entity.length <= units.len(),
            "{formatted:?}"
        );
        // Never in the middle of a character.
        assert!(String::from_utf16(&units[entity.offset..entity.offset + entity.length]).is_ok());
        let place = (entity.offset, usize::MAX - entity.length);
        assert!(
            last.0 < place.0
                || (last.0 == place.0 && last.1 >= entity.length)
                || last.1 == usize::MAX,
            "{formatted:?}"
        );
        last = (entity.offset, entity.length);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_escaped_value_is_itself_and_no_entity(value in prop_oneof![nasty(), ".{0,40}"]) {
        let kept: String = value.chars().filter(|c| !matches!(c, '\r' | '\u{1b}')).collect();
        for format in [Format::Plain, Format::Markdown, Format::Html] {
            let markup = format!("x{}x", escape(&kept, format));
            let found = format_text(&markup, format).unwrap();
            prop_assert_eq!(&found.text, &format!("x{kept}x"));
            prop_assert_eq!(&found.entities, &vec![]);
        }
    }

    #[test]
    fn any_markup_is_formatted_soundly_or_refused(markup in prop_oneof![nasty(), ".{0,60}"]) {
        for format in [Format::Plain, Format::Markdown, Format::Html] {
            match format_text(&markup, format) {
                Ok(found) => sound(&found),
                Err(problem) => {
                    prop_assert_eq!(format, Format::Html);
                    prop_assert!(problem.offset < markup.len() && markup.is_char_boundary(problem.offset));
                }
            }
        }
    }

    #[test]
    fn a_value_never_changes_the_markup_around_it(value in nasty()) {
        prop_assume!(!value.trim().is_empty());
        let kept: String = value.chars().filter(|c| *c != '\u{1b}').collect();
        prop_assume!(!kept.trim().is_empty());
        let contact = Contact { first_name: Some(value), ..Contact::default() };
        for (source, format) in [
            ("a **b {{ contact.first_name }} c** [d {{ contact.first_name }}](https://e.f) `g` z", Format::Markdown),
            ("a <b>b {{ contact.first_name }} c</b> <a href='https://e.f'>d {{ contact.first_name }}</a> <code>g</code> z", Format::Html),
        ] {
            let found = composed(source, format, contact.clone()).unwrap();
            sound(&found);
            let kept = if format == Format::Html { contact.first_name.clone().unwrap() } else { kept.clone() };
            prop_assert_eq!(&found.text, &format!("a b {kept} c d {kept} g z"));
            prop_assert_eq!(found.entities.len(), 3);
        }
    }

    #[test]
    fn compiling_and_rendering_anything_never_panics(source in prop_oneof![nasty(), template_soup()]) {
        for format in [Format::Plain, Format::Markdown, Format::Html] {
            if let Ok(template) = Template::compile(&source, format, &Names::default()) {
                let bound = template.static_length_lower_bound();
                match compose(&template, None, false, &World::new(anna()).context()) {
                    Ok(found) => {
                        sound(&found);
                        prop_assert!(bound <= found.units(), "{} > {}", bound, found.units());
                    }
                    Err(ComposeError::TooLong { units, .. }) => prop_assert!(bound <= units),
                    Err(ComposeError::TemplateError(sentence)) => prop_assert!(!sentence.is_empty()),
                    Err(ComposeError::Empty) => prop_assert_eq!(bound, 0),
                }
            }
        }
    }
}

fn template_soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("{{ contact.first_name }}"),
            Just("{{ contact.phone }}"),
            Just("{% if contact.id %}"),
            Just("{% else %}"),
            Just("{% endif %}"),
            Just("{% for x in range(3) %}"),
            Just("{{ x }}"),
            Just("{% endfor %}"),
            Just(" text "),
            Just("**"),
            Just("<b>"),
            Just("</b>"),
            Just("\n"),
            Just("{{ now|date }}"),
            Just("{{ '<b>'|safe }}"),
            Just("{{ contact['id'] }}"),
            Just("{#"),
            Just("#}"),
            Just("{% set x = 1 %}"),
            Just("{{ 1 / 0 }}"),
            Just("&amp;"),
            Just("_"),
            Just("{{"),
            Just("}}"),
        ],
        0..10,
    )
    .prop_map(|parts| parts.concat())
}

/// Texts made to cost much: each is formatted in a blink, or cut short by a limit.
#[test]
fn hostile_markup_costs_little() {
    let started = std::time::Instant::now();
    let many = |part: &str| part.repeat(64 * 1024 / part.len());
    for part in [
        "*",
        "*a",
        "*a ",
        "a*",
        "**a_",
        "_*~~",
        "[",
        "]",
        "[]",
        "[a](",
        "](",
        "*]",
        "[*](",
        "`",
        "``a`",
        "` ``",
        "(",
        "\\",
        "\n\n",
        " \n",
        "[a](b.c)",
        "*a*",
        "~~a~~",
        "<",
        "<b>",
        "</b>",
        "<a href=\"",
        "&",
        "&#",
        "&amp;",
        "<b><i></b>",
        "<pre>",
        "<a href=b.c>",
    ] {
        for format in [Format::Markdown, Format::Html] {
            if let Ok(found) = format_text(&many(part), format) {
                sound(&found);
            }
        }
    }
    // Measured: 2 s together, unoptimised on a busy machine.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
