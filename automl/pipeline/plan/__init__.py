"""The plan of a study: hardware, image size, pretrained weights, costs and the time budget."""
