"""The rooms of the house, from top to bottom, and who imports whom: for the guard and for docs/architecture.md.

python tests/house.py        draws the picture in docs/architecture.md again
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "```mermaid\n", "```\n"

# Rooms from top to bottom, and the files in each from top to bottom: an import leads to a place further down.
EXERCISES = " ".join(f"exercises.{path.stem}" for path in sorted(ROOT.glob("ppo_np/course/exercises/lesson*.py")))
ROOMS = {
    "callbacks": "callbacks",
    "commands": "__main__ train clone evaluate export replay plot report card explain gradcheck sweep tune",
    "course": "__main__ training.train training.screen training.result training.product_run training.installed "
    "training.collecting training.network_hooks training.calls training.comparison training.kernel_functions "
    "teacher_commands gradescope folder hunting watching report teaching checker worker page "
    f"progress grading diagnosing contract variant lesson {EXERCISES} exercise",
    "reporting": "report_page report_parts report_charts card command_lines films chart groups curves",
    "searching": "tune search trial study space sweep table screen jobs manifest grid child result preset_file",
    "running": "api python_run run recording saver cloning run_folder summary launch options resume interval cli "
    "chosen_settings output signals",
    "exporting": "export keras_weights onnx_file python_file npz numpy_policy c_header c_functions verify observations "
    "runner arrays",
    "evaluation": "policy_evaluation periodic playback episodes statistics",
    "logs": "run_logs tensorboard trackers logger csv_file incidents filenames",
    "checking": "explain_page walkthrough backward_lines lines nudge formulas next_minibatch regions numerical_check "
    "gradient_diagnosis loss_steps distribution_steps layer_steps gradient_step branches crash_replay planted_bugs "
    "continuous_bugs gradient_report diagnosis",
    "learning": "ppo adaptive_lr on_policy callbacks compiled_update compile_ahead update_kernel divergence "
    "resume_point metrics cloning demonstrations rollout compiled_rollout acting rollout_buffer minibatches "
    "policy_file policy normalizer",
    "saving": "crash_file foreign warm_start checkpoint training_state keras_file hdf5 files",
    "environments": "make compiled_stream stream asking transition env_recorder compiled_envs examples.acrobot "
    "examples.cartpole examples.mountain_car examples.mountain_car_continuous examples.pendulum compiled "
    "rollout_kernel stepping fingerprint observed by_id wrapping serial workers guard final_infos action_masks "
    "watchdog env_restore attribute_changes film space_json spaces",
    "network": "tensor_trace summed_gradient blocks model threads activations minibatch optimizer action_head "
    "continuous distributions",
    "distributed": "lifeline hub mpi shared_sum ranks",
    "settings": "config setting_names field_types schedules literals errors",
    "kernels": "acting mlp linear tiles views activation loss advantage categorical masked_categorical squashed beta "
    "bernoulli gaussian special moments optimizer initializer finite _jit",
}
PLACES = [(room, name) for room, names in ROOMS.items() for name in names.split()]
FORBIDDEN_IN_KERNELS = ("ppo_np", "gymnasium", "h5py")


def module_name(room: str, name: str) -> str:
    """The module of a place: ppo_np.learning.ppo, ppo_np.train, kernels.loss."""
    if room == "kernels":
        return f"kernels.{name}"
    return f"ppo_np.{name}" if room in ("callbacks", "commands", "settings") else f"ppo_np.{room}.{name}"


HEIGHT = {module_name(*place): -depth for depth, place in enumerate(PLACES)}
ROOM_OF = {module_name(*place): place[0] for place in PLACES}


def sources() -> dict[str, str]:
    """The text of every module of the two packages, by its name; `__init__` files without code are left out."""
    found = {}
    for path in sorted([*ROOT.glob("ppo_np/**/*.py"), *ROOT.glob("kernels/**/*.py")]):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem != "__init__" and path.parent.name != "worked":  # those are files for learners, not modules
            found[name] = path.read_text(encoding="utf-8")
    return found


@cache
def imported(source: str) -> list[str]:
    """Every import in a module, wherever it stands: under TYPE_CHECKING and inside functions too.

    `from a import b` gives a.b where that is a module of ours, and a otherwise.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            whole = [f"{module}.{alias.name}" for alias in node.names]
            names += [name if name in HEIGHT else module for name in whole]
    return names


def is_ours(name: str) -> bool:
    """Whether an imported name is one of the two packages, or relative."""
    return name.split(".")[0] in ("ppo_np", "kernels", "")


def violations(modules: dict[str, str]) -> list[str]:
    """A sentence for each module that has no place, and for each import that does not lead downwards."""
    wrong = []
    for module, source in modules.items():
        if module not in HEIGHT:
            wrong.append(f"{module} has no place in ROOMS")
            continue
        for name in dict.fromkeys(imported(source)):
            if ROOM_OF[module] == "kernels" and name.split(".")[0] in FORBIDDEN_IN_KERNELS:
                wrong.append(f"{module} imports {name}, which kernels must not")
            elif ROOM_OF[module] == "commands" and ROOM_OF.get(name) == "commands":
                wrong.append(f"{module} imports {name}, another command")
            elif is_ours(name) and not HEIGHT.get(name, 0) < HEIGHT[module]:
                wrong.append(f"{module} imports {name}, which does not lie below it")
    return wrong


def arrows(modules: dict[str, str]) -> set[tuple[str, str]]:
    """Which room imports from which other one."""
    pairs = ((ROOM_OF[module], ROOM_OF.get(name)) for module, text in modules.items() for name in imported(text))
    return {(upper, lower) for upper, lower in pairs if lower and lower != upper}


def picture(modules: dict[str, str]) -> str:
    """The rooms as a Mermaid diagram; an arrow that others imply is left out."""
    all_arrows = arrows(modules)
    rooms = list(ROOMS)
    below: dict[str, set[str]] = {}
    for room in reversed(rooms):
        direct = [lower for lower in rooms if (room, lower) in all_arrows]
        below[room] = set(direct).union(*(below[lower] for lower in direct))
    lines = ["flowchart TD"]
    for room in rooms:
        names = list(dict.fromkeys(name.split(".")[0] for name in ROOMS[room].split() if not name.startswith("_")))
        lines.append(f'    {room}["<b>{room}</b><br/>{", ".join(names)}"]')
    for upper in rooms:
        direct = [lower for lower in rooms if (upper, lower) in all_arrows]
        needed = [lower for lower in direct if not any(lower in below[other] for other in direct)]
        lines += [f"    {upper} --> {lower}" for lower in needed]
    return "\n".join(lines) + "\n"


def with_picture(page: str) -> str:
    """The page with its first Mermaid block drawn again."""
    pattern = re.escape(BEGIN) + r".*?" + re.escape(END)
    return re.sub(pattern, lambda _: BEGIN + picture(sources()) + END, page, count=1, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
