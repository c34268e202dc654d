//! What a person lacks is false in conditions, yet an error where it is printed.
//!
//! minijinja's semi-strict mode refuses to compare something undefined, or to filter it, wherever
//! that stands. It has a silent kind of undefined, though, which every operation takes: what
//! `x if …` without `else` yields. So names in conditions and comparisons are compiled as
//! `(name if name is defined)`, and `name.attribute` with both asked in turn. In the order of values
//! undefined comes first, which would make `joined < '2026-01-01'` true; there `{}`, which comes after
//! texts and numbers, stands for it.

use std::ops::Range;

use minijinja::machinery::ast;

use super::problem::offset_in;

/// A source with its conditions made lenient, and the way back to places of the original.
#[derive(Debug, Clone)]
pub(super) struct Lenient {
    pub(super) source: String,
    /// (offset in the new source, offset in the original), ascending: where pieces begin. The
    /// third says that the piece stands for a single place.
    pieces: Vec<(usize, usize, bool)>,
}

impl Lenient {
    /// A template with its conditions made lenient.
    pub(super) fn of(source: &str, tree: &ast::Stmt<'_>) -> Lenient {
        let mut finder = Finder {
            source,
            ranges: Vec::new(),
        };
        finder.statement(tree);
        Lenient::with(source, finder.ranges)
    }

    /// An expression that is a condition as a whole.
    pub(super) fn of_condition(source: &str, tree: &ast::Expr<'_>) -> Lenient {
        let mut finder = Finder {
            source,
            ranges: Vec::new(),
        };
        finder.expression(tree, true);
        Lenient::with(source, finder.ranges)
    }

    fn with(source: &str, ranges: Vec<Found>) -> Lenient {
        let mut ranges = ranges;
        ranges.sort_by_key(|found| found.range.start);
        let mut lenient = Lenient {
            source: String::with_capacity(source.len() + ranges.len() * 40),
            pieces: Vec::new(),
        };
        let mut at = 0;
        for Found {
            range,
            prefixes,
            high,
        } in ranges
        {
            // A comparison within a condition finds its names twice.
            if range.start < at {
                continue;
            }
            let Some(name) = source.get(range.clone()) else {
                continue;
            };
            lenient.pieces.push((lenient.source.len(), at, false));
            lenient.source.push_str(&source[at..range.start]);
            lenient
                .pieces
                .push((lenient.source.len(), range.start, true));
            let asked: Vec<String> = prefixes
                .iter()
                .filter_map(|end| source.get(range.start..*end))
                .map(|prefix| format!("{prefix} is defined"))
                .collect();
            let asked = asked.join(" and ");
            let other = if high { " else {}" } else { "" };
            lenient.source.push('(');
            for part in [name, " if ", &asked, other, ")"] {
                lenient.source.push_str(part);
            }
            at = range.end;
        }
        lenient.pieces.push((lenient.source.len(), at, false));
        lenient.source.push_str(&source[at..]);
        lenient
    }

    /// The place in the original of a place in the new source.
    pub(super) fn original(&self, offset: usize) -> usize {
        let index = self
            .pieces
            .partition_point(|(start, _, _)| *start <= offset);
        match index
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index))
        {
            Some((_, original, true)) => *original,
            Some((start, original, false)) => original + (offset - start),
            None => 0,
        }
    }
}

/// A name with its attributes.
struct Found {
    range: Range<usize>,
    /// Where the parts of it end that must be defined.
    prefixes: Vec<usize>,
    /// Whether it must count as more than anything where it is undefined.
    high: bool,
}

struct Finder<'s> {
    source: &'s str,
    ranges: Vec<Found>,
}

