"""`.onnx`: a graph of opset 13, which onnxruntime, also in browsers, and other runtimes take; needs the extra `export`.

Inputs: obs, (batch, D) float32; with action masks also action_mask, (batch, K) bool. All outputs begin with the batch.
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ppo_np.exporting.arrays import PolicyArrays
from ppo_np.exporting.runner import Runner

if TYPE_CHECKING:
    from onnx import NodeProto

OPSET, IR_VERSION = 13, 8  # of 2020 and 2021
TINY, ENDS = 1e-37, 2.0**-24


class Graph:
    """A graph that grows node by node; each method returns the name of the node's output."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, array: object, name: str = "") -> str:
        """A constant array; Python's numbers become float32."""
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(array, None if isinstance(array, np.ndarray | np.generic) else np.float32)
        return name

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node with one output."""
        from onnx import helper

        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def clip(self, x: str, low: object, high: object, name: str = "") -> str:
        """x between low and high, which may be arrays."""
        return self.op("Max", self.op("Min", x, self.constant(high)), self.constant(low), name=name)

    def columns(self, x: str, start: int, end: int, step: int = 1) -> str:
        """x[:, start:end:step]."""
        bounds = (self.constant(np.array([number], np.int64)) for number in (start, end, 1, step))
        return self.op("Slice", x, *bounds)


def encode(policy: PolicyArrays, name: str) -> bytes:
    """The bytes of the file."""
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = Graph()
    _network(graph, policy)
    heads = {"categorical": _categorical, "bernoulli": _bernoulli, "beta": _beta}
    heads.get(policy.kind, _gaussian)(graph, policy)
    inputs = [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", policy.obs_size])]
    if policy.masked:
        inputs.append(helper.make_tensor_value_info("action_mask", TensorProto.BOOL, ["batch", policy.outputs]))
    number = TensorProto.INT64 if policy.is_discrete else TensorProto.FLOAT
    width = {"action": policy.shape, "value": (), "probabilities": (policy.outputs,)}
    outputs = [
        helper.make_tensor_value_info(
            output, number if output == "action" else TensorProto.FLOAT,
            ["batch", *width.get(output, (len(policy.sizes),))],
        )
        for output in policy.output_names
    ]  # fmt: skip
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", inputs, outputs, constants, doc_string=str(policy)),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="ppo_np",
    )  # fmt: skip
    checker.check_model(model)
    return model.SerializeToString()


def _network(graph: Graph, policy: PolicyArrays) -> None:
    """From "obs" to "policy_outputs", (batch, K), and "value", (batch,)."""
    numbers, x = policy.numbers, "obs"
    if numbers["scale"] != 1:
        x = graph.op("Mul", x, graph.constant(numbers["scale"], "scale"))
    if "obs_mean" in numbers:
        for name, op in (("obs_mean", "Sub"), ("obs_mean_rest", "Sub"), ("obs_inv_std", "Mul")):
            x = graph.op(op, x, graph.constant(numbers[name], name))
        x = graph.clip(x, -10, 10)
    outputs = {"shared": x}
    for tower in ("shared", "policy", "value"):
        x = outputs["shared"]
        for name in policy.layer_names(tower):
            tensors = (f"{name}/weight", f"{name}/bias")
            weight, bias = (graph.constant(policy.tensors[tensor], tensor) for tensor in tensors)
            x = graph.op("Gemm", x, weight, bias, name="policy_outputs" if name == "policy/head" else "")
            if not name.endswith("head"):
                x = graph.op({"relu": "Relu", "tanh": "Tanh"}[policy.activation], x)
        outputs[tower] = x
    graph.op("Reshape", outputs["value"], graph.constant(np.array([-1])), name="value")


def _shaped(graph: Graph, x: str, policy: PolicyArrays) -> None:
    """The output "action", (batch, *shape of an action), from (batch, numbers of an action)."""
    graph.op("Reshape", x, graph.constant(np.array([-1, *policy.shape], np.int64)), name="action")


def _categorical(graph: Graph, policy: PolicyArrays) -> None:
    logits = "policy_outputs"
    if policy.masked:
        logits = graph.op("Where", "action_mask", logits, graph.constant(-np.inf))
    ends = np.cumsum(policy.sizes).tolist()
    parts = [graph.columns(logits, end - size, end) for end, size in zip(ends, policy.sizes, strict=True)]
    graph.op("Concat", *(graph.op("Softmax", part, axis=1) for part in parts), name="probabilities", axis=1)
    choices = graph.op("Concat", *(graph.op("ArgMax", part, axis=1) for part in parts), axis=1)
    _shaped(graph, graph.op("Add", choices, graph.constant(policy.numbers["start"], "start")), policy)


def _bernoulli(graph: Graph, policy: PolicyArrays) -> None:
    from onnx import TensorProto

    graph.op("Sigmoid", "policy_outputs", name="probabilities")
    positive = graph.op("Greater", "policy_outputs", graph.constant(0))
    _shaped(graph, graph.op("Cast", positive, to=TensorProto.INT64), policy)


def _mapped(graph: Graph, y: str, policy: PolicyArrays) -> None:
    """The action in a Box: clip(offset + gain y, low, high)."""
    offset, gain, low, high = (policy.numbers[name] for name in ("offset", "gain", "low", "high"))
    scaled = graph.op("Mul", y, graph.constant(gain, "gain"))
    _shaped(graph, graph.clip(graph.op("Add", scaled, graph.constant(offset, "offset")), low, high), policy)


def _gaussian(graph: Graph, policy: PolicyArrays) -> None:
    """Gaussian or squashed."""
    if policy.has_state_log_std:
        means, log_std = (graph.columns("policy_outputs", start, policy.outputs, 2) for start in (0, 1))
    else:
        parameter = graph.constant(policy.tensors["policy/log_std"], "log_std_parameter")
        means = "policy_outputs"
        log_std = graph.op("Add", graph.op("Mul", means, graph.constant(0)), parameter)  # one row for each of the batch
    graph.op("Identity", means, name="means")
    graph.op("Identity", log_std, name="log_std")
    _mapped(graph, graph.op("Tanh", means) if policy.kind == "squashed" else means, policy)


def _beta(graph: Graph, policy: PolicyArrays) -> None:
    outputs = (graph.columns("policy_outputs", start, policy.outputs, 2) for start in (0, 1))
    a, b = (_softplus(graph, output) for output in outputs)
    graph.op("Add", a, graph.constant(1), name="alpha")
    graph.op("Add", b, graph.constant(1), name="beta")
    a, b = (graph.op("Add", x, graph.constant(TINY)) for x in (a, b))  # 1/2 where both are 0
    _mapped(graph, graph.clip(graph.op("Div", a, graph.op("Add", a, b)), ENDS, 1 - ENDS), policy)


def _softplus(graph: Graph, x: str) -> str:
    """log(1 + e^x) = max(x, 0) + 2 atanh(e / (2 + e)),  e = e^-|x|: exact for small e. Softplus need not be."""
    e = graph.op("Exp", graph.op("Neg", graph.op("Abs", x)))
    half = graph.op("Atanh", graph.op("Div", e, graph.op("Add", e, graph.constant(2))))
    return graph.op("Add", graph.op("Max", x, graph.constant(0)), graph.op("Add", half, half))


def runner(data: bytes, policy: PolicyArrays) -> Runner:
    """What runs the file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def run(obs: np.ndarray, mask: np.ndarray | None) -> dict[str, np.ndarray]:
        inputs = {"obs": obs} | ({"action_mask": mask} if policy.masked else {})
        return dict(zip(policy.output_names, session.run(list(policy.output_names), inputs), strict=True))

    return run


def usage(policy: PolicyArrays, name: str) -> str:
    """How to run it with onnxruntime."""
    mask = f', "action_mask": np.ones((1, {policy.outputs}), bool)' if policy.masked else ""
    return (
        "import numpy as np\nimport onnxruntime\n\n"
        f'session = onnxruntime.InferenceSession("{name}")\n'
        f"obs = np.zeros((1, {policy.obs_size}), np.float32)\n"
        f'print(session.run({json.dumps(policy.output_names)}, {{"obs": obs{mask}}}))\n'
    )
