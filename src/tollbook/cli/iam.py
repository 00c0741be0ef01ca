"""`tollbook iam`."""

import argparse
import sys
from typing import TYPE_CHECKING, Final

from tollbook.core.errors import UsageError

if TYPE_CHECKING:
    from tollbook.core.iam import Policy


_SERVER: Final = "server"
_TABLE: Final = "tollbook"
_WORKGROUP: Final = "primary"
_OF_SERVER: Final = ("table", "table_kms_key", "bucket", "bucket_kms_key")
_OF_SOURCES: Final = (
    "kms_key",
    "logs",
    "results",
    "results_kms_key",
    "names",
    "metrics",
    "bill",
    "keep",
    "keep_kms_key",
    "assume",
)


def iam(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Prints the IAM policy that reading a source needs, or the server for what it keeps itself, and nothing beyond "
        "it. Asks AWS nothing."
    )
    parser.set_defaults(do=_iam)
    parser.add_argument(
        "source",
        nargs="?",
        default="",
        metavar="SOURCE",
        help="cloudwatch:LOG_GROUP (read either way), events:LOG_GROUP (FilterLogEvents alone), insights:LOG_GROUP "
        "(Logs Insights alone), s3://BUCKET/PREFIX or athena:DATABASE.TABLE; or the word server",
    )
    where = parser.add_argument_group("whose logs")
    where.add_argument("--region", metavar="REGION", help="such as eu-west-1 (default: any)")
    where.add_argument("--account", metavar="ACCOUNT", help="of twelve digits (default: any)")
    where.add_argument("--kms-key", default="", metavar="ARN", help="the key that encrypts log files in S3")
    athena = parser.add_argument_group("Athena")
    athena.add_argument("--logs", default="", metavar="PLACE", help="s3://BUCKET/PREFIX that the table is laid over")
    athena.add_argument(
        "--results", default="", metavar="PLACE", help="s3://BUCKET/PREFIX for results, unless Athena keeps them itself"
    )
    athena.add_argument("--results-kms-key", default="", metavar="ARN", help="the key that encrypts them")
    athena.add_argument("--workgroup", default=_WORKGROUP, metavar="NAME", help=f"(default: {_WORKGROUP})")
    also = parser.add_argument_group("what else is done")
    also.add_argument("--names", action="store_true", help="look up the models behind opaque ids")
    also.add_argument("--metrics", action="store_true", help="compare the logs with CloudWatch's metrics")
    also.add_argument("--bill", action="store_true", help="compare the logs with AWS's bill, by Cost Explorer")
    also.add_argument("--keep", default="", metavar="PLACE", help="keep days that are over in s3://BUCKET/PREFIX")
    also.add_argument("--keep-kms-key", default="", metavar="ARN", help="the key that encrypts them")
    also.add_argument(
        "--assume", action="append", default=[], metavar="ROLE_ARN", help="assume this role; may be given several times"
    )
    server = parser.add_argument_group("what the server keeps itself")
    server.add_argument("--table", metavar="NAME", help=f"the table of its session store (default: {_TABLE})")
    server.add_argument("--table-kms-key", metavar="ARN", help="your own key that encrypts the table")
    server.add_argument("--bucket", metavar="PLACE", help="s3://BUCKET/PREFIX for whole results and days that are over")
    server.add_argument("--bucket-kms-key", metavar="ARN", help="the key that encrypts them")
    trust = parser.add_argument_group("the trust policy of such a role, which is printed alone")
    trust.add_argument("--trust", metavar="WHO", help="an account, or the ARN of a role or user that may assume it")
    trust.add_argument("--external-id", default="", metavar="ID", help="that must be told on assuming it")


def _iam(options: argparse.Namespace) -> int:
    if options.trust is not None:
        policy, notes = _trust(options)
    else:
        policy, notes = _for_server(options) if options.source == _SERVER else _permissions(options)
    print(policy.as_json())
    for note in notes:
        print(note, file=sys.stderr)
    return 0


def _trust(options: argparse.Namespace) -> "tuple[Policy, list[str]]":
    from tollbook.sources.aws.reach.policy import trust_policy

    if options.source:
        raise UsageError("--trust prints the trust policy alone. Ask for the permissions of SOURCE without it.")
    policy = trust_policy(options.trust, options.external_id)
    open_to = "Whoever in that account may assume roles may assume this one. Narrow it with --external-id ID."
    return policy, [open_to] if options.trust.isdecimal() and not options.external_id else []


def _for_server(options: argparse.Namespace) -> "tuple[Policy, list[str]]":
    from tollbook.app.settings import kept_in
    from tollbook.sources.aws.reach.policy import ANY, server_policy

    others = (*_OF_SOURCES, "external_id")
    if any(getattr(options, name) for name in others) or options.workgroup != _WORKGROUP:
        raise UsageError(
            "What the server keeps needs a policy of its own, with --region, --account, --table, --bucket and their "
            "keys alone. Ask for that of its SOURCE apart."
        )
    policy = server_policy(
        options.table or _TABLE,
        kept_in(options.bucket) if options.bucket else (),
        table_key=options.table_kms_key or "",
        places_key=options.bucket_kms_key or "",
        region=options.region or ANY,
        account=options.account or ANY,
    )
    notes = []
    if not options.region:
        notes.append("It holds for tables of that name in every region. Narrow it with --region REGION.")
    if not options.account:
        notes.append("It holds for tables of that name in every account. Narrow it with --account ACCOUNT.")
    if not options.bucket:
        notes.append(
            "It assumes that no bucket takes whole results and days. If one does, name it with --bucket PLACE."
        )
    notes.append("What the server reads needs more: tollbook iam SOURCE.")
    return policy, notes


def _permissions(options: argparse.Namespace) -> "tuple[Policy, list[str]]":
    from tollbook.sources.aws.reach.policy import ANY, narrowed, policy_for

    if any(getattr(options, name) for name in _OF_SERVER):
        raise UsageError("--table, --bucket and their keys are the server's: tollbook iam server.")
    if options.external_id:
        raise UsageError("--external-id belongs to --trust: whoever assumes a role needs no policy for it.")

    def made(region: str, account: str) -> "Policy":
        return policy_for(
            options.source,
            region=region,
            account=account,
            logs=options.logs,
            results=options.results,
            workgroup=options.workgroup,
            logs_key=options.kms_key,
            results_key=options.results_kms_key,
            names=options.names,
            metrics=options.metrics,
            bill=options.bill,
            keep=options.keep,
            keep_key=options.keep_kms_key,
            assume=options.assume,
        )

    region, account = narrowed(options.source, options.region or ANY, options.account or ANY)
    policy, notes = made(region, account), []
    if region == ANY and policy != made("us-east-1", account):
        notes.append("It holds for every region. Narrow it with --region REGION.")
    if account == ANY and policy != made(region, "0" * 12):
        notes.append("It holds for logs of every account. Narrow it with --account ACCOUNT.")
    if options.source.startswith("athena:") and not options.results:
        bucket = "If a bucket takes them, name it with --results PLACE."
        notes.append(f"It assumes that Athena keeps its results itself. {bucket}")
    if options.source.startswith(("s3://", "athena:")) and not options.kms_key:
        notes.append("It assumes that no KMS key encrypts the log files. If one does, name it with --kms-key ARN.")
    return policy, notes
