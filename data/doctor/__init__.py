"""The doctor: finds what would break a training run, or make its score less than it seems.

survey      looks once at every file, with `frames`, `masks` and `labels` for measures of an image, a mask, and both
checks      say by these measures, and by `duplicates`, which files have a fault: a class for each kind
report, sheet, fix   tell it, draw it, and write a copy without it
"""
