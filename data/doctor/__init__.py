"""The doctor: finds what would spoil a training run, or make its score less than it seems.

survey      looks once at every file, with `frames`, `masks` and `labels` for an image, a mask, and both together
findings    says by these measures, and by `duplicates`, which files have what is in the `catalogue`
report, sheet, mend   tell it, draw it, and write a copy without it
"""
