"""The report that a study writes itself: from time to time during the search, and at the end, before its deadline."""
