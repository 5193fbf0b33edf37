"""The constants of this package that were fitted on measurements, each with what it was fitted on.

"The data path" and "Training" are sections of `docs/benchmarks/history.md`.
"""

from __future__ import annotations

# Image size in pixels that "auto" chooses at most, without and with a GPU (decision 27).
CPU_SIZE, GPU_SIZE = 96, 224
# The size that pretrained networks want: most were trained on it.
WEIGHTS_SIZE = 224
# (largest median short side, image size): sizes that timm's families accept, none far above what the images hold.
SIZE_STEPS = ((40, 32), (80, 64), (112, 96), (160, 128))
# Images below which threads finish before processes have started ("The data path").
POOL_FROM = 500
# A cache entry is scaled down only to this fraction of its size or less: two resizes in a row show above it.
DOWNSCALE_FROM = 2

# Two images count as copies if the root mean squared difference of their 16 x 16 thumbnails (0..255) is below this:
# it covers images that were saved, scaled or compressed again.
NEAR_DUPLICATE_TOLERANCE = 4.0
# With more pairs than this per image (clear sky, empty slides), similarity is no sign of a copy.
MOST_PAIRS_PER_IMAGE = 10
# Images up to which all pairs are compared: faster than loading SciPy for a k-d tree.
COMPARE_ALL_UP_TO = 5000

# Largest to smallest class: the ratio from which balancing gains something, and the one from which the report warns
# that accuracy says little about the small classes (1,344 images of six classes, see `balance.choose_balance`).
BALANCE_FROM, SKEWED = 2.0, 5.0
# Largest weight of a row in a balanced loss: with more, one or two rows decide the gradient of a batch.
MOST_CLASS_WEIGHT = 10.0

# Share of the free GPU memory that images may take beside model and optimizer ("On a GPU").
RESIDENT_SHARE = 0.3
# Threads that decode streamed images for one trial, as other trials decode too, and batches that they prefetch.
STREAMING_THREADS, PREFETCHED_BATCHES = 2, 3
