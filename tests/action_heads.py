"""One head of each kind, for tests that must hold for all of them."""

import pytest

from ppo_np.network.action_head import ActionHead, discrete
from ppo_np.network.distributions import Bernoulli, Gaussian, MultiCategorical

BOX = ActionHead(Gaussian, (1, 1))
HEADS = {
    "Discrete": discrete(4),
    "MultiDiscrete": ActionHead(MultiCategorical, (3, 2, 4)),
    "MultiBinary": ActionHead(Bernoulli, (1, 1, 1)),
    "Box": BOX,
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
