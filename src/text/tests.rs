use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::{Contact, Timestamp};
use crate::time::Zone;

fn anna() -> Contact {
    Contact {
        id: Some(42),
        first_name: Some("Anna".into()),
        last_name: Some("Weiß".into()),
        username: Some("anna_w".into()),
        premium: Some(true),
        fields: BTreeMap::from([
            ("city".to_string(), "Kazan".to_string()),
            ("age".to_string(), "34".to_string()),
            ("empty".to_string(), "  ".to_string()),
        ]),
        ..Contact::default()
    }
}

fn campaign() -> CampaignFacts {
    CampaignFacts {
        name: "spring".into(),
        title: Some("Spring & more".into()),
        labels: BTreeMap::from([("product".to_string(), "pro".to_string())]),
        run: 2,
    }
}

struct World {
    contact: Contact,
    campaign: CampaignFacts,
    account: AccountFacts<'static>,
}

impl World {
    fn new(contact: Contact) -> World {
        World {
            contact,
            campaign: campaign(),
            account: AccountFacts {
                name: "sales-1",
                first_name: Some("Mia"),
                username: None,
            },
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            contact: &self.contact,
            campaign: &self.campaign,
            account: Some(self.account),
            // 2026-12-01T09:00 in Berlin, a Tuesday.
            now: Timestamp(1_796_112_000_000),
            zone: Zone::parse("Europe/Berlin").unwrap(),
            step: 1,
            invite_link: None,
        }
    }
}

fn compile(source: &str, format: Format) -> Template {
    Template::compile(source, format, &Names::default())
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"))
}

fn composed(source: &str, format: Format, contact: Contact) -> Result<Formatted, ComposeError> {
    let world = World::new(contact);
    compose(&compile(source, format), None, false, &world.context())
}

fn text_of(source: &str, contact: Contact) -> String {
    composed(source, Format::Plain, contact).unwrap().text
}

fn problems(source: &str, format: Format) -> Vec<TemplateProblem> {
    Template::compile(source, format, &Names::default())
        .err()
        .unwrap_or_default()
}

// ---- the context ----

#[test]
fn a_template_knows_the_names_of_the_contract() {
    for (source, expected) in [
        ("{{ contact.id }}", "42"),
        (
            "{{ contact.first_name }} {{ contact.last_name }}",
            "Anna Weiß",
        ),
        ("{{ contact.full_name }}", "Anna Weiß"),
        ("{{ contact['first_name'] }}", "Anna"),
        ("@{{ contact.username }}", "@anna_w"),
        (
            "{{ contact.fields.city }}/{{ contact.fields['age']|int + 1 }}",
            "Kazan/35",
        ),
        (
            "{{ campaign.name }} {{ campaign.title }} {{ campaign.labels.product }} {{ campaign.run }}",
            "spring Spring & more pro 2",
        ),
        ("{{ account.name }} {{ account.first_name }}", "sales-1 Mia"),
        ("{{ step }}", "1"),
        ("{{ now }}", "2026-12-01T09:00:00+01:00"),
        ("{{ now|date('%d.%m.%Y %H:%M') }}", "01.12.2026 09:00"),
        (
            "{{ now|date('%d.%m', days=31) }} {{ now|date }}",
            "01.01 2026-12-01",
        ),
        (
            "{{ now.hour }} {{ now.weekday }}{% if now.hour < 12 %} morning{% endif %}",
            "9 Tuesday morning",
        ),
        (
            "https://x.org/?n={{ contact.full_name|urlencode }}",
            "https://x.org/?n=Anna%20Wei%C3%9F",
        ),
        ("{{ contact.full_name|truncate(5) }}", "Anna…"),
        (
            "{% for k, v in contact.fields|items %}{{ k }}={{ v }};{% endfor %}",
            "age=34;city=Kazan;",
        ),
        (
            "{{ [contact.first_name, contact.last_name]|join(' ') }}",
            "Anna Weiß",
        ),
    ] {
        assert_eq!(text_of(source, anna()), expected, "{source}");
    }
}

