"""Answers beyond totals: what they say of calls that are made here, row by row."""
