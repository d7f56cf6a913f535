//! Every `--help` is pinned.

#[test]
fn every_help_is_as_it_was() {
    trycmd::TestCases::new()
        .case("tests/it/help/*.trycmd")
        .env("COLUMNS", "100")
        .env("LANG", "C");
}
