"""What is said of the faults that `faulty` has, as regular expressions."""

SAID = r"environment 2 raised RuntimeError: the simulator is gone \(faulty\.py, line \d+\)"
NUMBER = (
    "environment 2 gave an observation whose number {} is {}, "
    r"but it must be a finite number up to 1e\+15, in its space"
)
FORM = "environment 2 gave an observation of {}, but it must be of {}"
REWARD = r"environment 2 gave the reward {}, but it must be a finite number up to 1e\+15"
NO_REWARD = "environment 2 gave the reward {}, but it must be a number"
SILENCE = r"environment 2 did not answer within 1 s \(env_timeout\)"
