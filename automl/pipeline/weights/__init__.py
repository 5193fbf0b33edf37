"""The pretrained weights that a study may use: where they are, and whether their licences are allowed."""
