"""Answers in words and as documents."""
