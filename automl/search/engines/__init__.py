"""Engines: where trials run. All drive the same coordinator; only `ray_*` modules import Ray."""
