"""The charts of a report: each function takes records and returns an inline SVG, "" where there is nothing to show."""
