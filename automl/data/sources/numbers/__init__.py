"""Numbers in the cells of label columns, however they are written."""
