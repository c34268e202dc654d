//! One visitor over a template's syntax tree: every name in it is looked up where it stands.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::{Span, ast};

use super::filters::{FILTERS, FUNCTIONS, TESTS, date_format_problem};
use super::problem::{TemplateProblem, nearest, offset_in};
use super::template::Names;

/// What a name stands for, as far as it is known before rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Contact,
    Fields,
    Campaign,
    Labels,
    Account,
    Now,
    Loop,
    Function,
    /// A value of a list's column: always text.
    Column,
    /// A text or a number: it has no attributes.
    Scalar,
}

/// The top-level names of CONTRACT section 2, and whether a `where` expression has them too: when
/// filters are asked, no account and no step is chosen yet.
const TOP: [(&str, Kind, bool); 6] = [
    ("contact", Kind::Contact, true),
    ("campaign", Kind::Campaign, true),
    ("account", Kind::Account, false),
    ("now", Kind::Now, true),
    ("step", Kind::Scalar, false),
    ("invite_link", Kind::Scalar, false),
];

const CONTACT: [&str; 8] = [
    "id",
    "first_name",
    "last_name",
    "full_name",
    "username",
    "phone",
    "premium",
    "fields",
];
const CAMPAIGN: [&str; 4] = ["name", "title", "labels", "run"];
const ACCOUNT: [&str; 3] = ["name", "first_name", "username"];
const NOW: [&str; 7] = [
    "year", "month", "day", "hour", "minute", "second", "weekday",
];
const LOOP: [&str; 13] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
    "cycle",
    "changed",
];

/// Whether a whole template or a `where` expression is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Template,
    Where,
}

/// What one pass finds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<TemplateProblem>,
    /// What can be compiled but hardly means what it says.
    pub(super) warnings: Vec<TemplateProblem>,
    /// The top-level names that are used.
    pub(super) uses: BTreeSet<String>,
    /// Whether the `safe` filter or an `autoescape` block lets values through as markup.
    pub(super) lets_markup_in: bool,
}

/// Checks a template's tree.
pub(super) fn check_template(source: &str, tree: &ast::Stmt<'_>, names: &Names) -> Findings {
    let mut visitor = Visitor::new(source, names, Scope::Template);
    visitor.statement(tree);
    visitor.findings
}

/// Checks an expression's tree.
pub(super) fn check_expression(source: &str, tree: &ast::Expr<'_>, names: &Names) -> Findings {
    let mut visitor = Visitor::new(source, names, Scope::Where);
    visitor.expression(tree);
    visitor.findings
}

struct Visitor<'s> {
    source: &'s str,
    names: &'s Names,
    scope: Scope,
    locals: Vec<BTreeMap<String, Kind>>,
    findings: Findings,
}

