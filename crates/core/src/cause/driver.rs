//! Programs that drive browsers.

/// Their names as the kernel cuts them, and words in a command line that give them away where
/// the name is only `node` or `java`.
const DRIVERS: &[(&str, &str)] = &[
    ("chromedriver", "chromedriver"),
    ("geckodriver", "geckodriver"),
    ("msedgedriver", "msedgedriver"),
    ("undetected_chro", "undetected_chromedriver"),
    ("playwright", "playwright/driver"),
    ("playwright", "playwright-core"),
    ("playwright", "@playwright/mcp"),
    ("puppeteer", "puppeteer"),
    ("chrome-devtools-mcp", "chrome-devtools-mcp"),
];

/// The driver that a process is, if any, by its name or its command line.
#[must_use]
pub fn driver_of(name: &str, command_line: &str) -> Option<&'static str> {
    DRIVERS
        .iter()
        .find(|(driver, word)| name.starts_with(driver) || command_line.contains(word))
        .map(|(driver, _)| *driver)
}
