"""Requests to the dashboard, as they may come from anybody."""
