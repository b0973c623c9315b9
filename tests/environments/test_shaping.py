"""Grey, resized and stacked observations, rescaled actions: their order, their numbers, and where they are refused."""

import re
import sys
import warnings
from contextlib import closing
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import sample_environments
from gymnasium import spaces
from gymnasium.wrappers import RescaleAction
from sample_environments import Picture

from ppo_np import PPO
from ppo_np.config import PPOConfig
from ppo_np.environments.make import make_env, make_vector_env
from ppo_np.environments.stream import EnvStream
from ppo_np.environments.wrapping import far_box_warning
from ppo_np.errors import UserError, short
from ppo_np.evaluation.playback import evaluate
from ppo_np.saving.checkpoint import read_checkpoint

sample_environments.register()
RESCALED = {"rescale_actions": True, "obs_grayscale": True, "frame_stack": 2}
# Stands for OpenCV, as far as Gymnasium's wrapper needs it and sizes are divisible: means over rectangles.
CV2 = """
INTER_AREA = 3
def resize(image, size, interpolation):
    assert interpolation == INTER_AREA
    rows, columns = size[1], size[0]
    parts = image.reshape(rows, image.shape[0] // rows, columns, image.shape[1] // columns, -1)
    return parts.mean(axis=(1, 3)).astype(image.dtype)
"""


