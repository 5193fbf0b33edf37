"""The numbers behind a plan, each with the measurement that it was chosen by.

Names in quotation marks are sections of docs/benchmarks/history.md, decisions are pages of docs/explanation/decisions.
Without either, a number is a choice that was not measured by itself.
"""

from __future__ import annotations

# --- budget.py: how the time limit is divided ---------------------------------------------------------------

# Without other limits a trial sees at most so many images, within these numbers of epochs. A retrain from scratch may
# have the larger number.
DEFAULT_IMAGES, MIN_EPOCHS, MAX_EPOCHS = 600_000, 20, 100
# Full-length trials that should fit into the search, and the share of the retrain's work that a full-length trial
# should have at least, so that it predicts the retrain. Decision 0021.
FULL_TRIALS, MIN_LENGTH = 5.0, 0.12
# The share of the time that the retrain may have: the first, or up to the second until it sees enough images.
# "On a processor without AVX-512, beside other searches", decision 0021.
RETRAIN_SHARE, MAX_RETRAIN = 0.6, 0.85
# Images that a training from scratch should see, and how many epochs that is at least and at most. "Size and time".
ENOUGH_IMAGES, ENOUGH_EPOCHS, PLENTY_EPOCHS = 80_000, 30, 40
# The search has at least so many seconds and rounds, up to half of the time: it needs one score.
MIN_SEARCH, MIN_ROUNDS, MAX_ROUNDS = 3.0, 1.5, 100
# A round is at least so long: in images, in seconds, and in multiples of the time that its scoring takes.
ROUND_IMAGES, ROUND_SECONDS, ROUND_SCORINGS = 1000, 1.0, 8.0
# If the retrain makes more than OFTEN epochs, trials train on a part of the rows. "Part of the rows".
OFTEN, MIN_PART, PART_MIN_ROWS = 20.0, 0.25, 1000
# Sides in pixels that a training from scratch may be limited to. "Size and time".
SIZES = (96, 64, 48, 32)
# Predictions look at an image and its mirror image.
MIRRORED = 2.0
# Seconds after the retrain: for its statistics of batch norm, however busy the machine is, and for intervals, model,
# tables and result. The delivered model is loaded from its files, which takes up to LOADS times as long as it took to
# build its network before; UNBUILT seconds stand for that as long as it is unknown. Decision 0130.
SETTLING, CLOSING, LOADS, UNBUILT = 0.5, 0.6, 2.0, 0.3
# Factors of safety for the retrain's time and for scoring the holdout; a larger slowdown than MAX_SLOWDOWN counts as an
# outlier. Decision 0023.
RETRAIN_SPARE, SCORING_SPARE, MAX_SLOWDOWN = 1.15, 1.3, 3.0

# A continued study plans no retrain that would see less than this share of the images of its delivered retrain.
# Decision 84.
HOPELESS = 0.5

# --- size_limits.py: networks that fit the time. "Width and time" --------------------------------------------

# Epochs of the planned retrain above and below which a network is left out. With FEW_IMAGES seen, no number of epochs
# is too small.
TOO_MANY_EPOCHS, TOO_FEW_EPOCHS, FEW_IMAGES = 110.0, 5.0, 60_000
# Above MANY_ROWS images the limit falls with the root of their number, down to MIN_OF_MANY epochs.
MANY_ROWS, MIN_OF_MANY = 4_000, 20.0
# The share of the space that must remain below the upper limit, above the lower one, and between both.
LEFT, LEFT_IN_ALL = 0.25, 0.1

# --- epoch_cost.py ----------------------------------------------------------------------------------------------

# The share of the backward pass that remains with frozen layers, if all layers cost the same.
LEARNING = {"none": 1.0, "half": 0.5, "stages": 0.25, "head": 0.0}
# Work besides multiplications, in billions of multiplications: per million numbers that a layer writes, per call of a
# layer, and per million parameters for the optimizer. "Seconds of an epoch".
CPU_PRICES, GPU_PRICES = (0.1, 0.005, 2.7), (0.8, 3.0, 2.7)
DRAWS = 48  # configurations that stand for the space
# Passes through the rows that the retrain of a fine-tuning should make. "Fine-tuning from a head".
FEWEST_PASSES = 5.0
# What scoring a pretrained network may cost, in scorings of the planned network (a round holds eight); and the fewest
# rows, of which the standard error of an accuracy of .8 is .035. If they take longer than that, a round is twice as
# long as they take, but a trial has at least so many rounds. Decision 101.
SCORED_TIMES, SCORED_ROWS, SCORED_ROUND, FEWEST_ROUNDS = 4.0, 128, 2.0, 3

# --- hardware.py ------------------------------------------------------------------------------------------------

MEMORY_SPARE = 1.2  # other configurations may need more memory than the measured one
USABLE = 0.9  # of the free memory
MAX_SHARES = 8  # trials on one GPU
PACKING = 1.2  # speed of trials that share a GPU, all together, to one alone. "On a GPU"
SCALING = 0.75  # speed that another core adds to a training. "Two cores for one training"

# --- pretrained.py ----------------------------------------------------------------------------------------------

