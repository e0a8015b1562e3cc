"""The doctor: reads a dataset the way training will, and lists what would spoil a run or make it worse."""
