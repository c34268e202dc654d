//! `filters.where`.

use super::super::*;
use super::{World, anna};
use crate::model::Contact;

pub(super) fn holds(source: &str, contact: Contact) -> bool {
    let expression = Expression::compile(source, &Names::default())
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    let world = World::new(contact);
    expression.holds(&Context {
        account: None,
        ..world.context()
    })
}

#[test]
fn a_where_expression_never_errors_on_what_is_missing() {
    for (source, for_anna, for_nobody) in [
        (
            "contact.first_name and contact.fields.city == \"Kazan\"",
            true,
            false,
        ),
        ("contact.premium", true, false),
        ("not contact.premium", false, true),
        ("contact.fields.age|int > 30", true, false),
        ("contact.fields.age < '40'", true, false),
        (
            "contact.fields.age < '40' and '30' <= contact.fields.age",
            true,
            false,
        ),
        ("contact.fields['age'] >= '30'", true, false),
        ("contact.username is defined", true, false),
        ("contact.fields.city in ['Kazan', 'Ufa']", true, false),
        ("'aza' in contact.fields.city", true, false),
        ("contact.first_name|upper == 'ANNA'", true, false),
        ("contact.first_name|length == 4", true, false),
        ("contact.first_name|int == 3", false, false),
        ("contact.first_name ~ 'x' == 'Annax'", true, false),
        ("contact.first_name[0] == 'A'", true, false),
        ("contact.fields.city is startingwith('K')", true, false),
        ("campaign.run == 2 and now.year == 2026", true, true),
        ("{'a': {'b': 1}}.a.b == 1", true, true),
        ("contact.fields.city == '%}'", false, false),
        ("range(100000000)|list|length > 1", false, false),
    ] {
        assert_eq!(holds(source, anna()), for_anna, "{source}");
        assert_eq!(holds(source, Contact::default()), for_nobody, "{source}");
    }
}

#[test]
fn a_where_expression_is_checked_as_templates_are() {
    for (source, code, column, suggestion) in [
        (
            "contact.frist_name",
            "unknown-attribute",
            9,
            Some("first_name"),
        ),
        ("premium", "unknown-variable", 1, Some("contact.premium")),
        ("account.name == 'x'", "unknown-variable", 1, None),
        ("contact.id|itn", "unknown-filter", 12, Some("int")),
        ("contact.id is od", "unknown-test", 15, Some("odd")),
        ("contact.first_name = 'x'", "template-syntax", 20, None),
        ("", "template-syntax", 1, None),
        ("contact.id %}x{% if 1", "template-syntax", 13, None),
    ] {
        let found = Expression::compile(source, &Names::default()).unwrap_err();
        assert_eq!(
            (
                found[0].code,
                found[0].column,
                found[0].suggestion.as_deref()
            ),
            (code, column, suggestion),
            "{source}: {found:?}"
        );
    }
}
