"""`.h`: a C99 header with static arrays and inline functions, in float32; it needs `<math.h>` and `<stdint.h>` only."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ppo_np.errors import RunError, UserError, check
from ppo_np.exporting.arrays import DISTRIBUTION_OUTPUTS, PolicyArrays
from ppo_np.exporting.c_functions import ACTIVATIONS, DRIVER, HEADS, LAYER, NORMALIZE, SCALE
from ppo_np.exporting.runner import Runner

FLAGS = ["-std=c99", "-Wall", "-Werror", "-O2"]

HEADER = """\
/* A policy, exported by ppo_np. C99; link with -lm.
 *
 * {about}
 *
 * {NAME}_act(obs, mask, &result) sets the deterministic action, the value and the distribution for one flat
 * observation of {obs_size} numbers. mask: {mask}.
 * Nothing is allocated; {scratch} bytes of the stack hold the hidden layers.
 */
#ifndef {GUARD}_H
#define {GUARD}_H

#include <math.h>
#include <stdint.h>

#define {GUARD}_OBS_SIZE {obs_size}
#define {GUARD}_OUTPUTS {outputs}
#define {GUARD}_ACTION_SIZE {actions}

typedef struct {{
    {number} action[{actions}];
    float value;
{fields}
}} {NAME}_result;

{arrays}

{layer}

static inline void {NAME}_act(const float *obs, const unsigned char *mask, {NAME}_result *result) {{
{body}
}}

