"""Deliver a model: write its folder, score it on the sealed holdout, and put it in the place of another one."""