#[test]
fn columns_may_be_named_in_any_script() {
    let mut contact = anna();
    contact.fields.insert("Город".into(), "Казань".into());
    contact
        .fields
        .insert("Дата рождения".into(), "1.2.1990".into());
    let source = "{{ contact.fields.Город }} {{ contact.fields['Дата рождения'] }}";
    assert_eq!(text_of(source, contact.clone()), "Казань 1.2.1990");
    let source = "{% if contact.fields.Город|lower == 'казань' %}да{% endif %}";
    assert_eq!(text_of(source, contact.clone()), "да");
    assert!(expressions::holds(
        "contact.fields.Город == 'Казань'",
        contact
    ));
}

#[test]
fn what_a_person_lacks_is_undefined() {
    for (source, expected) in [
        (
            "Hi {{ contact.first_name | default('there') }}!",
            "Hi there!",
        ),
        ("Hi {{ contact.first_name or 'there' }}!", "Hi there!"),
        (
            "{% if contact.first_name %}yes{% else %}no{% endif %}",
            "no",
        ),
        ("{% if not contact.premium %}no{% endif %}", "no"),
        (
            "{% if contact.first_name is defined %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{{ contact.full_name|default(contact.username)|default('friend') }}",
            "friend",
        ),
        ("{{ contact.fields.city|default('-') }}", "-"),
        (
            "{% if contact.fields.city == 'Kazan' %}yes{% else %}no{% endif %}",
            "no",
        ),
        ("x{{ invite_link|default('') }}", "x"),
        // In conditions and comparisons it is false, filtered or not.
        (
            "{% if contact.fields.city|lower == 'kazan' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact['fields']['city'] in ['Kazan'] %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if 'a' in contact.first_name %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.fields.age|int > 30 %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.first_name|length > 3 %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if 'a' == contact.first_name == 'b' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.first_name is startingwith('A') %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.first_name[0] == 'A' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{{ 'yes' if contact.fields.city == 'Kazan' else 'no' }}",
            "no",
        ),
        (
            "{% set local = contact.fields.city == 'Kazan' %}{{ 'yes' if local else 'no' }}",
            "no",
        ),
        (
            "{% set c = contact.fields.city %}{% if c == 'Kazan' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% for x in [1] if contact.first_name == 'A' %}yes{% else %}no{% endfor %}",
            "no",
        ),
        (
            "{% if contact.fields.joined < '2026-01-01' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.fields.joined <= '2026-01-01' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.fields.joined > '2026-01-01' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if '2026-01-01' < contact.fields.joined %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if '2026-01-01' >= contact.fields.joined %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if '2025' < contact.fields.joined < '2026' %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if contact.id < 5 or contact.id > 5 %}yes{% else %}no{% endif %}",
            "no",
        ),
        (
            "{% if invite_link == 'x' %}yes{% elif step > 5 %}yes{% else %}no{% endif %}",
            "no",
        ),
    ] {
        assert_eq!(text_of(source, Contact::default()), expected, "{source}");
    }
    // And for who has it the same conditions hold.
    for source in [
        "{% if contact.fields.city|lower == 'kazan' %}yes{% endif %}",
        "{% if contact['fields']['city'] in ['Kazan'] %}yes{% endif %}",
        "{% if contact.fields.age|int > 30 and contact.first_name[0] == 'A' %}yes{% endif %}",
        "{% for x in contact.fields|items if x[0] == 'city' %}yes{% endfor %}",
        "{% if 20 < contact.fields.age|int < 40 %}yes{% endif %}",
    ] {
        assert_eq!(text_of(source, anna()), "yes", "{source}");
    }
    // An empty cell of a list is lacking as well.
    assert_eq!(
        text_of("{{ contact.fields.empty|default('-') }}", anna()),
        "-"
    );
    // Half a name is a name.
    let half = Contact {
        last_name: Some("Weiß".into()),
        ..Contact::default()
    };
    assert_eq!(text_of("{{ contact.full_name }}", half), "Weiß");
}

