"""Synthetic cooking: rendered kitchens, pans, food and stirrers, with masks that are exact by construction."""
