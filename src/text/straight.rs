//! Templates that only put a person's texts between fixed ones, and conditions that only hold them against fixed ones:
//! most are. They are decided here, without the engine, which builds a value for everything that a person has before it
//! looks at the first word.

use std::borrow::Cow;

use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};

use super::Format;
use crate::model::Contact;

/// The parts of such a template.
#[derive(Debug, Clone)]
pub(super) struct Straight(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Fixed(String),
    /// A text of the person, or the other one where he lacks it; without the other one that fails him.
    Of(Which, Option<String>),
}

#[derive(Debug, Clone)]
pub(super) enum Which {
    FirstName,
    LastName,
    Username,
    Phone,
    Field(String),
}

impl Which {
    /// The person's own; an empty cell counts as lacking.
    fn of<'a>(&self, contact: &'a Contact) -> Option<Cow<'a, str>> {
        let known = match self {
            Which::FirstName => contact.first_name.as_deref(),
            Which::LastName => contact.last_name.as_deref(),
            Which::Username => contact.username.as_deref(),
            Which::Phone => return contact.e164().map(Cow::Owned),
            Which::Field(name) => contact.fields.get(name).map(String::as_str),
        };
        known
            .filter(|text| !text.trim().is_empty())
            .map(Cow::Borrowed)
    }
}

/// A condition of that kind: a million people are held against it in a moment.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Has(Which),
    /// Is one of these.
    Is(Which, Vec<String>),
    Premium,
    Not(Box<Condition>),
    Both(Box<[Condition; 2]>),
    Either(Box<[Condition; 2]>),
}

