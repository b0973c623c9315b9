"""Metadata of the package; the tools' settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "ppo_np/__init__.py").read_text(), re.MULTILINE)[1]

VIDEO = ["imageio-ffmpeg>=0.6"]
IMAGES = ["opencv-python-headless>=4.10"]
PLOT = ["matplotlib>=3.9"]
MINARI = ["minari>=0.5.3"]
ENVPOOL = ["envpool>=1.2.5"]
EXPORT = ["onnx>=1.17", "onnxruntime>=1.20"]
KERAS = ["jax>=0.4.30", "keras>=3.5"]
MPI = ["mpi4py>=4.0", "mpich>=4.2"]
TUNE = ["optuna>=4.0"]
TEST = [
    *VIDEO,
    *PLOT,
    "huggingface_hub>=0.24",
    *TUNE,
    *EXPORT,
    "hypothesis>=6.100",
    "pytest>=8.2",
    "pytest-benchmark>=5.1",
    "pytest-cov>=6.0",
    "pytest-xdist>=3.6",
    "tensorboard>=2.18",
]
WANDB = ["wandb>=0.19"]
MLFLOW = ["mlflow>=3"]
PEERS = [
    *PLOT,
    *ENVPOOL,
    "gymnax<1",
    "mkl>=2025.0",
    "mkl-include>=2025.0",
    "rejax>=0.1.3",
    "rltools>=2.2",
    "sbx-rl>=0.28",
    "stable-baselines3>=2.9",
    "torch>=2.13",
]
DOCS = [*PLOT, "furo>=2025.9", "latex2mathml>=3.78", "myst-parser>=4.0", "sphinx>=8.2", "ziamath>=0.12"]
DEV = [*TEST, "cosmic-ray>=8.7", "mypy>=1.18", "pre-commit>=4.0", "ruff>=0.9"]

setup(
    name="ppo_np",
    version=VERSION,
    description="Proximal policy optimisation on NumPy and Numba, with every gradient derived and written by hand",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    packages=[*find_packages(include=["kernels", "ppo_np", "ppo_np.*"]), "ppo_np.course.pages"],
    package_dir={"ppo_np.course.pages": "docs/course"},
    package_data={
        "ppo_np": ["presets/*.toml", "py.typed", "course/worked/*"],
        "ppo_np.course.pages": ["*.md", "images/*"],
        "ppo_np.checking": ["explain.html"],
        "ppo_np.reporting": ["report.html"],
    },
    entry_points={"console_scripts": ["ppo-np = ppo_np.__main__:script"]},
    python_requires=">=3.11",
    install_requires=[
        "gymnasium[box2d]>=1.3",
        "h5py>=3.11",
        "numba>=0.62",
        "numpy>=2.0",
        "rich>=14.3",
        "scipy>=1.14",
        "tensorboardX>=2.6.2.2",
        "threadpoolctl>=3.5",
        "tyro>=1.0.2",
    ],
    extras_require={
        "video": VIDEO,
        "images": IMAGES,
        "plot": PLOT,
        "envpool": ENVPOOL,
        "minari": MINARI,
        "export": EXPORT,
        "keras": KERAS,
        "mpi": MPI,
        "wandb": WANDB,
        "mlflow": MLFLOW,
        "tune": TUNE,
        "peers": PEERS,
        "docs": DOCS,
        "test": TEST,
        "dev": DEV,
    },
    keywords=["reinforcement learning", "PPO", "numba", "backpropagation", "gymnasium"],
    classifiers=[
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
