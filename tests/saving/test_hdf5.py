"""Sealed files: what is packed comes back, h5py alone reads the same, and everything odd is refused by name."""

import hashlib
import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ppo_np.saving import hdf5
from ppo_np.saving.hdf5 import LARGEST_HEADER, MAGIC, SMALLEST_BLOCK, START, SealError, pack, unpack

TYPES = [np.dtype(name) for name in sorted(hdf5.TYPES)]
SMALL = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "group/b": np.array([1, 2], np.int64)}

words = st.text("abcxyz_0159é ", min_size=1, max_size=8).filter(str.strip)
names = st.lists(words, min_size=1, max_size=3).map("/".join)
values = st.sampled_from(TYPES).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0, max_side=4)))
attributes = st.dictionaries(words.filter(lambda name: name != "complete"), st.text("abc{}\n\"'é") | st.integers(0, 99))


def are_apart(named):
    """Whether no name is also a group of another one."""
    return not any(other.startswith(f"{name}/") for name in named for other in named)


def same(array, other):
    return array.dtype == other.dtype and array.shape == other.shape and array.tobytes() == other.tobytes()


def head_of(data):
    return json.loads(data[START : data.index(b"\n", START)])


def sealed(text, rest=b""):
    """A file whose list is `text`, and whose seal is right."""
    body = text.encode() + b"\n" + rest
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def with_entry(entry, name="a"):
    return sealed(json.dumps({"attributes": {}, "arrays": {name: entry}}), bytes(64))


@settings(max_examples=30)
@given(st.dictionaries(names, values, max_size=5).filter(are_apart), attributes)
def test_what_is_packed_comes_back(packed, noted):
    unpacked, found = unpack(pack(packed, noted))
    assert found == noted
    assert unpacked.keys() == packed.keys()
    assert all(same(unpacked[name], array) for name, array in packed.items())


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)], ids=str)
def test_every_type_and_shape_comes_back_also_by_h5py_alone(tmp_path, dtype, shape):
    array = np.random.default_rng(0).integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype).reshape(shape)
    (tmp_path / "x.h5").write_bytes(pack({"deep/in/a": array}, {"text": "é", "number": 7}))
    assert same(unpack((tmp_path / "x.h5").read_bytes())[0]["deep/in/a"], array)
    with h5py.File(tmp_path / "x.h5") as file:
        assert same(file["deep/in/a"][()], array)
        assert dict(file.attrs) == {"text": "é", "number": 7, "complete": 1}
        assert file["deep/in/a"].attrs["sha256"].decode() == hashlib.sha256(array.tobytes()).hexdigest()


def test_arrays_that_do_not_lie_in_one_piece_come_back():
    array = np.arange(24).reshape(4, 6)[::2, ::-1].T
    assert np.array_equal(unpack(pack({"a": array}, {}))[0]["a"], array)


def test_nothing_at_all_comes_back():
    assert unpack(pack({}, {})) == ({}, {})


def test_arrays_have_memory_of_their_own_and_can_be_written_to():
    data = pack(SMALL, {})
    unpacked, _ = unpack(data)
    for array in unpacked.values():
        assert array.flags.writeable
        assert array.flags.aligned
        array += 1
    assert same(unpack(data)[0]["a"], SMALL["a"])
    assert not np.shares_memory(*unpacked.values())


@pytest.mark.parametrize("count", [1, 3, 30, 300])
def test_the_head_grows_with_the_number_of_arrays(tmp_path, count):
    packed = {f"layer/{n}": np.full(3, n, np.float32) for n in range(count)}
    data = pack(packed, {})
    block = data.index(hdf5.HDF5_SIGNATURE)
    assert block >= SMALLEST_BLOCK
    assert block & (block - 1) == 0
    assert all(same(unpack(data)[0][name], array) for name, array in packed.items())
    (tmp_path / "x.h5").write_bytes(data)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.userblock_size == block
        assert same(file[f"layer/{count - 1}"][()], packed[f"layer/{count - 1}"])


