//! Shares of people, and how sure one may be of them.

/// The quantile of the normal distribution for an interval that holds the truth in 95 of 100 cases.
const Z: f64 = 1.96;

/// Wilson's interval of a share (E. B. Wilson, 1927): unlike the usual one it is right for few people and for shares
/// near 0 and 1. `None` of nobody.
pub(super) fn wilson(part: u64, whole: u64) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    // Counts of people are far below 2^53.
    let (n, p) = (whole as f64, part.min(whole) as f64 / whole as f64);
    let z2 = Z * Z;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// `12.5 %`; `-` of nobody.
pub(super) fn rate(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Tenths of a percent, rounded to the nearest.
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// `5.4 to 13.3 %`; `-` of nobody.
pub(super) fn interval(part: u64, whole: u64) -> String {
    wilson(part, whole).map_or_else(
        || "-".to_owned(),
        |(low, high)| format!("{:.1} to {:.1} %", low * 100.0, high * 100.0),
    )
}

/// What may be said of which of several shares is the largest; `None` where there is nothing to compare. Of two
/// intervals that do not meet the higher one is better; of two that do, nobody knows.
pub(super) fn verdict(shares: &[(&str, u64, u64)]) -> Option<String> {
    let known: Vec<(&str, (f64, f64))> = shares
        .iter()
        .filter_map(|(name, part, whole)| Some((*name, wilson(*part, *whole)?)))
        .collect();
    if known.len() < 2 {
        return None;
    }
    let best = known
        .iter()
        .max_by(|a, b| a.1.0.total_cmp(&b.1.0))
        .map(|(name, (low, _))| (*name, *low))?;
    let clear = known
        .iter()
        .filter(|(name, _)| *name != best.0)
        .all(|(_, (_, high))| *high < best.1);
    Some(if clear {
        format!("`{}` is answered more often than the others.", best.0)
    } else {
        "The intervals meet: which one is answered more often cannot be said yet.".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        // 10 of 100: 5.52 to 17.44 %, as in R's prop.test(10, 100, correct = FALSE).
        assert_eq!(interval(10, 100), "5.5 to 17.4 %");
        assert_eq!(interval(0, 10), "0.0 to 27.8 %");
        assert_eq!(interval(10, 10), "72.2 to 100.0 %");
        assert_eq!(interval(0, 0), "-");
        // More replies than messages are no reason to panic.
        assert_eq!(interval(11, 10), "72.2 to 100.0 %");
    }

    #[test]
    fn a_winner_is_one_only_where_the_intervals_do_not_meet() {
        assert_eq!(verdict(&[("a", 5, 100)]), None);
        assert_eq!(verdict(&[("a", 5, 100), ("b", 0, 0)]), None);
        let meet = verdict(&[("a", 5, 100), ("b", 8, 100)]).unwrap();
        assert!(meet.contains("cannot be said"), "{meet}");
        let clear = verdict(&[("a", 50, 1000), ("b", 150, 1000)]).unwrap();
        assert!(clear.starts_with("`b`"), "{clear}");
    }
}
