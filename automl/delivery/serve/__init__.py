"""Answer predictions over HTTP."""
