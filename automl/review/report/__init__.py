"""The report of a study: one page that says what was tried, whether to believe it, and what to do next."""
