"""What the answers are called, for who speaks of them before they are there."""

from typing import Final

EXPLAIN: Final = "explain_bedrock_change"
FORECAST: Final = "forecast_bedrock_spend"
ANOMALIES: Final = "find_bedrock_anomalies"
BUDGETS: Final = "check_bedrock_budgets"
WHAT_IF: Final = "estimate_bedrock_what_if"
HYGIENE: Final = "check_bedrock_hygiene"
RECONCILE: Final = "compare_with_aws_bill"
DASHBOARD: Final = "show_bedrock_dashboard"
DRILL: Final = "drill_into_bedrock_spend"

DASHBOARD_URI: Final = "ui://tollbook/dashboard.html"