@pytest.fixture
def opencv(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text(CV2)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    monkeypatch.delitem(sys.modules, "cv2", raising=False)


def config(**settings):
    return PPOConfig(env_id="ppo_np_test/Picture-v0", num_envs=2, num_steps=16, shared_sizes=(4,), **settings)


class Spaces(gymnasium.Env):
    """Keeps the actions that it is given."""

    metadata = {"render_modes": []}

    def __init__(self, action_space=None, observation_space=None):
        self.action_space = action_space or spaces.Discrete(2)
        self.observation_space = observation_space or spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.action = action
        return self.observation_space.sample(), 0.0, False, False, {}


def grey(picture):
    return (picture * np.array([0.2125, 0.7154, 0.0721])).sum(axis=-1).astype(np.uint8)


def test_images_become_grey_then_small_then_stacked(opencv):
    env = make_env(config(obs_grayscale=True, obs_resize=(2, 3), frame_stack=2))
    assert env.observation_space == spaces.Box(0, 255, (2, 2, 3), np.uint8)
    small = []
    for step in range(3):
        obs = env.step(np.float32([0]))[0] if step else env.reset(seed=0)[0]
        small.append(grey(env.unwrapped.picture).reshape(2, 2, 3, 2).mean(axis=(1, 3)).astype(np.uint8))
        np.testing.assert_array_equal(obs, [small[max(step - 1, 0)], small[step]])


def test_colours_are_resized_too(opencv):
    env = make_env(config(obs_resize=(4, 3)))
    obs, _ = env.reset(seed=0)
    assert obs.shape == env.observation_space.shape == (4, 3, 3)


def test_opencv_itself():
    pytest.importorskip("cv2")
    obs, _ = make_env(config(obs_grayscale=True, obs_resize=(2, 3))).reset(seed=0)
    assert (obs.shape, obs.dtype) == ((2, 3), np.uint8)


def test_without_opencv_it_is_one_sentence(monkeypatch):
    monkeypatch.setattr("ppo_np.errors.importlib.util.find_spec", lambda name: None)
    sentence = r"^--obs-resize needs cv2, which is not installed: pip install 'ppo_np\[images\]'\.$"
    with pytest.raises(UserError, match=sentence):
        make_env(config(obs_resize=(2, 3)))


def test_wrappers_and_the_limit_come_before():
    wrappers = ("gymnasium.wrappers:MaxAndSkipObservation(skip=2)",)
    env = make_env(config(wrappers=wrappers, max_episode_steps=4, **RESCALED))
    names = []
    while env is not env.unwrapped:
        names.append(type(env).__name__)
        env = env.env
    outermost = ["TransformAction", "FrameStackObservation", "TransformObservation", "GrayscaleObservation"]
    assert names[:6] == [*outermost, "MaxAndSkipObservation", "TimeLimit"]


@pytest.mark.parametrize("norm_obs", [False, True])
def test_stacked_images_stay_bytes_until_the_minibatch(norm_obs):
    ppo = PPO(config(norm_obs=norm_obs, total_timesteps=64, **RESCALED))
    assert ppo._buffer.obs.dtype == np.uint8 and ppo._buffer.obs.shape == (16, 2, 2 * 4 * 6)
    ppo.learn()
    ppo.close()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rescaled_actions_never_leave_the_box_and_reach_its_ends(dtype):
    rng = np.random.default_rng(0)
    for _ in range(60):
        low = (rng.normal(size=3) * 10 ** rng.uniform(-4, 4, 3)).astype(dtype)
        high = (low + 10 ** rng.uniform(-4, 4, 3)).astype(dtype)
        if not (low < high).all():
            continue
        inner = Spaces(spaces.Box(low, high, dtype=dtype))
        env = make_env(config(rescale_actions=True), factory=lambda inner=inner: inner)
        assert env.action_space == spaces.Box(-1, 1, (3,), dtype)
        for action, expected in ((-np.ones(3, dtype), low), (np.ones(3, dtype), high)):
            env.step(action)
            np.testing.assert_array_equal(inner.action, expected)
        share = rng.uniform(-1, 1, 3).astype(dtype)
        env.step(share)
        assert inner.action in inner.action_space
        expected = low.astype(float) + (share.astype(float) + 1) / 2 * (high.astype(float) - low)
        scale = 10 * np.finfo(dtype).eps * np.maximum(abs(low), abs(high))
        assert (abs(inner.action - expected) <= scale).all()


def test_an_action_beyond_the_rescaled_bounds_becomes_a_bound():
    inner = Spaces(Picture.action_space)
    env = make_env(config(rescale_actions=True), factory=lambda: inner)
    for action, expected in ((-3, 0), (1.5, 1000)):
        env.step(np.float32([action]))
        assert inner.action.tolist() == [expected]


def test_rescaled_actions_are_those_of_gymnasium():
    ours, theirs = Spaces(Picture.action_space), Spaces(Picture.action_space)
    env = make_env(config(rescale_actions=True), factory=lambda: ours)
    reference = RescaleAction(theirs, np.float32(-1), np.float32(1))
    assert env.action_space == reference.action_space
    for action in np.linspace(-1, 1, 21, dtype=np.float32)[:, np.newaxis]:
        env.step(action)
        reference.step(action)
        np.testing.assert_allclose(ours.action, theirs.action, rtol=1e-6, atol=1e-4)


def test_what_a_policy_draws_beyond_1_becomes_a_bound():
    envs = make_vector_env(config(rescale_actions=True, obs_grayscale=True))
    ppo = PPO(config(total_timesteps=64, log_std_init=2.0, **RESCALED))
    ppo.learn()
    given = np.concatenate([env.unwrapped.actions for env in ppo.envs.envs])
    assert {0.0, 1000.0} < set(given.reshape(-1).tolist())
    stream = EnvStream(envs).reset(seed=0)
    stream.step(np.float32([[-1], [0.5]]))
    assert [env.unwrapped.actions[0].tolist() for env in envs.envs] == [[0], [750]]
    envs.close()
    ppo.close()


def test_a_checkpoint_holds_them_and_predict_speaks_of_the_wrapped_environment(tmp_path):
    file = tmp_path / "policy.h5"
    with closing(PPO(config(total_timesteps=32, **RESCALED))) as ppo:
        ppo.learn().save(file)
    with closing(PPO.load(file)) as loaded:
        assert loaded.config == ppo.config
        assert loaded.envs.single_observation_space.shape == (2, 4, 6)
        action = loaded.predict(np.zeros((2, 4, 6), np.uint8))
    assert action in spaces.Box(-1, 1, (1,), np.float32)
    assert evaluate(file, 2, seed=0)["episodes"] == 2


def test_environments_of_a_checkpoint_with_normalised_images_in_float32_are_restored(tmp_path):
    """As checkpoints had them before."""
    with closing(PPO(config(total_timesteps=32, norm_obs=True, **RESCALED))) as ppo:
        ppo.learn().save(tmp_path / "policy.h5")
    saved = read_checkpoint(tmp_path / "policy.h5")
    record = replace(saved.environments, obs=saved.environments.obs * np.float32(1 / 255))
    with closing(PPO(saved.config, resume=replace(saved, environments=record))) as resumed:
        assert (saved.environments.obs.dtype, resumed.lost_envs) == (np.uint8, [])


BYTES = spaces.Box(0, 255, (128,), np.uint8)
FLOATS = spaces.Box(0, 1, (4, 4, 3))
NO_IMAGE = "left away if observations are not images, a Box of uint8 from 0 to 255 of shape"


@pytest.mark.parametrize(
    ("settings", "given", "sentence"),
    [
        ({"obs_grayscale": True}, {"observation_space": BYTES}, f"obs_grayscale is True, but it must be {NO_IMAGE} (height, width, 3), but in Box(0, 255, (128,), uint8)."),  # noqa: E501
        ({"obs_grayscale": True}, {"observation_space": spaces.Box(0, 255, (4, 4, 1), np.uint8)}, f"obs_grayscale is True, but it must be {NO_IMAGE} (height, width, 3), but in Box(0, 255, (4, 4, 1), uint8)."),  # noqa: E501
        ({"obs_grayscale": True}, {"observation_space": FLOATS}, f"obs_grayscale is True, but it must be {NO_IMAGE} (height, width, 3), but in Box(0.0, 1.0, (4, 4, 3), float32)."),  # noqa: E501
        ({"obs_resize": (2, 2)}, {"observation_space": BYTES}, f"obs_resize is (2, 2), but it must be {NO_IMAGE} (height, width) or (height, width, channels), but in Box(0, 255, (128,), uint8)."),  # noqa: E501
        ({"obs_resize": (2, 2)}, {"observation_space": spaces.Discrete(3)}, f"obs_resize is (2, 2), but it must be {NO_IMAGE} (height, width) or (height, width, channels), but in Discrete(3)."),  # noqa: E501
        ({"frame_stack": 4}, {"observation_space": spaces.Discrete(3)}, "frame_stack is 4, but it must be 1 if observations are not in a Box, but in Discrete(3)."),  # noqa: E501
        ({"rescale_actions": True}, {}, "rescale_actions is True, but it must be left away if actions are not in a Box of floats with finite bounds, but in Discrete(2)."),  # noqa: E501
        ({"rescale_actions": True}, {"action_space": spaces.Box(0, np.inf, (1,))}, "rescale_actions is True, but it must be left away if actions are not in a Box of floats with finite bounds, but in Box(0.0, inf, (1,), float32)."),  # noqa: E501
        ({"rescale_actions": True}, {"action_space": spaces.Box(0, 9, (1,), int)}, "rescale_actions is True, but it must be left away if actions are not in a Box of floats with finite bounds, but in Box(0, 9, (1,), int64)."),  # noqa: E501
        ({"rescale_actions": True}, {"action_space": spaces.Box(np.float32([0, 1]), np.float32([1, 1]))}, "rescale_actions is True, but it must be left away if actions are not in a Box of floats with finite bounds, but in Box([0. 1.], 1.0, (2,), float32)."),  # noqa: E501
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(settings, given, sentence):
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}$"):
        make_env(config(**settings), factory=lambda: Spaces(**given))


@pytest.mark.parametrize(
    ("low", "high", "where"),
    [
        (0, 1000, ""), (-6, 6, ""), (-0.04, 0.04, ""), (0.5, 1, ""), (-2, -0.1, ""),
        ([-1, 0], [1, 1000], " in component 1"), ([0, -np.inf], [1000, np.inf], " in component 0"),
        (-5, 5, None), (-0.05, 0.05, None), (0, 1, None), (-1, 0, None), (-np.inf, np.inf, None), (0, np.inf, None),
    ],
)  # fmt: skip
def test_a_box_far_from_where_a_gaussian_begins_is_told(low, high, where):
    size = np.size(low)
    space = spaces.Box(np.float32(low) * np.ones(size, np.float32), np.float32(high) * np.ones(size, np.float32))
    told = far_box_warning(space, PPOConfig())
    remedy = "rescale_actions (--rescale-actions) maps [-1, 1] to it."
    if np.isinf(high).any():
        remedy = "let the environment, or a wrapper, map numbers near 0 to it."
    expected = f"The action space is {short(space)}, far{where} from [-1, 1], where a Gaussian begins: {remedy}"
    assert told == ("" if where is None else expected)
    assert far_box_warning(spaces.Discrete(99), PPOConfig()) == ""
    assert far_box_warning(space, PPOConfig(action_distribution="beta")) == ""


def test_the_warning_comes_once_and_not_for_a_loaded_policy(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ppo = PPO(config(total_timesteps=32)).learn()
        ppo.save(tmp_path / "policy.h5")
        ppo.close()
        PPO.load(tmp_path / "policy.h5").close()
        PPO(config(total_timesteps=32, **RESCALED)).close()
    assert [str(warning.message)[:45] for warning in caught] == ["The action space is Box(0.0, 1000.0, (1,), fl"]
