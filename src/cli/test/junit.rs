//! Results as JUnit XML, in the form that Jenkins' and GitLab's readers take: one `testsuite` a campaign.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Results, TestResult, shown};

/// The whole document.
pub(super) fn xml(results: &Results) -> String {
    let mut suites: BTreeMap<&str, Vec<&TestResult>> = BTreeMap::new();
    for test in &results.tests {
        suites.entry(&test.campaign).or_default().push(test);
    }
    let mut broken: BTreeMap<&str, Vec<&crate::spec::Diagnostic>> = BTreeMap::new();
    for diagnostic in &results.diagnostics {
        broken.entry(&diagnostic.file).or_default().push(diagnostic);
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"tidings\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
        results.tests.len() + broken.len(),
        results.failed,
        broken.len()
    );
    for (campaign, tests) in &suites {
        let failed = tests.iter().filter(|test| !test.passed).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">",
            escaped(campaign),
            tests.len()
        );
        for test in tests {
            case(&mut out, test);
        }
        out.push_str("  </testsuite>\n");
    }
    for (file, diagnostics) in &broken {
        let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        let first = said.first().map_or("", String::as_str);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n\
             \x20   <testcase name=\"the file is valid\" classname=\"{name}\" file=\"{name}\">\n\
             \x20     <error message=\"{}\" type=\"invalid\">{}</error>\n\
             \x20   </testcase>\n\
             \x20 </testsuite>",
            escaped(first),
            escaped(&said.join("\n")),
            name = escaped(file),
        );
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, test: &TestResult) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\"",
        escaped(&test.name),
        escaped(&test.campaign),
        escaped(&test.file),
        test.line
    );
    if test.passed {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    // One `failure` a case is all that some readers keep.
    let first = test.failures.first();
    let message = first.map_or("", |miss| miss.message.as_str());
    let kind = first.map_or("", |miss| miss.expectation);
    let body: Vec<String> = std::iter::once(format!("{}:{}:{}", test.file, test.line, test.column))
        .chain(
            test.failures
                .iter()
                .flat_map(|miss| shown::lines(miss, false)),
        )
        .collect();
    let _ = writeln!(
        out,
        "      <failure message=\"{}\" type=\"{kind}\">{}</failure>\n    </testcase>",
        escaped(message),
        escaped(&body.join("\n"))
    );
}

/// A text as XML takes it: XML 1.0, section 2.2, has no place for most control characters, not even escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
