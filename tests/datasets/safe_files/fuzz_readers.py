"""Reads mutations of honest files until a time is over; a process of its own runs it.

Called as `fuzz_readers.py KIND SECONDS SEED FOLDER`, KIND one of `READERS`. Memory is limited, and
a warning is an error; whatever is neither a value nor a sentence ends it with a traceback. Prints
how many mutations were read, how many refused, and the largest memory in MiB.
"""

import collections
import io
import pickle
import pickletools
import random
import re
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "pipelines"))

from cmml_tf.commands.options import plain_options, read_options
from cmml_tf.config import ScenarioRunConfig, SplitConfig, override
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.datasets.safe_files.safe_pickle import load_plain_pickle
from cmml_tf.datasets.sources.scenario_meta import load_scenario_meta
from cmml_tf.interop.npz_arrays import read_float_arrays, read_integer_arrays
from cmml_tf.plain_arrays import open_archive

_MOST_ADDRESSES = 3 << 29
_OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
_LARGE = [0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def honest_pickles():
    pairs = [(user, 100 + user % 7) for user in range(300)]
    values = [
        [("comedy", pairs, 4), ("Amélie", [["u1", 2.5, None]], True)],
        {f"u{row}": row for row in range(100)} | {7: -1, (1, "a"): 2**62},
        [np.arange(6).reshape(2, 3), np.array(["a", None], object), np.array(["ä", "bc"]), b"\xff"],
        {"a": {1, 2}, "b": frozenset([3]), "c": collections.OrderedDict(x=1.5), "d": np.float32(2)},
        [np.asfortranarray(np.ones((2, 3), np.float32)), np.str_("x"), np.int64(3), 1 + 2j],
    ]
    made = [pickle.dumps(value, protocol) for value in values for protocol in range(6)]
    return [*made, b"(dp1\nS'caf\\xe9'\np2\n(lp3\nI1\naL5L\nas."]


def honest_npy():
    arrays = [
        np.ones((5, 3), np.float32),
        np.asfortranarray(np.ones((5, 3))),
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.array([["ab", "c"]]),
    ]
    made = []
    for array in arrays:
        file = io.BytesIO()
        np.save(file, array)
        made.append(file.getvalue())
    return made


def honest_npz():
    made = []
    for save in (np.savez, np.savez_compressed):
        for arrays in (
            {"state/a": np.ones((5, 3), np.float32), "state/b": np.zeros(2000, np.float32)},
            {"ids": np.arange(50), "names": np.array(["a", "bc"]), "flags": np.array([True])},
        ):
            file = io.BytesIO()
            save(file, **arrays)
            made.append(file.getvalue())
    return made


def honest_yaml():
    options = yaml.safe_dump(plain_options(ScenarioRunConfig()), sort_keys=False).encode()
    features = b"items:\n  genre: multi-hot\n  price: numeric\nusers: {country: categorical}\n"
    return [options, features, b"a: [1, 2.5, {b: &x [c], d: *x}]\n? !!set {1}\n: |\n  text\n"]


def read_npz(path):
    for read in (
        lambda: read_float_arrays(path, lambda name: name.startswith("state/")),
        lambda: read_integer_arrays(path, ["ids"]),
    ):
        refused(read)

    with open_archive(path) as archive:
        archive.read(lambda name: True)


def read_yaml(path):
    refused(lambda: open_rating_data(str(path.parent), RatingDataConfig(), 0))
    override(ScenarioRunConfig(), read_options(path, ScenarioRunConfig))


def honest_train_data():
    pairs = [(f"u{user}", 100 + user % 7, 5.0) for user in range(30)]
    values = [[(name, pairs) for name in ("a", "b", "c", "d")]]
    values.append([(1, np.array([["u1", 100], ["u2", 101]], object)), (2.5, pairs), ("c", pairs)])
    return [pickle.dumps(value, protocol) for value in values for protocol in (0, 2, 4, 5)]


def read_folder(path):
    """A folder in ScenarioMeta's layout whose training data are the file."""
    others = {
        "embeddings/user_dict": {f"u{row}": row for row in range(30)},
        "embeddings/item_dict": {100 + row: row for row in range(7)},
        "train_data/test_data": [("t", [("u3", 105)], [("u9", 101), ("u8", 104)])],
    }
    if not (path.parent / "embeddings").exists():
        (path.parent / "embeddings").mkdir()
        (path.parent / "train_data").mkdir()
        for side in ("user", "item"):
            np.save(path.parent / f"embeddings/{side}_embeddings.npy", np.ones((31, 4)))
        for name, value in others.items():
            (path.parent / name).write_bytes(pickle.dumps(value))
    path.replace(path.parent / "train_data/train_data")
    load_scenario_meta(path.parent, SplitConfig(validation_fraction=0), seed=0)


READERS = {
    "folder": (honest_train_data, read_folder, "train_data.pickle"),
    "pickle": (honest_pickles, load_plain_pickle, "data.pickle"),
    "npy": (honest_npy, read_matrix, "matrix.npy"),
    "npz": (honest_npz, read_npz, "arrays.npz"),
    "yaml": (honest_yaml, read_yaml, "features.yaml"),
}


def mutated(content, others, rng):
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        place = rng.randrange(len(content) + 1)
        match rng.randrange(9):
            case 0:
                content[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                content[place : place + rng.choice((1, 2, 8, 100))] = b""
            case 2:
                part = content[place : place + rng.choice((1, 4, 30, 300))]
                content[place:place] = part * rng.choice((1, 2, 50))
            case 3:
                other = rng.choice(others)
                begin = rng.randrange(len(other))
                content[place:place] = other[begin : begin + rng.choice((1, 5, 50, 500))]
            case 4:
                content[place:place] = rng.choice(_OPCODES) * rng.choice((1, 1, 2, 3, 2000))
            case 5:
                size = rng.choice((1, 2, 4, 8))
                number = rng.choice(_LARGE) % 256**size
                content[place : place + size] = number.to_bytes(size, "little")
            case 6:
                content[place : place + 1] = str(rng.choice(_LARGE)).encode()
            case 7:
                del content[place:]
            case 8:
                content[place:place] = rng.choice((b"[", b"{", b"- ", b"(", b"? ", b"&a ", b"*a"))
    return bytes(content)


def refused(read):
    """Whether it ended with a sentence; any other error is raised."""
    try:
        read()
    except (ValueError, FileNotFoundError) as error:
        if len(str(error)) > 4000 or type(error) is UnicodeDecodeError:
            raise
        return True
    return False


def main(kind, seconds, seed, folder):
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_ADDRESSES, _MOST_ADDRESSES))
    make, read, name = READERS[kind]
    honest, rng, path = make(), random.Random(seed), folder / name
    for text in ("ratings.csv", "items.csv", "users.csv"):
        column = text.removesuffix("s.csv").replace("rating", "user,item,value")
        (folder / text).write_text(f"{column},genre,price,country\n" + "1,1,1,a,1,b\n")
    counts = collections.Counter()
    for content in honest:
        path.write_bytes(content)
        counts["refused" if refused(lambda: read(path)) else "read"] += 1
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        content = mutated(rng.choice(honest), honest, rng)
        path.write_bytes(content)
        counts["refused" if refused(lambda: read(path)) else "read"] += 1
    # Not getrusage's peak, which begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    largest = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) >> 10
    sys.stdout.write(f"{counts['read']} {counts['refused']} {largest}\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
