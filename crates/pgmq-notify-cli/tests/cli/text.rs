/// One file a case in `tests/cmd`. After a wanted change, `TRYCMD=overwrite cargo test -p
/// pgmq-notify-cli` rewrites them; the SQL itself stays elided (`...`).
#[test]
fn the_program_prints_what_the_cases_show() {
    trycmd::TestCases::new()
        // 2026-11-23 12:00:00
        .env("SOURCE_DATE_EPOCH", "1795435200")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/*.toml");
}