#endif
"""


def encode(policy: PolicyArrays, name: str) -> bytes:
    """The bytes of the file. Raises UserError if the name cannot begin the names of C."""
    prefix = _prefix(name)
    arrays = {tensor: array for tensor, array in (policy.tensors | policy.numbers).items() if array.ndim}
    discrete = policy.is_discrete
    width = policy.outputs if discrete else len(policy.sizes)
    masks = f"{policy.outputs} bytes, 1 where an action is valid, or NULL" if policy.kind == "categorical" else "NULL"
    text = HEADER.format(
        about=policy, NAME=prefix, GUARD=prefix.upper(), obs_size=policy.obs_size, outputs=policy.outputs,
        actions=len(policy.sizes), number="int64_t" if discrete else "float", mask=masks,
        fields="\n".join(f"    float {output}[{width}];" for output in DISTRIBUTION_OUTPUTS[policy.kind]),
        arrays="\n".join(_array(prefix, tensor, array) for tensor, array in _with_sizes(policy, arrays).items()),
        layer=LAYER.format(NAME=prefix, activation=ACTIVATIONS[policy.activation]).strip(),
        scratch=4 * _scratch(policy), body="\n".join(f"    {line}" for line in _body(prefix, policy)),
    )  # fmt: skip
    return text.encode()


def _prefix(name: str) -> str:
    prefix = name.removesuffix(".h")
    good = re.fullmatch(r"[A-Za-z]\w*", prefix, re.ASCII) is not None
    check(good, "OUT", name, "a name whose part before .h is one of C: letters, digits and underscores")
    return prefix


def _with_sizes(policy: PolicyArrays, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return arrays | ({"sizes": np.array(policy.sizes, np.int32)} if policy.kind == "categorical" else {})


def _array(prefix: str, name: str, array: np.ndarray) -> str:
    """The definition of a static array."""
    kind = {"f": "float", "i": f"int{8 * array.itemsize}_t"}[array.dtype.kind]
    texts = map(_literal, array.reshape(-1).tolist()) if kind == "float" else map(str, array.tolist())
    numbers = list(texts)
    rows = ",\n    ".join(", ".join(numbers[i : i + 8]) for i in range(0, len(numbers), 8))
    return f"static const {kind} {_identifier(prefix, name)}[{array.size}] = {{\n    {rows}}};"


def _literal(number: float) -> str:
    """A float32 number as C writes it: nine digits give it back exactly."""
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = format(number, ".9g")
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _identifier(prefix: str, name: str) -> str:
    return f"{prefix}_{name.replace('/', '_')}"


def _scratch(policy: PolicyArrays) -> int:
    """How many numbers of hidden layers and the like `_body` keeps."""
    hidden = sum(len(bias) for tower in ("shared", "policy", "value") for _, bias in policy.layers(tower))
    return hidden + policy.obs_size


def _body(prefix: str, policy: PolicyArrays) -> Iterator[str]:
    """The lines of the function."""
    sizes = {"NAME": prefix, "obs_size": policy.obs_size, "components": len(policy.sizes)}
    scale, x = _literal(float(policy.numbers["scale"])), "obs"
    if "obs_mean" in policy.numbers or policy.numbers["scale"] != 1:
        x = "x"
        yield f"float x[{policy.obs_size}];"
        lines = NORMALIZE if "obs_mean" in policy.numbers else SCALE
        yield from lines.format(scale=scale, **sizes).strip().splitlines()
    yield f"float out[{policy.outputs}];"
    shared = x
    for tower in ("shared", "policy", "value"):
        x = shared
        for name in policy.layer_names(tower):
            inputs, outputs = policy.tensors[f"{name}/weight"].shape
            weight, bias = (_identifier(prefix, f"{name}/{kind}") for kind in ("weight", "bias"))
            y = {"policy/head": "out", "value/head": "&result->value"}.get(name, name.replace("/", "_"))
            hidden = int(not name.endswith("head"))
            if hidden:
                yield f"float {y}[{outputs}];"
            yield f"{prefix}_layer({x}, {inputs}, {weight}, {bias}, {outputs}, {hidden}, {y});"
            x = y
        shared = x if tower == "shared" else shared
    means, log_std = "out[2 * k]", "out[2 * k + 1]"
    if not policy.has_state_log_std:
        means, log_std = "out[k]", f"{prefix}_policy_log_std[k]"
    squash = "tanhf" if policy.kind == "squashed" else ""
    yield from HEADS[policy.kind].format(means=means, log_std=log_std, squash=squash, **sizes).strip().splitlines()


def compiler() -> str:
    """The C compiler: $CC, or cc, gcc or clang. Raises UserError if there is none."""
    found = [path for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and (path := shutil.which(name))]
    if not found:
        raise UserError("OUT ends in .h, but there is no C compiler (CC, cc, gcc or clang) to verify the file with.")
    return found[0]


def runner(data: bytes, policy: PolicyArrays) -> Runner:
    """What runs the file after the C compiler."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "policy.h").write_bytes(data)
        (prefix,) = re.findall(r"(\w+)_result;", data.decode())
        source, library = Path(folder) / "driver.c", Path(folder) / "driver.so"
        source.write_text(DRIVER.format(NAME=prefix, obs_size=policy.obs_size, outputs=policy.outputs))
        command = [compiler(), *FLAGS, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunError(f"the C compiler does not take the file: {done.stderr.strip():.500}")
        return partial(_run, ctypes.CDLL(str(library)), policy)


def result_dtype(policy: PolicyArrays) -> np.dtype:
    """The struct that the function fills, as NumPy sees it."""
    discrete = policy.is_discrete
    width, components = policy.outputs if discrete else len(policy.sizes), len(policy.sizes)
    fields = [("action", np.int64 if discrete else np.float32, (components,)), ("value", np.float32)]
    fields += [(output, np.float32, (width,)) for output in DISTRIBUTION_OUTPUTS[policy.kind]]
    return np.dtype(fields, align=True)


def _run(library: ctypes.CDLL, policy: PolicyArrays, obs: np.ndarray, mask: np.ndarray | None) -> dict[str, np.ndarray]:
    results = np.zeros(len(obs), result_dtype(policy))
    obs = np.ascontiguousarray(obs, np.float32)
    bytes_of_mask = None if mask is None else np.ascontiguousarray(mask, np.uint8)
    pointers = [a if a is None else ctypes.c_void_p(a.ctypes.data) for a in (obs, bytes_of_mask, results)]
    library.run(*pointers[:2], ctypes.c_long(len(obs)), pointers[2])
    outputs = {name: results[name] for name in policy.output_names}
    return outputs | {"action": outputs["action"].reshape(len(obs), *policy.shape)}


def usage(policy: PolicyArrays, name: str) -> str:
    """A program that calls it."""
    prefix = _prefix(name)
    show = '"%d\\n", (int)result.action[0]' if policy.is_discrete else '"%g\\n", result.action[0]'
    return (
        f'/* main.c: cc -std=c99 -O2 main.c -lm && ./a.out */\n#include <stdio.h>\n#include "{name}"\n\n'
        f"int main(void) {{\n    float obs[{prefix.upper()}_OBS_SIZE] = {{0}};\n    {prefix}_result result;\n"
        f"    {prefix}_act(obs, 0, &result);\n    printf({show});\n    return 0;\n}}\n"
    )
