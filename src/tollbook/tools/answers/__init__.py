"""Answers as tools: a module for each, and what they share in `offer`."""