#[test]
fn printing_what_a_person_lacks_fails_and_names_it() {
    for (source, named) in [
        ("Hi {{ contact.first_name }}!", "contact.first_name"),
        ("Hi\n{{ contact['first_name'] }}!", "contact['first_name']"),
        ("{{ contact.fields.city }}", "contact.fields.city"),
        ("{{ contact.fields.city|upper }}", "contact.fields.city"),
        ("{{ 'Hi ' ~ contact.first_name }}", "contact.first_name"),
        ("{{ 'Hi ' + contact.first_name }}", "contact.first_name"),
        ("{{ contact.first_name|e }}", "contact.first_name"),
        ("{{ [contact.first_name, 'x']|join }}", "contact.first_name"),
        (
            "{{ '%s'|format(contact.first_name) }}",
            "contact.first_name",
        ),
        ("{{ contact.fields.age|int }}", "contact.fields.age"),
        (
            "{% set n = contact.first_name %}{{ n }}",
            "contact.first_name",
        ),
        (
            "{% macro hi(n) %}Hi {{ n }}{% endmacro %}{{ hi(contact.first_name) }}",
            "contact.first_name",
        ),
        ("{{ invite_link }}", "invite_link"),
        ("{{ account.username }}", "account.username"),
    ] {
        let error = composed(source, Format::Plain, Contact::default()).unwrap_err();
        let ComposeError::TemplateError(sentence) = &error else {
            panic!("{source}: {error:?}");
        };
        assert!(sentence.contains(named), "{source}: {sentence}");
        assert!(sentence.contains("line"), "{source}: {sentence}");
    }
}

#[test]
fn a_template_that_cannot_be_computed_fails_with_a_sentence() {
    for (source, said) in [
        (
            "{{ contact.first_name|int }}",
            "in {{ contact.first_name|int }} (line 1 of the template)",
        ),
        (
            "{% if contact.id == 42 %}\n{{ contact.fields.age / 0 }}{% endif %}",
            "in {{ contact.fields.age / 0 }} (line 2",
        ),
        (
            "{% for i in range(99999) %}x{% endfor %}",
            "computes too much",
        ),
    ] {
        let error = composed(source, Format::Plain, anna()).unwrap_err();
        assert!(
            matches!(&error, ComposeError::TemplateError(sentence) if sentence.contains(said)),
            "{error}"
        );
    }
}

#[test]
fn bombs_are_stopped() {
    for source in [
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% set x = 'a' * 1000000000 %}{{ x }}",
        "{{ 'a' * 100000 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ range(100000)|join('xxxxxxxxxxxxxxxxxxxx') }}",
        "{{ ('x' * 9000)|replace('x', 'x' * 9000)|replace('x', 'x' * 9000) }}",
        "{{ '%9999999999d'|format(1) }}",
        "{{ (2 ** 60) ** 60 }}",
        "{% for i in range(9000) %}{{ 'abcdefghijklmnopqrstuvwxyz' }}{% endfor %}",
    ] {
        let error = composed(source, Format::Markdown, anna()).unwrap_err();
        assert!(
            matches!(
                error,
                ComposeError::TemplateError(_) | ComposeError::TooLong { .. }
            ),
            "{source}: {error}"
        );
    }
}

#[test]
fn monstrous_sources_are_refused_and_not_walked() {
    let chain = |part: &str, n: usize| format!("{{{{ 1{} }}}}", part.repeat(n));
    let sources = [
        chain("+1", 20_000),
        chain("|abs", 20_000),
        chain(".a", 20_000),
        format!("{{{{ {}1 }}}}", "-".repeat(20_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(12_000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(190), "]".repeat(190)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif 1 %}".repeat(4_000)),
        format!(
            "{}{}",
            "{% if 1 %}".repeat(2_000),
            "{% endif %}".repeat(2_000)
        ),
        "x".repeat(70_000),
    ];
    for source in &sources {
        // A small stack, as threads of a runtime have.
        let shown: String = source.chars().take(40).collect();
        let owned = source.clone();
        let found = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || Template::compile(&owned, Format::Html, &Names::default()).is_err())
            .unwrap()
            .join();
        assert!(found.unwrap_or(false), "{shown}");
    }
    // What is just within the limits is walked and rendered.
    let longest = [
        chain("+1", 190),
        chain("|abs", 190),
        format!("{{{{ {}1 }}}}", "not ".repeat(120)),
    ];
    for source in longest {
        let ok = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || composed(&source, Format::Plain, anna()).is_ok())
            .unwrap()
            .join();
        assert!(ok.unwrap_or(false));
    }
}

