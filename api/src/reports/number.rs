//! Numbers as people in India read them: 12,34,567.80 with a true minus sign.

/// A number with its digits grouped: the last three, then by two.
pub(super) fn grouped(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) => ("\u{2212}", digits),
        Some(digits) => ("", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::with_capacity(text.len() * 2);
    grouped.push_str(sign);
    let length = whole.chars().count();
    for (at, digit) in whole.chars().enumerate() {
        let left = length - at;
        if at > 0 && (left == 3 || left > 3 && left % 2 == 1) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// A measure with so many decimals, grouped.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    grouped(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_lakh_and_crore() {
        let check = |text: &str, expected: &str| assert_eq!(grouped(text), expected);
        check("0", "0");
        check("999", "999");
        check("1000", "1,000");
        check("99999", "99,999");
        check("100000", "1,00,000");
        check("1234567", "12,34,567");
        check("123456789012", "1,23,45,67,89,012");
        check("-1234567.50", "\u{2212}12,34,567.50");
        check("-0.00", "0.00");
        check("17280.00", "17,280.00");
    }

    #[test]
    fn measures_are_rounded_to_their_decimals() {
        assert_eq!(fixed(16.666_66, 2), "16.67");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(1_234_567.0, 0), "12,34,567");
    }
}
