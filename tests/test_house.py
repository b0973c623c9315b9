"""The house stands as docs/architecture.md shows it: imports lead downwards only, and the picture is up to date."""

import pytest
from house import HEIGHT, PAGE, ROOT, sources, violations, with_picture

MODULES = sources()


def test_every_module_is_looked_at():
    assert len(MODULES) > 70
    assert {"ppo_np.train", "ppo_np.learning.ppo", "kernels.loss"} <= MODULES.keys()
    assert MODULES.keys() == HEIGHT.keys()


def test_every_import_leads_downwards():
    assert violations(MODULES) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("ppo_np.network.model", "from ppo_np.learning.ppo import PPO"),
        ("ppo_np.network.model", "from ppo_np.learning import ppo"),
        ("ppo_np.network.model", "import ppo_np.learning.ppo"),
        ("ppo_np.network.model", "from ppo_np import PPO"),
        ("ppo_np.network.model", "from ..learning import ppo"),
        ("ppo_np.network.model", "if TYPE_CHECKING:\n    from ppo_np.learning.ppo import PPO"),
        ("ppo_np.network.model", "def later():\n    from ppo_np.running.run import train"),
        ("ppo_np.network.activations", "from ppo_np.network.model import ActorCritic"),
        ("ppo_np.network.model", "from ppo_np.network.model import ActorCritic"),
        ("ppo_np.errors", "from ppo_np.config import PPOConfig"),
        ("ppo_np.train", "from ppo_np.plot import main"),
        ("ppo_np.plot", "from ppo_np.train import main"),
        ("kernels.loss", "from ppo_np.config import PPOConfig"),
        ("kernels.loss", "import gymnasium"),
        ("kernels.loss", "def later():\n    import h5py"),
        ("kernels.linear", "from kernels.mlp import mlp_forward"),
    ],
)
def test_a_planted_import_upwards_is_found(module, line):
    planted = MODULES | {module: f"{MODULES[module]}\n{line}\n"}
    (found,) = violations(planted)
    assert found.startswith(f"{module} imports ")


def test_a_new_module_must_get_a_place():
    assert violations(MODULES | {"ppo_np.learning.new": ""}) == ["ppo_np.learning.new has no place in ROOMS"]


def test_the_picture_of_the_rooms_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert "```mermaid" in page
    assert with_picture(page) == page, "run `python tests/house.py`"


def test_setup_finds_every_package():
    from setuptools import find_packages

    found = set(find_packages(str(ROOT), include=["kernels", "ppo_np", "ppo_np.*"]))
    files = [*ROOT.glob("ppo_np/**/*.py"), *ROOT.glob("kernels/*.py")]
    folders = {path.parent.relative_to(ROOT) for path in files if path.parent.name != "worked"}
    assert {".".join(folder.parts) for folder in folders} == found
