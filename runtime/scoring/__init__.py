"""Datasets read as pairs, the confusion matrix, and the scores that training, evaluation and reports count with."""