// ---- the checks ----

#[test]
fn every_unknown_name_is_found_with_its_place() {
    // (source, code, line, column, length, suggestion)
    type Case = (
        &'static str,
        &'static str,
        usize,
        usize,
        usize,
        Option<&'static str>,
    );
    let cases: &[Case] = &[
        (
            "Hi {{ contact.frist_name }}",
            "unknown-attribute",
            1,
            15,
            10,
            Some("first_name"),
        ),
        (
            "Привет, {{ contact.frist_name }}",
            "unknown-attribute",
            1,
            20,
            10,
            Some("first_name"),
        ),
        (
            "a\nb\n  {{ contact.lastname }}",
            "unknown-attribute",
            3,
            14,
            8,
            Some("last_name"),
        ),
        (
            "{{ contact['frist_name'] }}",
            "unknown-attribute",
            1,
            12,
            12,
            Some("first_name"),
        ),
        (
            "{{ contact|attr('frist_name') }}",
            "unknown-attribute",
            1,
            17,
            12,
            Some("first_name"),
        ),
        (
            "{{ first_name }}",
            "unknown-variable",
            1,
            4,
            10,
            Some("contact.first_name"),
        ),
        (
            "{{ conatct.first_name }}",
            "unknown-variable",
            1,
            4,
            7,
            Some("contact"),
        ),
        (
            "{{ user }}",
            "unknown-variable",
            1,
            4,
            4,
            Some("contact.username"),
        ),
        ("{{ xyz }}", "unknown-variable", 1, 4, 3, None),
        (
            "{{ contact.first_name.title }}",
            "unknown-attribute",
            1,
            23,
            5,
            None,
        ),
        (
            "{{ campaign.nmae }}",
            "unknown-attribute",
            1,
            13,
            4,
            Some("name"),
        ),
        ("{{ account.phone }}", "unknown-attribute", 1, 12, 5, None),
        (
            "{{ now.hours }}",
            "unknown-attribute",
            1,
            8,
            5,
            Some("hour"),
        ),
        (
            "{{ contact.first_name|uper }}",
            "unknown-filter",
            1,
            23,
            4,
            Some("upper"),
        ),
        (
            "{{ contact.first_name|tojson }}",
            "unknown-filter",
            1,
            23,
            6,
            None,
        ),
        (
            "{% if contact.first_name is defnied %}{% endif %}",
            "unknown-test",
            1,
            29,
            7,
            Some("defined"),
        ),
        ("{{ rnage(3) }}", "unknown-function", 1, 4, 5, Some("range")),
        ("{{ debug() }}", "unknown-function", 1, 4, 5, None),
        (
            "{{ upper(contact.first_name) }}",
            "unknown-function",
            1,
            4,
            5,
            None,
        ),
        (
            "{{ contact.first_name.upper() }}",
            "unknown-function",
            1,
            23,
            5,
            Some("upper"),
        ),
        (
            "{{ contact.first_name.strip() }}",
            "unknown-function",
            1,
            23,
            5,
            Some("trim"),
        ),
        (
            "{{ now.strftime('%d') }}",
            "unknown-function",
            1,
            8,
            8,
            Some("date"),
        ),
        ("{{ now|date('%Q') }}", "bad-date-format", 1, 13, 4, None),
        (
            "{% for x in [1] %}{{ loop.idx }}{% endfor %}",
            "unknown-attribute",
            1,
            27,
            3,
            None,
        ),
        (
            "{% for x in [1] %}{% endfor %}{{ x }}",
            "unknown-variable",
            1,
            34,
            1,
            None,
        ),
        ("{{ loop.index }}", "unknown-variable", 1, 4, 4, None),
        (
            "{% with a = 1 %}{% endwith %}{{ a }}",
            "unknown-variable",
            1,
            33,
            1,
            None,
        ),
        (
            "{% macro m(a) %}{{ a }}{% endmacro %}{{ a }}",
            "unknown-variable",
            1,
            41,
            1,
            None,
        ),
        (
            "{% set c = contact %}{{ c.frist_name }}",
            "unknown-attribute",
            1,
            27,
            10,
            Some("first_name"),
        ),
        (
            "{{ [1]|map('uper')|list }}",
            "unknown-filter",
            1,
            12,
            6,
            Some("upper"),
        ),
        (
            "{{ [1]|select('od')|list }}",
            "unknown-test",
            1,
            15,
            4,
            Some("odd"),
        ),
        ("{% include 'x' %}", "unsupported-tag", 1, 12, 3, None),
        ("{% extends 'x' %}", "unsupported-tag", 1, 12, 3, None),
        ("{% import 'x' as y %}", "unsupported-tag", 1, 11, 3, None),
        (
            "{% block b %}{% endblock %}",
            "unsupported-tag",
            1,
            10,
            1,
            None,
        ),
        (
            "{{ contact.id if premium else 1 }}",
            "unknown-variable",
            1,
            18,
            7,
            Some("contact.premium"),
        ),
        (
            "{{ {'a': contcat} }}",
            "unknown-variable",
            1,
            10,
            7,
            Some("contact"),
        ),
        (
            "{{ contact.fields.x[nme] }}",
            "unknown-variable",
            1,
            21,
            3,
            None,
        ),
    ];
    for (source, code, line, column, len, suggestion) in cases {
        let found = problems(source, Format::Plain);
        let [problem] = &found[..] else {
            panic!("{source}: {found:?}");
        };
        assert_eq!(
            (
                problem.code,
                problem.line,
                problem.column,
                problem.len,
                problem.suggestion.as_deref()
            ),
            (*code, *line, *column, *len, *suggestion),
            "{source}: {problem:?}"
        );
        assert!(!problem.summary.is_empty() && !problem.detail.is_empty());
    }
}

