"""Names of the files in a run folder."""

CHECKPOINT = "checkpoint.h5"
BEST = "best.h5"
METRICS = "metrics.csv"
EVALUATIONS = "evaluations.csv"
CONFIG = "config.json"
VIDEOS = "videos"
