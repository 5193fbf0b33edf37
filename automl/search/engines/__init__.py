"""Engines: where trials run. All drive the same coordinator. Only `ray/` imports Ray."""
