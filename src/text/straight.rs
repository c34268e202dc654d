//! Templates that only put a person's texts between fixed ones: most are. They are put together here, without the
//! engine, which builds a value for everything that a person has before it looks at the first word.

use minijinja::machinery::ast::{self, CallArg, Expr};

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
enum Which {
    FirstName,
    LastName,
    Username,
    Phone,
    Field(String),
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
                    let phone = contact.e164().filter(|_| matches!(which, Which::Phone));
                    let known = match which {
                        Which::FirstName => contact.first_name.as_deref(),
                        Which::LastName => contact.last_name.as_deref(),
                        Which::Username => contact.username.as_deref(),
                        Which::Phone => phone.as_deref(),
                        Which::Field(name) => contact.fields.get(name).map(String::as_str),
                    };
                    // An empty cell counts as lacking.
                    let known = known.filter(|text| !text.trim().is_empty());
                    out.push_str(known.or(otherwise.as_deref())?);
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
    use crate::text::{CampaignFacts, Context, Format, Names, Template};
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
