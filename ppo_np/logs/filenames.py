"""Names of the files in a run folder."""

from ppo_np.saving import files

CHECKPOINT = files.CHECKPOINT
CRASH = "crash.h5"
BEST = "best.h5"
METRICS = "metrics.csv"
CLONING = "cloning.csv"
EVALUATIONS = "evaluations.csv"
OVERRIDES = "overrides.csv"
EVENTS_PREFIX = "events.out.tfevents."
CONFIG = files.CONFIG
LOCK = ".lock"
TRACK = "track.json"
VIDEOS = "videos"
