"""The page of `automl inspect --html`, and the thumbnails that other pages use as well."""

from automl.review.data_page.thumbnails import SIDE, escape, figure

__all__ = ["SIDE", "escape", "figure"]