impl<'s> Visitor<'s> {
    fn new(source: &'s str, names: &'s Names, scope: Scope) -> Visitor<'s> {
        Visitor {
            source,
            names,
            scope,
            locals: vec![BTreeMap::new()],
            findings: Findings::default(),
        }
    }

    // ---- where things stand ----

    fn problem(
        &mut self,
        range: std::ops::Range<usize>,
        code: &'static str,
        summary: String,
        detail: impl Into<String>,
        suggestion: Option<String>,
    ) {
        let problem = TemplateProblem::at(self.source, range, code, summary, detail);
        self.findings.problems.push(problem.suggest(suggestion));
    }

    /// The place of a name that the parser took from the source.
    fn range_of(&self, part: &str) -> std::ops::Range<usize> {
        let start = offset_in(self.source, part);
        start..start + part.len()
    }

    fn range_of_span(span: Span) -> std::ops::Range<usize> {
        span.start_offset as usize..span.end_offset as usize
    }

    // ---- scopes ----

    fn declare(&mut self, name: &str, kind: Kind) {
        if let Some(scope) = self.locals.last_mut() {
            scope.insert(name.to_string(), kind);
        }
    }

    fn local(&self, name: &str) -> Option<Kind> {
        self.locals
            .iter()
            .rev()
            .find_map(|scope| scope.get(name).copied())
    }

    fn scoped(&mut self, body: impl FnOnce(&mut Self)) {
        self.locals.push(BTreeMap::new());
        body(self);
        self.locals.pop();
    }

    fn assign(&mut self, target: &ast::Expr<'_>, kind: Kind) {
        match target {
            ast::Expr::Var(var) => self.declare(var.id, kind),
            ast::Expr::List(list) => {
                for item in &list.items {
                    self.assign(item, Kind::Unknown);
                }
            }
            ast::Expr::Tuple(tuple) => {
                for item in &tuple.items {
                    self.assign(item, Kind::Unknown);
                }
            }
            // `set ns.x = …`: the namespace must be known.
            other => {
                self.expression(other);
            }
        }
    }

    // ---- statements ----

    fn statements(&mut self, body: &[ast::Stmt<'_>]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) {
        match statement {
            ast::Stmt::Template(template) => self.statements(&template.children),
            ast::Stmt::EmitExpr(emit) => {
                self.expression(&emit.expr);
            }
            ast::Stmt::EmitRaw(_) => {}
            ast::Stmt::ForLoop(for_loop) => {
                self.expression(&for_loop.iter);
                self.scoped(|this| {
                    this.assign(&for_loop.target, Kind::Unknown);
                    if let Some(filter) = &for_loop.filter_expr {
                        this.expression(filter);
                    }
                    this.declare("loop", Kind::Loop);
                    this.statements(&for_loop.body);
                });
                self.scoped(|this| this.statements(&for_loop.else_body));
            }
            // A `set` in a condition is seen after it, as at render time.
            ast::Stmt::IfCond(condition) => {
                self.expression(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            ast::Stmt::WithBlock(with) => self.scoped(|this| {
                for (target, value) in &with.assignments {
                    let kind = this.expression(value);
                    this.assign(target, kind);
                }
                this.statements(&with.body);
            }),
            ast::Stmt::Set(set) => {
                let kind = self.expression(&set.expr);
                self.assign(&set.target, kind);
            }
            ast::Stmt::SetBlock(set) => {
                if let Some(filter) = &set.filter {
                    self.expression(filter);
                }
                self.statements(&set.body);
                self.assign(&set.target, Kind::Unknown);
            }
            ast::Stmt::AutoEscape(block) => {
                self.findings.lets_markup_in = true;
                self.expression(&block.enabled);
                self.statements(&block.body);
            }
            ast::Stmt::FilterBlock(block) => {
                self.expression(&block.filter);
                self.statements(&block.body);
            }
            ast::Stmt::Macro(declared) => {
                self.declare(declared.name, Kind::Function);
                self.macro_body(declared);
            }
            ast::Stmt::CallBlock(block) => {
                self.call(&block.call);
                self.macro_body(&block.macro_decl);
            }
            ast::Stmt::Do(statement) => {
                self.call(&statement.call);
            }
            ast::Stmt::Block(block) => self.unsupported(block.name, "block"),
            ast::Stmt::Extends(extends) => {
                self.unsupported_span(extends.name.span(), "extends");
            }
            ast::Stmt::Include(include) => {
                self.unsupported_span(include.name.span(), "include");
            }
            ast::Stmt::Import(import) => self.unsupported_span(import.expr.span(), "import"),
            ast::Stmt::FromImport(import) => {
                self.unsupported_span(import.expr.span(), "from");
            }
        }
    }

    fn macro_body(&mut self, declared: &ast::Macro<'_>) {
        for default in &declared.defaults {
            self.expression(default);
        }
        self.scoped(|this| {
            for argument in &declared.args {
                this.assign(argument, Kind::Unknown);
            }
            this.declare("caller", Kind::Function);
            this.statements(&declared.body);
        });
    }

    fn unsupported(&mut self, name: &str, tag: &str) {
        let range = self.range_of(name);
        self.unsupported_at(range, tag);
    }

    fn unsupported_span(&mut self, span: Span, tag: &str) {
        self.unsupported_at(Self::range_of_span(span), tag);
    }

    fn unsupported_at(&mut self, range: std::ops::Range<usize>, tag: &str) {
        self.problem(
            range,
            "unsupported-tag",
            format!("the tag '{tag}' is not supported"),
            "a template stands alone: write the text here, or use set and macro",
            None,
        );
    }

    // ---- expressions ----

    fn optional(&mut self, expression: Option<&ast::Expr<'_>>) {
        if let Some(expression) = expression {
            self.expression(expression);
        }
    }

    fn arguments(&mut self, arguments: &[ast::CallArg<'_>]) {
        for argument in arguments {
            match argument {
                ast::CallArg::Pos(value)
                | ast::CallArg::Kwarg(_, value)
                | ast::CallArg::PosSplat(value)
                | ast::CallArg::KwargSplat(value) => {
                    self.expression(value);
                }
            }
        }
    }

    /// Visits an expression and says what it stands for.
    fn expression(&mut self, expression: &ast::Expr<'_>) -> Kind {
        match expression {
            ast::Expr::Var(var) => return self.variable(var.id),
            ast::Expr::Const(_) => {}
            ast::Expr::Slice(slice) => {
                self.expression(&slice.expr);
                self.optional(slice.start.as_ref());
                self.optional(slice.stop.as_ref());
                self.optional(slice.step.as_ref());
            }
            ast::Expr::UnaryOp(operation) => {
                self.expression(&operation.expr);
            }
            ast::Expr::BinOp(operation) => {
                use ast::BinOpKind::{Eq, Gt, Gte, Lt, Lte, Ne};
                let left = self.expression(&operation.left);
                let right = self.expression(&operation.right);
                if matches!(operation.op, Eq | Ne | Lt | Lte | Gt | Gte) {
                    self.compared(&[(left, &operation.left), (right, &operation.right)]);
                }
            }
            ast::Expr::Compare(compare) => {
                let mut operands = vec![(self.expression(&compare.expr), &compare.expr)];
                for operand in &compare.ops {
                    operands.push((self.expression(&operand.expr), &operand.expr));
                }
                for pair in operands.windows(2) {
                    self.compared(pair);
                }
            }
            ast::Expr::IfExpr(condition) => {
                self.expression(&condition.test_expr);
                self.expression(&condition.true_expr);
                self.optional(condition.false_expr.as_ref());
            }
            ast::Expr::Filter(filter) => self.filter(filter),
            ast::Expr::Test(test) => {
                self.expression(&test.expr);
                self.known_test(test.name, self.range_of(test.name));
                self.arguments(&test.args);
            }
            ast::Expr::GetAttr(attribute) => {
                let kind = self.expression(&attribute.expr);
                let range = self.range_of(attribute.name);
                let path = path_of(&attribute.expr);
                return self.attribute(kind, &path, attribute.name, range);
            }
            ast::Expr::GetItem(item) => {
                let kind = self.expression(&item.expr);
                if let ast::Expr::Const(constant) = &item.subscript_expr {
                    return match constant.value.as_str() {
                        Some(name) => {
                            let range = Self::range_of_span(constant.span());
                            self.attribute(kind, &path_of(&item.expr), name, range)
                        }
                        None => Kind::Unknown,
                    };
                }
                self.expression(&item.subscript_expr);
            }
            ast::Expr::Call(call) => self.call(call),
            ast::Expr::List(list) => {
                for item in &list.items {
                    self.expression(item);
                }
            }
            ast::Expr::Tuple(tuple) => {
                for item in &tuple.items {
                    self.expression(item);
                }
            }
            ast::Expr::Map(map) => {
                for item in map.keys.iter().chain(&map.values) {
                    self.expression(item);
                }
            }
        }
        Kind::Unknown
    }

    /// Warns where a column, which is text, meets a number: such a comparison has one answer for
    /// everybody.
    fn compared(&mut self, operands: &[(Kind, &ast::Expr<'_>)]) {
        let is_number = |expression: &ast::Expr<'_>| match expression {
            ast::Expr::Const(constant) => constant.value.is_number(),
            ast::Expr::UnaryOp(operation) => {
                matches!(&operation.expr, ast::Expr::Const(constant) if constant.value.is_number())
            }
            _ => false,
        };
        if !operands.iter().any(|(_, expression)| is_number(expression)) {
            return;
        }
        for (kind, expression) in operands {
            if *kind != Kind::Column {
                continue;
            }
            let path = path_of(expression);
            let span = expression.span();
            let start = root_of(expression).map_or(span.start_offset as usize, |root| {
                offset_in(self.source, root)
            });
            let problem = TemplateProblem::at(
                self.source,
                start..span.end_offset as usize,
                "text-compared-with-number",
                format!("{path} is text and is compared with a number"),
                format!("columns of lists are text; write {path} | int"),
            );
            let suggestion = Some(format!("{path} | int"));
            self.findings.warnings.push(problem.suggest(suggestion));
        }
    }

    fn variable(&mut self, name: &str) -> Kind {
        if let Some(kind) = self.local(name) {
            return kind;
        }
        if let Some((_, kind, in_where)) = TOP.iter().find(|(top, _, _)| *top == name) {
            self.findings.uses.insert(name.to_string());
            if self.scope == Scope::Where && !in_where {
                let range = self.range_of(name);
                self.problem(
                    range,
                    "unknown-variable",
                    format!("'{name}' is not known in filters.where"),
                    "an expression may use contact, campaign and now",
                    None,
                );
            }
            return *kind;
        }
        if FUNCTIONS.contains(&name) {
            return Kind::Function;
        }
        let range = self.range_of(name);
        let known: Vec<&str> = TOP
            .iter()
            .filter(|(_, _, in_where)| *in_where || self.scope == Scope::Template)
            .map(|(top, _, _)| *top)
            .chain(
                self.locals
                    .iter()
                    .flatten()
                    .map(|(local, _)| local.as_str()),
            )
            .collect();
        let suggestion = CONTACT
            .contains(&name)
            .then(|| format!("contact.{name}"))
            .or_else(|| nearest(name, known.iter().copied()))
            .or_else(|| nearest(name, CONTACT).map(|found| format!("contact.{found}")));
        let detail = format!("the names here are {}", known.join(", "));
        self.problem(
            range,
            "unknown-variable",
            format!("unknown variable '{name}'"),
            detail,
            suggestion,
        );
        Kind::Unknown
    }

    fn attribute(
        &mut self,
        kind: Kind,
        path: &str,
        name: &str,
        range: std::ops::Range<usize>,
    ) -> Kind {
        let (known, code): (Vec<&str>, &'static str) = match kind {
            Kind::Unknown => return Kind::Unknown,
            Kind::Contact => (CONTACT.to_vec(), "unknown-attribute"),
            Kind::Campaign => (CAMPAIGN.to_vec(), "unknown-attribute"),
            Kind::Account => (ACCOUNT.to_vec(), "unknown-attribute"),
            Kind::Now => (NOW.to_vec(), "unknown-attribute"),
            Kind::Loop => (LOOP.to_vec(), "unknown-attribute"),
            Kind::Fields => match &self.names.columns {
                Some(columns) => (
                    columns.iter().map(String::as_str).collect(),
                    "unknown-column",
                ),
                None => return Kind::Column,
            },
            Kind::Labels => match &self.names.labels {
                Some(labels) => (labels.iter().map(String::as_str).collect(), "unknown-label"),
                None => return Kind::Scalar,
            },
            Kind::Scalar | Kind::Column | Kind::Function => (Vec::new(), "unknown-attribute"),
        };
        if known.contains(&name) {
            return match (kind, name) {
                (Kind::Contact, "fields") => Kind::Fields,
                (Kind::Campaign, "labels") => Kind::Labels,
                (Kind::Loop, "previtem" | "nextitem") => Kind::Unknown,
                (Kind::Fields, _) => Kind::Column,
                _ => Kind::Scalar,
            };
        }
        let suggestion = nearest(name, known.iter().copied()).or_else(|| {
            let other = match (kind, name) {
                // A column's name, without `fields`.
                (Kind::Contact, _) => {
                    let columns = self.names.columns.as_ref()?;
                    let column = columns.contains(name).then(|| name.to_string());
                    column.or_else(|| nearest(name, columns.iter().map(String::as_str)))?
                }
                _ => return None,
            };
            Some(format!("fields.{other}"))
        });
        let what = match code {
            "unknown-column" => format!("no file or list of this campaign has the column '{name}'"),
            "unknown-label" => format!("this campaign has no label '{name}'"),
            _ => format!("{path} has no attribute '{name}'"),
        };
        let detail = if known.is_empty() {
            match kind {
                Kind::Fields => "none of the campaign's sources has columns of its own".to_string(),
                Kind::Labels => "the campaign has no labels".to_string(),
                _ => format!("{path} is a plain value without attributes"),
            }
        } else if kind == Kind::Contact {
            format!(
                "it has {}; columns of a CSV are contact.fields.<column>",
                known.join(", ")
            )
        } else {
            format!("it has {}", known.join(", "))
        };
        self.problem(range, code, what, detail, suggestion);
        Kind::Unknown
    }

    fn filter(&mut self, filter: &ast::Filter<'_>) {
        let kind = match &filter.expr {
            Some(value) => self.expression(value),
            None => Kind::Unknown,
        };
        let range = self.range_of(filter.name);
        if !self.known_filter(filter.name, range) {
            self.arguments(&filter.args);
            return;
        }
        self.arguments(&filter.args);
        let constant = |index: usize| match filter.args.get(index) {
            Some(ast::CallArg::Pos(ast::Expr::Const(constant))) => constant
                .value
                .as_str()
                .map(|text| (text.to_string(), Self::range_of_span(constant.span()))),
            _ => None,
        };
        match filter.name {
            "safe" => self.findings.lets_markup_in = true,
            "attr" => {
                if let (Some((name, range)), Some(value)) = (constant(0), &filter.expr) {
                    self.attribute(kind, &path_of(value), &name, range);
                }
            }
            "map" => {
                if let Some((name, range)) = constant(0) {
                    self.known_filter(&name, range);
                }
            }
            "select" | "reject" => {
                if let Some((name, range)) = constant(0) {
                    self.known_test(&name, range);
                }
            }
            "selectattr" | "rejectattr" => {
                if let Some((name, range)) = constant(1) {
                    self.known_test(&name, range);
                }
            }
            "date" => {
                if let Some((format, range)) = constant(0)
                    && let Some(summary) = date_format_problem(&format)
                {
                    self.problem(
                        range,
                        "bad-date-format",
                        summary,
                        "expected strftime's letters, such as %d.%m.%Y or %H:%M",
                        None,
                    );
                }
            }
            _ => {}
        }
    }

    fn known_filter(&mut self, name: &str, range: std::ops::Range<usize>) -> bool {
        let known = FILTERS.contains(&name);
        if !known {
            self.problem(
                range,
                "unknown-filter",
                format!("unknown filter '{name}'"),
                format!("the filters are {}", FILTERS.join(", ")),
                nearest(name, FILTERS),
            );
        }
        known
    }

    fn known_test(&mut self, name: &str, range: std::ops::Range<usize>) {
        if !TESTS.contains(&name) {
            self.problem(
                range,
                "unknown-test",
                format!("unknown test '{name}'"),
                format!("the tests are {}", TESTS.join(", ")),
                nearest(name, TESTS),
            );
        }
    }

    fn call(&mut self, call: &ast::Call<'_>) {
        match &call.expr {
            ast::Expr::Var(var) => {
                let callable = match self.local(var.id) {
                    Some(kind) => matches!(kind, Kind::Function | Kind::Loop | Kind::Unknown),
                    None => FUNCTIONS.contains(&var.id),
                };
                if !callable {
                    let range = self.range_of(var.id);
                    let is_filter = FILTERS.contains(&var.id);
                    let detail = if is_filter {
                        format!("'{}' is a filter: write value | {}", var.id, var.id)
                    } else {
                        format!(
                            "the functions are {}, and the macros declared above",
                            FUNCTIONS.join(", ")
                        )
                    };
                    let macros = self.locals.iter().flatten();
                    let known = macros
                        .filter(|(_, kind)| **kind == Kind::Function)
                        .map(|(name, _)| name.as_str())
                        .chain(FUNCTIONS);
                    let suggestion = nearest(var.id, known);
                    self.problem(
                        range,
                        "unknown-function",
                        format!("unknown function '{}'", var.id),
                        detail,
                        suggestion,
                    );
                }
            }
            ast::Expr::GetAttr(attribute) => {
                let kind = self.expression(&attribute.expr);
                let is_loop = kind == Kind::Loop && matches!(attribute.name, "cycle" | "changed");
                if !is_loop {
                    let range = self.range_of(attribute.name);
                    // What other languages write as a method is a filter here.
                    let filter = match attribute.name {
                        "strip" => Some("trim".to_string()),
                        "strftime" | "format" if kind == Kind::Now => Some("date".to_string()),
                        name => FILTERS
                            .contains(&name)
                            .then(|| name.to_string())
                            .or_else(|| nearest(name, FILTERS)),
                    };
                    let detail = match &filter {
                        Some(name) => format!(
                            "values have no methods; use the filter: {} | {name}",
                            path_of(&attribute.expr)
                        ),
                        None => "values have no methods; use filters".to_string(),
                    };
                    self.problem(
                        range,
                        "unknown-function",
                        format!("unknown method '{}'", attribute.name),
                        detail,
                        filter,
                    );
                }
            }
            other => {
                self.expression(other);
            }
        }
        self.arguments(&call.args);
    }
}

/// The name with which a chain of attributes and subscripts begins.
fn root_of<'a>(expression: &ast::Expr<'a>) -> Option<&'a str> {
    match expression {
        ast::Expr::Var(var) => Some(var.id),
        ast::Expr::GetAttr(attribute) => root_of(&attribute.expr),
        ast::Expr::GetItem(item) => root_of(&item.expr),
        _ => None,
    }
}

/// A readable form of a chain of names, for messages.
fn path_of(expression: &ast::Expr<'_>) -> String {
    match expression {
        ast::Expr::Var(var) => var.id.to_string(),
        ast::Expr::GetAttr(attribute) => {
            format!("{}.{}", path_of(&attribute.expr), attribute.name)
        }
        ast::Expr::GetItem(item) => match &item.subscript_expr {
            ast::Expr::Const(constant) => format!("{}[{:?}]", path_of(&item.expr), constant.value),
            _ => format!("{}[…]", path_of(&item.expr)),
        },
        _ => "the value".to_string(),
    }
}
