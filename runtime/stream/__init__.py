"""Frames in, results out: sources, sinks, the two ways to run them, and mapping over cores."""
