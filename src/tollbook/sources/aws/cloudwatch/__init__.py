"""Log groups of CloudWatch: FilterLogEvents, Logs Insights, and what their metrics tell."""