impl Finder<'_> {
    fn statements(&mut self, body: &[ast::Stmt<'_>]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) {
        match statement {
            ast::Stmt::Template(template) => self.statements(&template.children),
            ast::Stmt::EmitExpr(emit) => self.expression(&emit.expr, false),
            ast::Stmt::ForLoop(for_loop) => {
                self.expression(&for_loop.iter, false);
                if let Some(filter) = &for_loop.filter_expr {
                    self.expression(filter, true);
                }
                self.statements(&for_loop.body);
                self.statements(&for_loop.else_body);
            }
            ast::Stmt::IfCond(condition) => {
                self.expression(&condition.expr, true);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            ast::Stmt::WithBlock(with) => {
                for (_, value) in &with.assignments {
                    self.expression(value, false);
                }
                self.statements(&with.body);
            }
            ast::Stmt::Set(set) => self.expression(&set.expr, false),
            ast::Stmt::SetBlock(set) => {
                if let Some(filter) = &set.filter {
                    self.expression(filter, false);
                }
                self.statements(&set.body);
            }
            ast::Stmt::AutoEscape(block) => self.statements(&block.body),
            ast::Stmt::FilterBlock(block) => {
                self.expression(&block.filter, false);
                self.statements(&block.body);
            }
            ast::Stmt::Macro(declared) => {
                for default in &declared.defaults {
                    self.expression(default, false);
                }
                self.statements(&declared.body);
            }
            ast::Stmt::CallBlock(block) => {
                self.arguments(&block.call.args, false);
                self.statements(&block.macro_decl.body);
            }
            ast::Stmt::Do(statement) => self.arguments(&statement.call.args, false),
            // Raw text, and tags that templates may not use.
            _ => {}
        }
    }

    fn arguments(&mut self, arguments: &[ast::CallArg<'_>], lenient: bool) {
        for argument in arguments {
            match argument {
                ast::CallArg::Pos(value)
                | ast::CallArg::Kwarg(_, value)
                | ast::CallArg::PosSplat(value)
                | ast::CallArg::KwargSplat(value) => self.expression(value, lenient),
            }
        }
    }

    fn expression(&mut self, expression: &ast::Expr<'_>, lenient: bool) {
        match expression {
            ast::Expr::Var(_) | ast::Expr::GetAttr(_) | ast::Expr::GetItem(_) => {
                match self.chain(expression) {
                    Some((range, prefixes)) if lenient => self.ranges.push(Found {
                        range,
                        prefixes,
                        high: false,
                    }),
                    Some(_) => {}
                    None => match expression {
                        ast::Expr::GetAttr(attribute) => self.expression(&attribute.expr, lenient),
                        ast::Expr::GetItem(item) => {
                            self.expression(&item.expr, lenient);
                            self.expression(&item.subscript_expr, lenient);
                        }
                        _ => {}
                    },
                }
            }
            ast::Expr::Const(_) => {}
            ast::Expr::Slice(slice) => {
                self.expression(&slice.expr, lenient);
                for part in [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                {
                    self.expression(part, lenient);
                }
            }
            ast::Expr::UnaryOp(operation) => self.expression(&operation.expr, lenient),
            ast::Expr::BinOp(operation) => {
                use ast::BinOpKind::{Eq, Gt, Gte, In, Lt, Lte, Ne};
                match operation.op {
                    Lt | Lte => {
                        self.operand(&operation.left, true);
                        self.operand(&operation.right, false);
                    }
                    Gt | Gte => {
                        self.operand(&operation.left, false);
                        self.operand(&operation.right, true);
                    }
                    op => {
                        let compares = matches!(op, Eq | Ne | In);
                        self.expression(&operation.left, lenient || compares);
                        self.expression(&operation.right, lenient || compares);
                    }
                }
            }
            ast::Expr::Compare(compare) => {
                use ast::CompareOpKind::{Gt, Gte, Lt, Lte};
                let first = compare.ops.first().map(|operand| operand.op);
                self.operand(&compare.expr, matches!(first, Some(Lt | Lte)));
                for operand in &compare.ops {
                    self.operand(&operand.expr, matches!(operand.op, Gt | Gte));
                }
            }
            ast::Expr::IfExpr(condition) => {
                self.expression(&condition.test_expr, true);
                self.expression(&condition.true_expr, lenient);
                if let Some(other) = &condition.false_expr {
                    self.expression(other, lenient);
                }
            }
            ast::Expr::Filter(filter) => {
                if let Some(value) = &filter.expr {
                    self.expression(value, lenient);
                }
                self.arguments(&filter.args, lenient);
            }
            ast::Expr::Test(test) => {
                self.expression(&test.expr, true);
                self.arguments(&test.args, true);
            }
            // The name of a function or macro stays as it is.
            ast::Expr::Call(call) => self.arguments(&call.args, lenient),
            ast::Expr::List(list) => {
                for item in &list.items {
                    self.expression(item, lenient);
                }
            }
            ast::Expr::Tuple(tuple) => {
                for item in &tuple.items {
                    self.expression(item, lenient);
                }
            }
            ast::Expr::Map(map) => {
                for item in map.keys.iter().chain(&map.values) {
                    self.expression(item, lenient);
                }
            }
        }
    }

    /// One side of an ordering; `high` where undefined must be the greater for it to be false.
    fn operand(&mut self, expression: &ast::Expr<'_>, high: bool) {
        match self.chain(expression) {
            Some((range, prefixes)) => self.ranges.push(Found {
                range,
                prefixes,
                high,
            }),
            None => self.expression(expression, true),
        }
    }

    /// A name with its attributes and subscripts, where it is nothing else: its place, and the ends
    /// of its prefixes (`contact`, `contact.fields`, `contact.fields.city`).
    fn chain(&self, expression: &ast::Expr<'_>) -> Option<(Range<usize>, Vec<usize>)> {
        /// Each link is asked for with all before it; no honest name has more.
        const MAX_LINKS: usize = 8;
        let mut ends = Vec::new();
        let mut link = expression;
        loop {
            // Subscripts end with a bracket, which only the span knows.
            ends.push(match link {
                ast::Expr::Var(var) => offset_in(self.source, var.id) + var.id.len(),
                other => other.span().end_offset as usize,
            });
            match link {
                ast::Expr::Var(var) => {
                    let start = offset_in(self.source, var.id);
                    let end = *ends.first()?;
                    ends.reverse();
                    let whole = start < end && end <= self.source.len() && ends.len() <= MAX_LINKS;
                    return whole.then_some((start..end, ends));
                }
                ast::Expr::GetAttr(attribute) => link = &attribute.expr,
                ast::Expr::GetItem(item) => link = &item.expr,
                _ => return None,
            }
        }
    }
}
