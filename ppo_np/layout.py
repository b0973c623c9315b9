"""Names of the files in a run folder."""

CHECKPOINT = "checkpoint.h5"
METRICS = "metrics.csv"
CONFIG = "config.json"
VIDEOS = "videos"
