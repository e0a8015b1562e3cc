"""Evaluation: what an engineer opens to decide. Run folders and their comparison; no torch."""