# The most time for ranking networks, and for the hub (asking it, and downloads), as shares of the remaining time and in
# seconds. A hub can be slow or break off, so it gets no more. Decision 0093
PROBE_SHARE, PROBE_SECONDS = 0.04, 60.0
DOWNLOAD_SHARE, DOWNLOAD_SECONDS = 0.05, 300.0
# Rows for the ranking, and the assumed speed of a small network in images per second.
CPU_ROWS, GPU_ROWS, PROBE_MIN_ROWS, SLOW = 1000, 4000, 150, 50.0
KEPT = 6  # architectures that are searched
TRIAL_SHARE = 0.1  # of the remaining time: an epoch of fine-tuning must fit into it

# --- deadlines: fit.py, setup.py, plan.py. Decision 0077 ---------------------------------------------------------

# Seconds from which on a study waits for Ray, on a quiet machine.
RAY_FROM = 60.0
# With few cores, also so many times what this process took to load its libraries: Ray's workers load the same.
RAY_STARTS, FEW_CORES = 45.0, 4
# The share of the time left that scanning and decoding may have, and that the linear head may have, with its maximum.
DECODING_SHARE = 0.35
HEAD_SHARE, HEAD_SECONDS = 0.1, 10.0
# The same for the linear head on frozen features of each network. The first may have up to FEATURES_FIRST seconds, if
# that is at most the last share.
FEATURES_SHARE, FEATURES_SECONDS = 0.08, 120.0
FEATURES_FIRST, FEATURES_FIRST_SHARE = 30.0, 0.35
# A further network has a head if its time holds this part of the images that the first one has read. Decision 189.
FEWER = 0.5
# After the search the best head may read on: the power of the number of images with which its error falls, how many
# times as many images that must be, and the share of the time left that this may have. Decision 189.
HEAD_EXPONENT, READ_ON_TIMES, READ_ON_SHARE = 0.25, 1.2, 0.9
# The largest input in pixels, of the size of its weights, that a head's network gets. Decision 0102.
LARGEST_HEAD = 288
# Of the time that scoring the head on the holdout would leave: at most this share, and no head with fewer seconds left.
FEATURES_OF_SPARE, FEATURES_LEAST = 0.7, 4.0
# Of the time left: the most that the test of a head may take, and all that its features take if its images are smaller
# than the weights want.
TESTED_SHARE = 0.5
# With fewer validation rows, heads are compared by cross-validation: so many folds, so often, if the rows of both parts
# are at most the last number; else once. Decision 0106.
FEW_VAL, HEAD_FOLDS, HEAD_REPEATS, REPEATED_ROWS = 200, 5, 3, 1500
# A study of fewer seconds asks no hub: nothing could be downloaded.
HUB_FROM = 60.0
# With fewer seconds left, the machine's speed is measured on a quarter of the images and in one precision.
BRIEF_BELOW = 60.0
# The most of the time left for measuring the speed of the first configuration, and the seconds that are enough.
SPEED_SHARE, SPEED_SECONDS = 0.02, 0.7
# The most of the time left that a second measurement, of another configuration, may have.
AGAIN_SHARE = 0.04
# Seconds that ranking pretrained networks needs at least, on a quiet machine.
RANK_LEAST = 2.0
# The part of the time of ranking one network that grows with its parameters: loading and checking its file.
LOADING = 0.3
# Images that are decoded to see how long the fewest would take.
TRIED_IMAGES = 4
# The share of the time left for reading earlier studies.
WARM_START_SHARE = 0.05

# --- limits/: the limits of the model. Decision 0147 --------------------------------------------------------------

# The most time for measuring networks, as a share of the time left and in seconds, and for refusing a limit that
# nothing could keep.
LIMITS_SHARE, LIMITS_SECONDS, REFUSAL_SECONDS = 0.08, 60.0, 5.0
# Sides in pixels at which a head's network is tried if it exceeds a limit at the size of its weights.
WEIGHTS_AT = (192, 160, 128, 96)

# --- retrain/promise.py: from scratch or from weights. Decision 0191 -----------------------------------------------

# The part of the skill of the best linear head on features (beside the trivial answer) that the one on pixels has where
# a training from scratch is more likely to be better than that head than a fine-tuning is.
TELLING_PIXELS = 0.5

# --- retrain/combine.py: ensembles. Decision 0150 ------------------------------------------------------------------

# The share of the time left after the search that is kept for other members; the fewest validation rows that decide
# about them, and the most models that are tried.
COMBINING_SHARE, FEWEST_COMBINED, MOST_COMBINED = 0.25, 30, 8

# --- setup.py ------------------------------------------------------------------------------------------------------

SMALL = 64  # px; up to this a GPU trains the networks of the preset `small`. "Small images on a GPU"

# --- distillation/: the smallest network that keeps the metric. Decision 0167 --------------------------------------

# The share of the time left after the search that is kept for students. A student has at most the share SMALLER of its
# teacher's parameters times multiplications; sizes are compared in steps of SIZE_STEP, and so many sizes are tried.
DISTILLING_SHARE, SMALLER, SIZE_STEP, MOST_SIZES = 0.5, 0.75, 4.0, 3
# The most seconds for measuring the speed of a student's training, and the share of its time that this may have.
STUDENT_SECONDS, STUDENT_SHARE = 0.7, 0.1