@pytest.mark.parametrize("arrays", [0, 20])
def test_a_head_that_is_almost_too_long_comes_back(arrays):
    noted = {f"{n:03}": "x" * 50_000 for n in range(LARGEST_HEADER // 50_000 - 1)}
    packed = {f"a{n}": np.arange(n) for n in range(arrays)}
    unpacked, found = unpack(pack(packed, noted))
    assert found == noted
    assert all(same(unpacked[name], array) for name, array in packed.items())


def test_a_head_that_is_too_long_is_refused_at_once():
    with pytest.raises((SealError, ValueError)):
        pack({}, {f"{n:03}": "x" * 50_000 for n in range(LARGEST_HEADER // 50_000 + 1)})


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.array([None]),
        np.array([1j]),
        np.array([True]),
        np.zeros(1, ">f4"),
    ],
    ids=str,
)
def test_pack_writes_no_type_that_unpack_refuses(array):
    with pytest.raises((SealError, TypeError, ValueError)):
        pack({"a": array}, {})


def test_a_flip_of_any_bit_is_noticed():
    data = pack(SMALL, {"format": "x"})
    rng = np.random.default_rng(0)
    for place in [*range(START), *rng.integers(START, len(data), 200)]:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(SealError):
            unpack(bytes(changed))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is not a file of ppo_np"),
        (b"not ours", "it is not a file of ppo_np"),
        (MAGIC[:-1], "it is not a file of ppo_np"),
        (hdf5.HDF5_SIGNATURE + bytes(100), "it is HDF5 without our seal; formats before 3 had none"),
        (MAGIC, "it is damaged: its bytes do not match its seal"),
        (pack(SMALL, {})[:-1], "it is damaged: its bytes do not match its seal"),
        (pack(SMALL, {}) + b"\0", "it is damaged: its bytes do not match its seal"),
        (sealed("")[:-1], "it is damaged: its bytes do not match its seal"),
    ],
)
def test_what_is_not_ours_or_damaged_is_refused(data, message):
    with pytest.raises(SealError, match=f"^{message}$"):
        unpack(data)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "1", "[]", "{}", "null", "NaN", "\x00", '{"arrays": {}}', '{"attributes": {}}',
        '{"arrays": [], "attributes": {}}', '{"arrays": {}, "attributes": []}', '{"arrays": null, "attributes": {}}',
        '{"arrays": {"a": 1}, "attributes": {}}', '{"arrays": {"a": null}, "attributes": {}}',
        '{"arrays": {"a": []}, "attributes": {}}', '{"arrays": {"a": [1, 2, 3]}, "attributes": {}}',
        '{"arrays": {"a": [1, 2, 3, 4, 5]}, "attributes": {}}',
        '{"arrays": {}, "attributes": {"a": ' + "9" * 5000 + "}}", "[" * 100_000, '{"a":' * 100_000,
        " " * LARGEST_HEADER + '{"arrays": {}, "attributes": {}}',
    ],
    ids=lambda text: text[:50],
)  # fmt: skip
def test_a_list_that_is_none_is_refused(text):
    with pytest.raises(SealError, match="^the list of its arrays cannot be read$"):
        unpack(sealed(text))


@pytest.mark.parametrize("value", ["1.5", "null", "[]", "{}", "NaN", "Infinity"])
def test_an_attribute_that_is_neither_text_nor_an_integer_is_refused(value):
    with pytest.raises(SealError, match="^an attribute is neither text nor an integer$"):
        unpack(sealed(f'{{"arrays": {{}}, "attributes": {{"a": {value}}}}}'))


@pytest.mark.parametrize(
    "dtype",
    ["O", "|O", "|V8", "<M8[s]", "<m8[s]", "|S4", "<U4", ">f4", "<f16", "<c8", "f4,f4", "float32", "|b1", "", None, 4],
)
def test_a_type_that_is_no_plain_number_is_refused(dtype):
    with pytest.raises(SealError, match=r"^a has the type "):
        unpack(with_entry([dtype, [1], 0, ""]))