#[test]
fn names_that_a_template_declares_itself_are_known() {
    for source in [
        "{% for x in [1, 2] %}{{ x }}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}",
        "{% for a, b in contact.fields|items %}{{ a }}{{ b }}{% else %}none{% endfor %}",
        "{% set g = 'Hi' %}{{ g }}",
        "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
        "{% if contact.premium %}{% set g = 'a' %}{% else %}{% set g = 'b' %}{% endif %}{{ g }}",
        "{% set g %}Hi{% endset %}{{ g|upper }}",
        "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}",
        "{% macro m(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(2, b=3) }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}",
        "{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{{ ns.x }}",
        "{% for x in [[1]] recursive %}{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}{% endif %}{% endfor %}",
        "{{ range(3)|map('string')|join(', ') }}{{ dict(a=1).a }}",
        "{% filter upper %}{{ contact.first_name }}{% endfilter %}",
        "{{ contact.fields.anything }}{{ contact.fields['Any thing'] }}",
        "{% raw %}{{ no_such }}{% endraw %}{# {{ no_such }} #}",
        "{{ contact.first_name[0] }}{{ contact.first_name[:2] }}",
    ] {
        compile(source, Format::Plain);
    }
}

#[test]
fn all_problems_of_a_template_are_found_in_one_pass() {
    let found = problems(
        "{{ a }}\n{{ contact.b }}\n{{ 1|c }}\n{{ 1 is d }}\n{{ e() }}",
        Format::Plain,
    );
    let lines: Vec<usize> = found.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5], "{found:?}");
}

