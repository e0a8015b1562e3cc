"""Datasets: synthetic cooking scenes, and a check of what was labelled before anything is trained on it."""
