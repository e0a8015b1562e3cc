"""Importers: what labelling tools write, brought to the standard layout."""
