"""Scenarios, targets, the oracle, the report and the command line; top file: ``trace.py``."""
