"""`tollbook athena`."""

import argparse
import re

_EXAMPLES = """\
examples:
  tollbook athena ddl s3://my-logs/bedrock
  tollbook athena ddl s3://my-logs --accounts 111122223333,444455556666 --regions us-east-1,eu-west-1
  tollbook athena ddl s3://my-logs --database finops --table bedrock --since 2026-01-01 > table.sql

Run what it prints once, in Athena's console or with 'aws athena start-query-execution'. Making a table costs nothing,
and reads nothing. A query costs about $5 for every TB that it scans: a compressed file counts as it lies there, and
what lies in data/ below an hour is scanned too.
"""


def athena(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "What Athena needs to know of the logs that Bedrock delivers to S3."
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    ddl = actions.add_parser(
        "ddl",
        help="prints the statement that makes a table of the logs",
        description="Prints the statement that makes a table of the logs. Its partitions need no upkeep.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    ddl.set_defaults(do=_print_definition)
    ddl.add_argument(
        "place", metavar="s3://BUCKET[/PREFIX]", help="where Bedrock delivers, as its settings for logging have it"
    )
    ddl.add_argument("--database", default="default", metavar="NAME", help="of the table (default: default)")
    ddl.add_argument("--table", default="bedrock_logs", metavar="NAME", help="its name (default: bedrock_logs)")
    ddl.add_argument(
        "--accounts",
        default="",
        metavar="ID,…",
        help="whose logs lie there, separated by commas; without them, a query has to name accounts",
    )
    ddl.add_argument(
        "--regions", default="", metavar="NAME,…", help="of those logs; without them, a query has to name regions"
    )
    ddl.add_argument("--since", metavar="DATE", help="their first day of UTC (default: the day Bedrock began)")


def _print_definition(options: argparse.Namespace) -> int:
    from tollbook.sources.aws.athena.table import FIRST_DAY, table_definition, table_of
    from tollbook.sources.aws.delivery import delivery_of
    from tollbook.spend.window import instant, zone_of

    since = FIRST_DAY if options.since is None else instant("--since", options.since, zone_of("UTC")).date()
    text = table_definition(
        table_of(options.database, options.table),
        delivery_of(options.place),
        accounts=_words(options.accounts),
        regions=_words(options.regions),
        since=since,
    )
    print(text, end="")
    return 0


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]
