"""Stacks and change sets of CloudFormation, and what it tells while it works on them."""
