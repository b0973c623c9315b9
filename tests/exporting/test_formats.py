"""Every format computes what the policy computes, for every kind of policy that it can hold."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces
from policies import NAMES, OF_ENVIRONMENTS, OF_SPACES, of_spaces, save

from ppo_np.exporting import c_header, npz, onnx_file, python_file
from ppo_np.exporting.arrays import arrays_of
from ppo_np.exporting.export import Source, read_source
from ppo_np.exporting.observations import random_masks, random_observations
from ppo_np.exporting.verify import LIMIT, differences, sample_of

ROWS = 10_000


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Each policy, from a checkpoint if it has an environment."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {name: save(config, folder / f"{name}.h5") for name, config in OF_ENVIRONMENTS.items()}
    return {name: read_source(path) for name, path in paths.items()} | {name: of_spaces(name) for name in OF_SPACES}


@pytest.fixture(scope="module")
def samples(sources):
    """What each policy makes of 10,000 observations."""

    def sample(source: Source):
        rng, arrays = np.random.default_rng(3), arrays_of(source.policy, source.own_space)
        is_slow = isinstance(source.policy.observations.space, spaces.Dict) or (arrays.masked and arrays.shape)
        rows = 500 if is_slow else ROWS
        masks = random_masks(arrays.sizes, rows, rng) if arrays.masked else None
        observations = random_observations(source.policy, rows, rng)
        return arrays, sample_of(source.policy, arrays, observations, masks, source.own_space)

    return {name: sample(source) for name, source in sources.items()}


def assert_equal(run, arrays, sample):
    found = differences(run, sample, arrays)
    assert set(found) == set(arrays.output_names)
    assert max(found.values()) <= LIMIT, found
    if arrays.is_discrete:
        assert (run(sample.flat_obs, sample.masks)["action"] == sample.outputs["action"]).mean() > 0.9999


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [npz, onnx_file, pytest.param(python_file, marks=pytest.mark.export)])
def test_a_file_equals_predict(samples, name, form):
    arrays, sample = samples[name]
    assert_equal(form.runner(form.encode(arrays, "policy.x"), arrays), arrays, sample)


def test_rescaled_actions_are_those_of_the_environment(sources, samples):
    arrays, sample = samples["rescaled"]
    policy = sources["rescaled"].policy
    obs = sample.flat_obs
    np.testing.assert_allclose(sample.outputs["action"], 2 * policy.predict(obs), rtol=1e-6)  # Pendulum's -2 to 2
    assert abs(npz.runner(npz.encode(arrays, "x"), arrays)(obs, None)["action"]).max() > 1.5


def test_the_actions_vary(samples):
    for name, (_, sample) in samples.items():
        assert len(np.unique(sample.outputs["action"])) > 1, name
        assert sample.outputs["value"].std() > 0.1, name


PROGRAM = """
static void run_{name}(void) {{
    struct {{ float obs[{obs_size}]; unsigned char mask[{outputs}]; }} row;
    {name}_result result;
    while (fread(row.obs, sizeof row.obs, 1, stdin) && fread(row.mask, sizeof row.mask, 1, stdin)) {{
        {name}_act(row.obs, {masked} ? row.mask : 0, &result);
        fwrite(&result, sizeof result, 1, stdout);
    }}
}}
"""
SANITIZED = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module", params=[["-O2"], SANITIZED], ids=["O2", "sanitizers"])
def program(request, samples, tmp_path_factory):
    """A C program with the headers of all policies; its argument is the number of one of them."""
    folder = tmp_path_factory.mktemp("c")
    source = "#include <stdio.h>\n#include <stdlib.h>\n"
    for number, (arrays, sample) in enumerate(samples.values()):
        (folder / f"p{number}.h").write_bytes(c_header.encode(arrays, f"p{number}.h"))
        sizes = {"obs_size": arrays.obs_size, "outputs": arrays.outputs, "masked": int(sample.masks is not None)}
        source += f'#include "p{number}.h"\n{PROGRAM.format(name=f"p{number}", **sizes)}'
    cases = "".join(f"case {number}: run_p{number}(); break; " for number in range(len(samples)))
    source += f"int main(int argc, char **argv) {{ switch (atoi(argv[argc - 1])) {{ {cases} }} return 0; }}\n"
    (folder / "main.c").write_text(source)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", *request.param]
    subprocess.run([c_header.compiler(), *flags, "main.c", "-o", "main", "-lm"], cwd=folder, check=True)
    return folder / "main", ROWS if request.param == ["-O2"] else 500


@pytest.mark.export
@pytest.mark.parametrize("name", NAMES)
def test_the_c_file_equals_predict(program, samples, name):
    (path, rows), (arrays, sample) = program, samples[name]
    obs = sample.flat_obs[:rows]
    data = np.zeros(len(obs), [("obs", np.float32, (arrays.obs_size,)), ("mask", np.uint8, (arrays.outputs,))])
    data["obs"], data["mask"] = obs, 0 if sample.masks is None else sample.masks[:rows]
    done = subprocess.run([path, str(NAMES.index(name))], input=data.tobytes(), capture_output=True, check=True)
    results = np.frombuffer(done.stdout, c_header.result_dtype(arrays))
    found = {output: results[output] for output in arrays.output_names}
    found["action"] = found["action"].reshape(len(obs), *arrays.shape)
    part = replace(sample, flat_obs=obs, outputs={n: array[:rows] for n, array in sample.outputs.items()})
    assert_equal(lambda obs, mask: found, arrays, part)
