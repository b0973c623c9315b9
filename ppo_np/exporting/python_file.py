"""`.py`: one file that needs nothing but NumPy; the arrays are in it as text."""

import base64

from ppo_np.exporting.arrays import PolicyArrays
from ppo_np.exporting.npz import encode as npz_bytes
from ppo_np.exporting.numpy_policy import Named, source
from ppo_np.exporting.runner import Runner

FILE = '''\
"""A policy, exported by ppo_np: `predict(obs)` gives actions, values and the distribution. Needs NumPy.

{about}
obs: flat observations, (B, {obs_size}).{mask}
"""

import base64
import io

{source}

def predict(obs, mask=None):
    """`act` with the arrays of this file."""
    return act(POLICY, obs, mask)


POLICY = dict(np.load(io.BytesIO(base64.b64decode("""
{data}
"""))))
'''


def encode(policy: PolicyArrays, name: str) -> bytes:
    """The bytes of the file."""
    mask = f" mask: (B, {policy.outputs}), 1 where an action is valid." if policy.kind == "categorical" else ""
    data = base64.encodebytes(npz_bytes(policy, name)).decode().rstrip()
    text = FILE.format(
        about=policy, obs_size=policy.obs_size, mask=mask, source=source(policy.kind, loads=False), data=data
    )  # fmt: skip
    return text.encode()


def runner(data: bytes, policy: PolicyArrays) -> Runner:
    """What runs the file."""
    program: Named = {}
    exec(compile(data, "the exported file", "exec"), program)
    return lambda obs, mask: program["predict"](obs, mask)


def usage(policy: PolicyArrays, name: str) -> str:
    """How to call it."""
    module = name.removesuffix(".py")
    return f"import numpy as np\nfrom {module} import predict\n\nprint(predict(np.zeros((1, {policy.obs_size}))))\n"
