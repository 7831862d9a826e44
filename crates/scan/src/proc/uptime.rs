//! `/proc/uptime` (`proc_uptime(5)`).

use super::Malformed;

/// Time since boot in clock ticks of `hertz`: of seconds with two decimals.
pub(crate) fn uptime_ticks(bytes: &[u8], hertz: u64) -> Result<u64, Malformed> {
    let ticks = || {
        let text = str::from_utf8(bytes).ok()?;
        let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
        let hundredths: u64 = hundredths.parse().ok().filter(|part| *part < 100)?;
        let whole = seconds.parse::<u64>().ok()?.checked_mul(hertz)?;
        whole.checked_add(hundredths.checked_mul(hertz)? / 100)
    };
    ticks().ok_or(Malformed("seconds since boot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_writes_is_a_time() {
        assert_eq!(uptime_ticks(b"5000.25 1.0\n", 100), Ok(500_025));
        assert_eq!(uptime_ticks(b"0.50 0.00\n", 250), Ok(125));
        for text in [
            "",
            "7",
            "1e999 0",
            "-1.00 0",
            "nan",
            "18446744073709551615.00",
            "1.1e9",
        ] {
            assert!(uptime_ticks(text.as_bytes(), 100).is_err(), "{text}");
        }
    }
}
