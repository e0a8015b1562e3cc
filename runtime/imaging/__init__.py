"""Bytes <-> pixels: decoding, limits, resizing by contract, class colours, PNG."""