#[test]
fn known_columns_and_labels_are_checked_where_they_are_known() {
    let names = Names {
        columns: Some(BTreeSet::from(["city", "plan", "Город"].map(String::from))),
        labels: Some(BTreeSet::from(["product".to_string()])),
    };
    let check = |source| Template::compile(source, Format::Plain, &names).err();
    assert_eq!(
        check("{{ contact.fields.city }}{{ campaign.labels.product }}"),
        None
    );
    for (source, code, suggestion) in [
        ("{{ contact.fields.citty }}", "unknown-column", "city"),
        ("{{ contact.fields['citty'] }}", "unknown-column", "city"),
        ("{{ contact.city }}", "unknown-attribute", "fields.city"),
        ("{{ contact.fields.Горд }}", "unknown-column", "Город"),
        ("{{ campaign.labels.prodct }}", "unknown-label", "product"),
    ] {
        let found = check(source).unwrap();
        assert_eq!(found[0].code, code, "{source}");
        assert_eq!(found[0].suggestion.as_deref(), Some(suggestion), "{source}");
    }
}

#[test]
fn a_column_compared_with_a_number_is_warned_of() {
    for (source, place) in [
        ("contact.fields.age > 30", Some((1, 18))),
        (
            "contact.first_name and 18 <= contact.fields['age']",
            Some((30, 21)),
        ),
        ("10 < contact.fields.age < 20", Some((6, 18))),
        ("contact.fields.age == -1", Some((1, 18))),
        ("contact.fields.age|int > 30", None),
        ("contact.fields.age == '30'", None),
        ("contact.id > 30", None),
    ] {
        let expression = Expression::compile(source, &Names::default()).unwrap();
        let found = expression.warnings().first();
        assert_eq!(found.map(|w| (w.column, w.len)), place, "{source}");
        let template = compile(&format!("{{{{ 1 if {source} else 2 }}}}"), Format::Plain);
        assert_eq!(template.warnings().is_empty(), place.is_none(), "{source}");
    }
}

#[test]
fn syntax_errors_have_their_place() {
    for (source, line, column) in [
        ("a\n{{ contact.first_name", 2, 1),
        ("a {% if contact %}{% for x in [1] %}b{% endfor %}", 1, 3),
        ("{% set a = 1 %}{% set b %}c", 1, 16),
        ("{% if contact", 1, 1),
        ("{% fi %}", 1, 4),
        ("a\nb {{ 1 + }}", 2, 10),
        ("a {{ 'abc }}", 1, 3),
        ("{% for x in %}{% endfor %}", 1, 13),
        ("{{ a b }}", 1, 6),
    ] {
        let found = problems(source, Format::Plain);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert_eq!(found[0].code, "template-syntax", "{source}");
        assert_eq!(
            (found[0].line, found[0].column),
            (line, column),
            "{source}: {:?}",
            found[0]
        );
    }
}

/// The lists that the checks know are those that the engine has.
#[test]
fn the_listed_filters_tests_and_functions_exist() {
    use minijinja::ErrorKind::{UnknownFilter, UnknownFunction, UnknownTest};
    let env = filters::environment(Format::Plain, true);
    for name in filters::FILTERS {
        if let Err(error) = env.render_str(&format!("{{{{ 'x'|{name} }}}}"), ()) {
            assert_ne!(error.kind(), UnknownFilter, "{name}");
        }
    }
    for name in filters::TESTS
        .iter()
        .filter(|name| name.starts_with(char::is_alphabetic))
    {
        if let Err(error) = env.render_str(&format!("{{{{ 1 is {name} }}}}"), ()) {
            assert_ne!(error.kind(), UnknownTest, "{name}");
        }
    }
    for name in filters::FUNCTIONS {
        if let Err(error) = env.render_str(&format!("{{{{ {name}(1) }}}}"), ()) {
            assert_ne!(error.kind(), UnknownFunction, "{name}");
        }
    }
}

mod expressions;
mod formats;
mod lengths;
