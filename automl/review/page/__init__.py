"""What all pages share: templates, one stylesheet, one script, charts as SVG, and thumbnails."""
