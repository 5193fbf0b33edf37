"""The sections of a report: each function returns what its template shows."""
