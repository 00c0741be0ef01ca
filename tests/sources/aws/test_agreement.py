"""Whoever reads a log, the report is the same, or says why not. `make agreement` asks the same of 50,000 records."""

from pathlib import Path

from tests.agreement import answers

WORDS = ("--events", "1000", "--profile", "mixed", "--dupes", "0.02", "--bad", "0.01")


def test_every_way_to_read_a_log_gives_the_same_report_or_says_why_not(tmp_path: Path) -> None:
    files, fetched, insights, s3, athena = answers(tmp_path, WORDS)
    assert files.report["duplicates"] > 10
    assert files.report["rejected"]["lines"] > 5
    assert fetched.figures == s3.figures == athena.figures == files.figures
    assert fetched.report["duplicates"] == s3.report["duplicates"] == files.report["duplicates"]

    def records(report: dict[str, dict[str, int]]) -> int:
        return report["totals"]["calls"] + report["totals"]["errors"]

    assert records({**insights.report}) == records({**files.report}) + files.report["duplicates"]
    assert "Logs Insights counts a record again that was delivered twice" in insights.report["notes"]
