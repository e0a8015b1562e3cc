"""The terminal: the only rooms that know click. Tables, bars, groups of options, and the commands of `cook-infer`."""