@pytest.mark.parametrize("dtype", [["<f4"], {"names": ["a"]}, [["a", "<f4"]]])
def test_a_type_that_is_a_list_is_refused(dtype):
    with pytest.raises(SealError):
        unpack(with_entry([dtype, [1], 0, ""]))


@pytest.mark.parametrize(
    ("shape", "offset"),
    [
        (1, 0), ("3", 0), (None, 0), ({}, 0), ([1.0], 0), ([True], 0), ([None], 0), ([[1]], 0), ([-1], 0),
        ([-1, -1], 0), ([1] * 33, 0), ([1], -1), ([1], 1.0), ([1], True), ([1], None), ([1], "0"), ([1], [0]),
        ([float("nan")], 0), ([1], float("inf")),
    ],
)  # fmt: skip
def test_a_shape_or_an_offset_that_is_none_is_refused(shape, offset):
    with pytest.raises(SealError, match=r"^a has the shape .* at "):
        unpack(with_entry(["<f4", shape, offset, ""]))


@pytest.mark.parametrize(
    ("shape", "offset"),
    [([1000], 0), ([2**31] * 4, 0), ([2**63], 0), ([10**400], 0), ([1], 10**9), ([1], 2**63), ([], 10**400)],
)
def test_an_array_beyond_the_end_is_refused(shape, offset):
    with pytest.raises(SealError, match=r"^a has the shape .*, which goes beyond the end of the file$"):
        unpack(with_entry(["<f4", shape, offset, ""]))


@pytest.mark.parametrize("shape", [[0, 10**30], [10**30, 0], [0] * 32, [0, 2**62, 2**62]], ids=str)
def test_an_empty_array_of_a_huge_shape_is_refused_or_empty(shape):
    try:
        unpacked, _ = unpack(with_entry(["<f4", shape, 0, hashlib.sha256(b"").hexdigest()]))
    except SealError:
        return
    assert unpacked["a"].size == 0


@pytest.mark.parametrize("checksum", ["", "0" * 64, None, 1, [], hashlib.sha256(b"").hexdigest()])
def test_numbers_that_do_not_match_their_checksum_are_refused(checksum):
    with pytest.raises(SealError, match="^a is damaged: its numbers do not match their checksum$"):
        unpack(with_entry(["<f4", [1], 0, checksum]))


def test_an_array_may_end_where_the_file_ends_but_not_a_byte_later():
    def ending(beyond):
        start = 0
        for _ in range(3):
            entry = ["<f4", [16], start + beyond, hashlib.sha256(bytes(64)).hexdigest()]
            text = json.dumps({"attributes": {}, "arrays": {"a": entry}})
            start = len(sealed(text))
        return sealed(text, bytes(64))

    assert not unpack(ending(0))[0]["a"].any()
    with pytest.raises(SealError, match="beyond the end"):
        unpack(ending(1))


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "x" * 100_000])
def test_a_name_cannot_spoil_the_message(name):
    with pytest.raises(SealError) as refused:
        unpack(with_entry(["O", [1], 0, ""], name))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 2000


def test_a_shape_cannot_spoil_the_message():
    with pytest.raises(SealError) as refused:
        unpack(with_entry(["<f4", [1] * 100_000, 0, ""]))
    assert len(str(refused.value)) < 2000


def test_many_names_for_the_same_numbers_are_refused():
    """A file of 1 MB could ask for the memory of thousands of such files."""
    rest, start = bytes(100_000), 0
    for _ in range(6):  # until the offset has as many digits as it needs
        entry = ["|u1", [len(rest)], start, hashlib.sha256(rest).hexdigest()]
        text = json.dumps({"attributes": {}, "arrays": {f"a{n}": entry for n in range(1000)}})
        start = len(sealed(text))
    with pytest.raises(SealError, match="^its arrays"):
        unpack(sealed(text, rest))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-be"])
def test_a_list_in_another_encoding_is_refused(encoding):
    body = '{"arrays": {}, "attributes": {}}'.encode(encoding) + b"\n"
    with pytest.raises(SealError, match="^the list of its arrays cannot be read$"):
        unpack(MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