impl Condition {
    /// The condition, where it asks for nothing else.
    pub(super) fn of(expr: &Expr<'_>) -> Option<Condition> {
        Some(match expr {
            Expr::GetAttr(attr)
                if attr.name == "premium"
                    && matches!(&attr.expr, Expr::Var(var) if var.id == "contact") =>
            {
                Condition::Premium
            }
            Expr::GetAttr(_) => Condition::Has(which(expr)?),
            Expr::UnaryOp(operation) => match operation.op {
                UnaryOpKind::Not => Condition::Not(Box::new(Condition::of(&operation.expr)?)),
                UnaryOpKind::Neg => return None,
            },
            Expr::BinOp(operation) => {
                let (left, right) = (&operation.left, &operation.right);
                let both = || Some(Box::new([Condition::of(left)?, Condition::of(right)?]));
                match operation.op {
                    BinOpKind::ScAnd => Condition::Both(both()?),
                    BinOpKind::ScOr => Condition::Either(both()?),
                    BinOpKind::Eq => Condition::is(left, right)?,
                    BinOpKind::Ne => Condition::Not(Box::new(Condition::is(left, right)?)),
                    BinOpKind::In => match right {
                        Expr::List(list) => {
                            let texts = list.items.iter().map(text).collect::<Option<_>>()?;
                            Condition::Is(which(left)?, texts)
                        }
                        _ => return None,
                    },
                    _ => return None,
                }
            }
            Expr::Compare(compare) => {
                let [operand] = compare.ops.as_slice() else {
                    return None;
                };
                let is = Condition::is(&compare.expr, &operand.expr)?;
                match operand.op {
                    CompareOpKind::Eq => is,
                    CompareOpKind::Ne => Condition::Not(Box::new(is)),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn is(left: &Expr<'_>, right: &Expr<'_>) -> Option<Condition> {
        let of = |person: &Expr<'_>, fixed: &Expr<'_>| {
            Some(Condition::Is(which(person)?, vec![text(fixed)?]))
        };
        of(left, right).or_else(|| of(right, left))
    }

    /// Whether it holds for a person.
    pub(super) fn holds(&self, contact: &Contact) -> bool {
        match self {
            Condition::Has(which) => which.of(contact).is_some(),
            Condition::Is(which, texts) => which
                .of(contact)
                .is_some_and(|own| texts.iter().any(|text| *text == own)),
            Condition::Premium => contact.premium == Some(true),
            Condition::Not(other) => !other.holds(contact),
            Condition::Both(of) => of.iter().all(|one| one.holds(contact)),
            Condition::Either(of) => of.iter().any(|one| one.holds(contact)),
        }
    }
}

fn text(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Const(fixed) => fixed.value.as_str().map(str::to_owned),
        _ => None,
    }
}

impl Straight {
    /// The parts, where there is nothing else in it. Only of plain texts: in the others values are escaped.
    pub(super) fn of(tree: &ast::Stmt<'_>, format: Format) -> Option<Straight> {
        let ast::Stmt::Template(template) = tree else {
            return None;
        };
        if format != Format::Plain {
            return None;
        }
        template
            .children
            .iter()
            .map(|child| match child {
                ast::Stmt::EmitRaw(raw) => Some(Part::Fixed(raw.raw.to_owned())),
                ast::Stmt::EmitExpr(emit) => expression(&emit.expr),
                _ => None,
            })
            .collect::<Option<Vec<Part>>>()
            .map(Straight)
    }

    /// The text for a person. `None` where he lacks something or it grows beyond any message: the engine then says what
    /// is wrong.
    pub(super) fn render(&self, contact: &Contact, most: usize) -> Option<String> {
        let mut out = String::with_capacity(128);
        for part in &self.0 {
            match part {
                Part::Fixed(text) => out.push_str(text),
                Part::Of(which, otherwise) => {
                    let own = which.of(contact);
                    out.push_str(own.as_deref().or(otherwise.as_deref())?);
                }
            }
            if out.len() > most {
                return None;
            }
        }
        Some(out)
    }
}

fn expression(expr: &Expr<'_>) -> Option<Part> {
    match expr {
        Expr::GetAttr(_) => Some(Part::Of(which(expr)?, None)),
        Expr::Filter(filter) if filter.name == "default" => {
            let [CallArg::Pos(Expr::Const(otherwise))] = filter.args.as_slice() else {
                return None;
            };
            let otherwise = otherwise.value.as_str()?.to_owned();
            Some(Part::Of(which(filter.expr.as_ref()?)?, Some(otherwise)))
        }
        _ => None,
    }
}

fn which(expr: &Expr<'_>) -> Option<Which> {
    let Expr::GetAttr(attr) = expr else {
        return None;
    };
    match &attr.expr {
        Expr::Var(var) if var.id == "contact" => Some(match attr.name {
            "first_name" => Which::FirstName,
            "last_name" => Which::LastName,
            "username" => Which::Username,
            "phone" => Which::Phone,
            _ => return None,
        }),
        Expr::GetAttr(inner) if inner.name == "fields" => match &inner.expr {
            Expr::Var(var) if var.id == "contact" => Some(Which::Field(attr.name.to_owned())),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Contact;
    use crate::text::{CampaignFacts, Context, Expression, Format, Names, Template};
    use crate::time::Zone;

    /// The way through the engine: the same text in a form that is not straight.
    fn by_the_engine(source: &str) -> String {
        format!("{{% if true %}}{source}{{% endif %}}")
    }

    #[test]
    fn a_straight_template_says_what_the_engine_says() {
        let people = [
            Contact::default(),
            Contact {
                first_name: Some("Anna <b>".into()),
                last_name: Some("  ".into()),
                username: Some("anna".into()),
                phone: Some("15550100".into()),
                fields: [
                    ("city".to_owned(), "Kazan".to_owned()),
                    ("empty".to_owned(), String::new()),
                ]
                .into(),
                ..Contact::default()
            },
        ];
        let campaign = CampaignFacts::default();
        for source in [
            "Hi!",
            "Hi {{ contact.first_name }}!",
            "Hi {{ contact.first_name | default('there') }}!\nBye",
            "{{ contact.last_name | default(\"you\") }}{{ contact.username }}",
            "{{contact.phone}} {{ contact.fields.city }} {{ contact.fields.empty | default('none') }}",
            "  {{- contact.first_name | default('x') -}}  y",
            "a {# remark #}{{ contact.fields.nowhere | default('z') }}",
        ] {
            let straight = Template::compile(source, Format::Plain, &Names::default()).unwrap();
            assert!(straight.is_straight(), "{source}");
            let engine =
                Template::compile(&by_the_engine(source), Format::Plain, &Names::default())
                    .unwrap();
            assert!(!engine.is_straight());
            for contact in &people {
                let context = Context {
                    contact,
                    campaign: &campaign,
                    account: None,
                    now: crate::model::Timestamp(0),
                    zone: Zone::UTC,
                    step: 0,
                    invite_link: None,
                };
                match (straight.render(&context), engine.render(&context)) {
                    (Ok(one), Ok(other)) => assert_eq!(one, other, "{source}"),
                    (Err(_), Err(_)) => {}
                    (one, other) => panic!("{source}: {one:?}, by the engine {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_straight_condition_holds_where_the_engine_says_so() {
        let people = [
            Contact::default(),
            Contact {
                first_name: Some("Anna".into()),
                last_name: Some("  ".into()),
                username: Some("anna".into()),
                premium: Some(true),
                fields: [
                    ("city".to_owned(), "Kazan".to_owned()),
                    ("empty".to_owned(), String::new()),
                ]
                .into(),
                ..Contact::default()
            },
            Contact {
                first_name: Some("Kazan".into()),
                premium: Some(false),
                phone: Some("15550100".into()),
                fields: [("city".to_owned(), "kazan".to_owned())].into(),
                ..Contact::default()
            },
        ];
        let campaign = CampaignFacts::default();
        for source in [
            "contact.first_name",
            "not contact.last_name",
            "contact.premium",
            "contact.premium or contact.phone",
            "contact.phone == '+15550100'",
            "contact.phone == '15550100'",
            "contact.fields.city == 'Kazan'",
            "'Kazan' == contact.fields.city",
            "contact.fields.city != 'Kazan'",
            "contact.fields.nowhere == ''",
            "contact.fields.nowhere != 'x' and contact.fields.empty != ''",
            "contact.first_name and contact.fields.city == \"Kazan\"",
            "contact.fields.city in ['Kazan', 'Ufa']",
            "contact.fields.city not in ['Kazan', 'Ufa'] or contact.username == 'anna'",
            "not (contact.username or contact.fields.empty in ['', 'x'])",
        ] {
            let it = Expression::compile(source, &Names::default()).unwrap();
            assert!(it.is_straight(), "{source}");
            // The same in a form that is not straight.
            let engine =
                Expression::compile(&format!("({source}) and 1 == 1"), &Names::default()).unwrap();
            assert!(!engine.is_straight());
            for contact in &people {
                let context = Context {
                    contact,
                    campaign: &campaign,
                    account: None,
                    now: crate::model::Timestamp(0),
                    zone: Zone::UTC,
                    step: 0,
                    invite_link: None,
                };
                assert_eq!(
                    it.holds(&context),
                    engine.holds(&context),
                    "{source} of {contact:?}"
                );
            }
        }
        for source in [
            "contact.id == 5",
            "contact.fields.age == 5",
            "contact.first_name | length > 3",
            "contact.first_name == contact.username",
            "contact.fields.city < 'Kazan'",
            "now",
        ] {
            let it = Expression::compile(source, &Names::default()).unwrap();
            assert!(!it.is_straight(), "{source}");
        }
    }

    #[test]
    fn whatever_computes_goes_through_the_engine() {
        for source in [
            "{{ contact.first_name | upper }}",
            "{% if contact.premium %}a{% endif %}",
            "{{ contact.first_name | default('a', true) }}",
            "{{ contact.id }}",
            "{{ campaign.name }}",
        ] {
            let it = Template::compile(source, Format::Plain, &Names::default()).unwrap();
            assert!(!it.is_straight(), "{source}");
        }
        for format in [Format::Markdown, Format::Html] {
            let it =
                Template::compile("{{ contact.first_name }}", format, &Names::default()).unwrap();
            assert!(!it.is_straight(), "values are escaped");
        }
    }
}
