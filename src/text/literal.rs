//! What is certain about a text before anybody is known: the literal parts of its template.

use minijinja::machinery::ast;

use super::format::html;
use super::problem::{TemplateProblem, offset_in};
use super::{Format, utf16_len};

/// The parts of a template that stand in every rendering of it, joined.
#[derive(Debug, Clone, Default)]
pub(super) struct Literal {
    certain: String,
    everything: bool,
}

impl Literal {
    pub(super) fn of(tree: &ast::Stmt<'_>) -> Literal {
        let mut literal = Literal {
            certain: String::new(),
            everything: true,
        };
        literal.statement(tree);
        literal
    }

    /// The text that every rendering contains, in this order.
    pub(super) fn certain(&self) -> &str {
        &self.certain
    }

    /// Whether nothing else stands in the template.
    pub(super) fn is_everything(&self) -> bool {
        self.everything
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) {
        match statement {
            ast::Stmt::Template(template) => {
                for child in &template.children {
                    self.statement(child);
                }
            }
            ast::Stmt::EmitRaw(raw) => self.certain.push_str(raw.raw),
            ast::Stmt::IfCond(condition) => {
                self.everything = false;
                let least = [&condition.true_body, &condition.false_body]
                    .into_iter()
                    .map(|body| {
                        let mut branch = Literal::default();
                        for child in body {
                            branch.statement(child);
                        }
                        // White space at an end may be trimmed off, so that it is not certain here.
                        branch.certain.retain(|c| !c.is_whitespace());
                        branch.certain
                    })
                    .min_by_key(|certain| utf16_len(certain));
                self.certain.push_str(&least.unwrap_or_default());
            }
            ast::Stmt::WithBlock(with) => {
                self.everything = false;
                for child in &with.body {
                    self.statement(child);
                }
            }
            ast::Stmt::AutoEscape(block) => {
                self.everything = false;
                for child in &block.body {
                    self.statement(child);
                }
            }
            // Loops may run no time, filters may shorten, macros may not be called.
            _ => self.everything = false,
        }
    }
}

/// The least that certain literal text contributes to the length, whatever stands between its parts:
/// everything that could be markup is left out.
pub(super) fn least_units(certain: &str, format: Format) -> usize {
    let kept: String = match format {
        Format::Plain => certain.to_string(),
        Format::Markdown => without_markdown(certain),
        Format::Html => without_html(certain),
    };
    utf16_len(kept.replace("\r\n", "\n").trim())
}

fn without_markdown(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            // A link's target: up to the parenthesis that closes it, or to where none can be.
            ']' if rest.starts_with('(') => {
                let end = rest.find(')').map_or(rest.len(), |at| at + 1);
                rest = &rest[end..];
            }
            // A fence takes the rest of its line for the language.
            '`' if rest.starts_with("``") => {
                rest = &rest[rest.find('\n').map_or(rest.len(), |at| at + 1)..];
            }
            '*' | '_' | '~' | '`' | '[' | ']' | '\\' | '\u{1b}' => {}
            _ => out.push(c),
        }
    }
    out
}

fn without_html(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '<' => rest = &rest[rest.find('>').map_or(rest.len(), |at| at + 1)..],
            '&' => {
                if let Some(end) = rest.find(';').filter(|end| *end <= 10) {
                    rest = &rest[end + 1..];
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// Problems of a template's markup: of all of it where no tag is conditional, else of each tag's name.
pub(super) fn html_problems(
    source: &str,
    tree: &ast::Stmt<'_>,
    lets_markup_in: bool,
) -> Vec<TemplateProblem> {
    let mut flat = Flat {
        source,
        markup: String::new(),
        places: Vec::new(),
        branches: false,
    };
    flat.statement(tree);
    let whole = !flat.branches && !lets_markup_in;
    html::problems(&flat.markup, whole)
        .into_iter()
        .map(|problem| {
            let range =
                flat.place(problem.offset)..flat.place(problem.offset + problem.len.max(1) - 1) + 1;
            TemplateProblem::at(source, range, "markup", problem.summary, problem.detail)
                .suggest(problem.suggestion)
        })
        .collect()
}

/// The literal parts in the order of the source, with a placeholder for each value.
struct Flat<'s> {
    source: &'s str,
    markup: String,
    /// (offset in `markup`, offset in `source`), ascending.
    places: Vec<(usize, usize)>,
    branches: bool,
}

impl Flat<'_> {
    fn statement(&mut self, statement: &ast::Stmt<'_>) {
        match statement {
            ast::Stmt::Template(template) => self.statements(&template.children),
            ast::Stmt::EmitRaw(raw) => {
                let at = offset_in(self.source, raw.raw);
                self.places.push((self.markup.len(), at));
                self.markup.push_str(raw.raw);
            }
            ast::Stmt::EmitExpr(emit) => {
                let at = emit.expr.span().start_offset as usize;
                self.places.push((self.markup.len(), at));
                self.markup.push(html::PLACEHOLDER);
            }
            ast::Stmt::IfCond(condition) => {
                self.branches = true;
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            ast::Stmt::ForLoop(for_loop) => {
                self.branches = true;
                self.statements(&for_loop.body);
                self.statements(&for_loop.else_body);
            }
            ast::Stmt::WithBlock(with) => self.statements(&with.body),
            ast::Stmt::AutoEscape(block) => self.statements(&block.body),
            ast::Stmt::SetBlock(set) => {
                self.branches = true;
                self.statements(&set.body);
            }
            ast::Stmt::FilterBlock(block) => {
                self.branches = true;
                self.statements(&block.body);
            }
            ast::Stmt::Macro(declared) => {
                self.branches = true;
                self.statements(&declared.body);
            }
            ast::Stmt::CallBlock(block) => {
                self.branches = true;
                self.statements(&block.macro_decl.body);
            }
            _ => {}
        }
    }

    fn statements(&mut self, body: &[ast::Stmt<'_>]) {
        for child in body {
            self.statement(child);
        }
    }

    fn place(&self, offset: usize) -> usize {
        let index = self.places.partition_point(|(at, _)| *at <= offset);
        match index
            .checked_sub(1)
            .and_then(|index| self.places.get(index))
        {
            Some((at, source)) => source + (offset - at),
            None => 0,
        }
    }
}
