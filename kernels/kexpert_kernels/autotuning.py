"""Block sizes: find the fastest that a device can run, and cache the choice.

The tuner times every candidate that fits the shared memory of the device, once for each case (kernel, head dimension,
dtype, kind of mask, class of length). It keeps the fastest in memory and in
``$XDG_CACHE_HOME/kexpert/kernels/<device>-<key>.json``; the key is a hash of the version of triton and of the source of
these kernels. With ``KEXPERT_KERNELS_TUNE=0``, and while a CUDA graph is captured, it takes the first candidate without
timing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import torch
import triton
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

#: True if the kernels run in Triton's interpreter, on the CPU. Triton reads the variable when it is imported.
INTERPRETED: bool = triton.knobs.runtime.interpret


@dataclass(frozen=True, slots=True)
class Configuration:
    """Tile sizes and launch options. Each kernel defines what M and N count."""

    block_m: int
    block_n: int
    warps: int = 4
    stages: int = 2
    tma: bool = False  # load the tiles of the inner loop through tensor descriptors; sm_90 and newer


class Launch(Protocol):
    """Launch a kernel with a configuration; with ``warmup`` only compile it."""

    def __call__(self, configuration: Configuration, /, warmup: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Device:
    """The properties of a device that decide which configurations are candidates."""

    name: str
    capability: tuple[int, int]
    shared_memory: int  # bytes available to a block
    processors: int = 1

    @staticmethod
    @functools.cache
    def of(index: int) -> Device:
        properties = torch.cuda.get_device_properties(index)
        capability = (properties.major, properties.minor)
        return Device(
            properties.name, capability, properties.shared_memory_per_block_optin, properties.multi_processor_count
        )


INTERPRETER = Device("interpreter", (0, 0), 1 << 30)

_C = Configuration
#: Configurations by kernel and largest padded head dimension. The first that fits the device is the default.
_TABLE: dict[str, dict[int, Sequence[Configuration]]] = {
    "forward": {
        64: [
            _C(128, 64, 4, 3), _C(128, 128, 8, 2), _C(128, 32, 4, 3), _C(64, 64, 4, 3), _C(64, 32, 4, 2),
            _C(128, 128, 8, 3, tma=True), _C(128, 64, 4, 3, tma=True),
        ],
        128: [
            _C(128, 64, 8, 3), _C(128, 128, 8, 2), _C(64, 64, 4, 3), _C(64, 64, 4, 2), _C(64, 32, 4, 2),
            _C(128, 128, 8, 2, tma=True), _C(128, 128, 8, 3, tma=True), _C(128, 64, 8, 3, tma=True),
        ],
        256: [_C(128, 64, 8, 2), _C(64, 64, 4, 2), _C(64, 32, 4, 2), _C(32, 32, 4, 1), _C(128, 64, 8, 2, tma=True)],
    },
    "backward_keys": {  # M counts queries, N keys
        64: [
            _C(64, 128, 8, 2), _C(64, 64, 4, 2), _C(32, 64, 4, 2),
            _C(64, 128, 8, 2, tma=True), _C(64, 128, 8, 3, tma=True), _C(64, 64, 4, 2, tma=True),
        ],
        128: [
            _C(32, 128, 8, 2), _C(32, 64, 4, 2), _C(32, 64, 4, 1),
            _C(32, 128, 8, 2, tma=True), _C(64, 128, 8, 2, tma=True), _C(64, 64, 4, 2, tma=True),
        ],
        256: [_C(32, 64, 8, 2), _C(32, 64, 8, 1), _C(32, 32, 4, 1), _C(16, 32, 4, 1), _C(32, 64, 8, 2, tma=True)],
    },
    "backward_queries": {
        64: [
            _C(128, 64, 4, 3), _C(128, 64, 8, 3), _C(128, 32, 4, 3), _C(64, 64, 4, 3), _C(64, 32, 4, 2),
            _C(128, 128, 8, 2, tma=True), _C(128, 64, 8, 3, tma=True),
        ],
        128: [
            _C(128, 64, 8, 2), _C(64, 64, 4, 2), _C(64, 32, 4, 3), _C(64, 32, 4, 1),
            _C(128, 64, 8, 2, tma=True), _C(128, 64, 8, 3, tma=True), _C(64, 64, 4, 3, tma=True),
        ],
        256: [_C(64, 64, 8, 1), _C(64, 32, 4, 2), _C(32, 32, 4, 1), _C(16, 32, 4, 1), _C(64, 64, 8, 1, tma=True)],
    },
    "decode": {  # M is not tuned: the group and its queries determine the rows
        128: [_C(16, 64, 4, 3), _C(16, 128, 4, 2), _C(16, 128, 8, 2), _C(16, 32, 4, 4), _C(16, 64, 2, 2)],
        256: [_C(16, 32, 4, 3), _C(16, 64, 4, 2), _C(16, 16, 4, 2)],
    },
}  # fmt: skip

#: Configurations for fp32. Its products are exact, without tensor cores, in unrolled code; larger tiles would take
#: minutes to compile and exceed the registers.
_FULL_PRECISION: dict[str, Sequence[Configuration]] = {
    **dict.fromkeys(("forward", "backward_keys", "backward_queries"), (_C(32, 32, 4, 1), _C(16, 16, 4, 1))),
    "decode": (_C(16, 32, 8, 2), _C(16, 16, 8, 2), _C(16, 16, 4, 2)),
}


def shared_memory(kernel: str, c: Configuration, block_d: int, itemsize: int, capability: tuple[int, int]) -> int:
    """Estimate the bytes of shared memory that a configuration takes with the compiler of Triton 3.9.

    The sum of: the tiles that stay for the whole program; two tiles for each stage in flight (products on sm_90 and
    sm_100 read them from shared memory, elsewhere one stage is already in registers); the weights, where a product
    needs them in another layout; and the scratch space of reductions.
    """
    asynchronous = capability[0] in (9, 10) and (kernel != "decode" or c.block_m >= 64)
    buffers = c.stages if asynchronous else max(1, c.stages - 1)
    query_tile, key_tile = c.block_m * block_d * itemsize, c.block_n * block_d * itemsize
    staying, arriving, owned = query_tile, key_tile, c.block_m
    if kernel == "backward_keys":
        staying, arriving, owned = key_tile, query_tile, c.block_n
    if kernel == "decode":
        moved = 2 if asynchronous else 1
    elif asynchronous:
        moved = {"backward_keys": 2, "backward_queries": 1}.get(kernel, 0) if capability[0] == 10 else 0
    else:
        moved = 1 if owned <= 64 else 0
    tiles = (2 if kernel.startswith("backward") else 1) * staying + 2 * buffers * arriving
    if kernel == "backward_keys":
        tiles += 2 * buffers * c.block_m * 4  # log-sum-exp and delta
        tiles += arriving if c.stages == 1 else 0  # without pipelining one of the two is stored twice
    return tiles + moved * c.block_m * c.block_n * itemsize + 2048


@functools.cache
def candidates(
    kernel: str, block_d: int, itemsize: int, device: Device, *, tma: bool = False, rows: int | None = None
) -> Sequence[Configuration]:
    """Return the configurations to time on a device, the default first.

    :param tma: True if the tensors can be read through tensor descriptors.
    :param rows: height of a tile of queries, for kernels that do not take it from the configuration.
    """
    if device is INTERPRETER:
        return [Configuration(32, 32)]
    table = _TABLE[kernel]
    every = _FULL_PRECISION[kernel] if itemsize == 4 else table[min(d for d in table if d >= block_d)]
    able = [c for c in every if not c.tma or (tma and device.capability >= (9, 0))]
    if rows is not None:
        able = [replace(c, block_m=rows) for c in able]

    def needed(c: Configuration) -> int:
        return shared_memory(kernel, c, block_d, itemsize, device.capability)

    return [c for c in able if needed(c) <= device.shared_memory] or [min(able, key=needed)]


def bucket(length: int) -> int:
    """Return the class of a length; lengths of one class share a configuration (up to 512, 2048, 8192, above)."""
    return next((limit for limit in (512, 2048, 8192) if length <= limit), 1 << 30)


class Choices:
    """Configurations chosen on one device, in memory and in a JSON file."""

    def __init__(self, path: Path, measure: Callable[[Callable[[], None]], float]) -> None:
        self._path = path
        self._measure = measure
        self._chosen = self._stored()

    def get(self, case: str) -> Configuration | None:
        return self._chosen.get(case)

    def choose(
        self, case: str, candidates: Sequence[Configuration], launch: Callable[[Configuration], None]
    ) -> Configuration:
        """Time the candidates, store the fastest and return it; a candidate that fails to run loses."""
        best = min(candidates, key=lambda c: self._time(c, launch)) if len(candidates) > 1 else candidates[0]
        self._chosen[case] = best
        self._store()
        return best

    def _time(self, configuration: Configuration, launch: Callable[[Configuration], None]) -> float:
        try:
            return self._measure(lambda: launch(configuration))
        except (triton.TritonError, RuntimeError):  # too large, or rejected by ptxas or the driver
            return float("inf")

    def _stored(self) -> dict[str, Configuration]:
        try:
            return {case: Configuration(**fields) for case, fields in json.loads(self._path.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # absent or damaged: tune again

    def _store(self) -> None:
        """Merge with the choices that other processes stored meanwhile, and replace the file atomically."""
        self._chosen = {**self._stored(), **self._chosen}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._path.parent, delete=False) as file:
                json.dump({case: asdict(c) for case, c in self._chosen.items()}, file, indent=1)
            os.replace(file.name, self._path)
        except OSError:
            pass  # without the cache the next process tunes again


def on_its_device(launcher: Callable[P, T]) -> Callable[P, T]:
    """Make a launcher run on the device of its first argument; Triton launches on the current device."""

    @functools.wraps(launcher)
    def launch(*args: P.args, **kwargs: P.kwargs) -> T:
        index = args[0].get_device()  # -1 for the CPU
        if index < 0 or index == torch.cuda.current_device():
            return launcher(*args, **kwargs)
        with torch.cuda.device(index):
            return launcher(*args, **kwargs)

    return launch


def choose(
    kernel: str, case: tuple[object, ...], like: Tensor, launch: Launch, *, tma: bool = False, rows: int | None = None
) -> Configuration:
    """Return the configuration of ``kernel`` for ``case``, whose first field is the padded head dimension.

    ``tma`` and ``rows`` are those of ``candidates``.
    """
    block_d = case[0]
    assert isinstance(block_d, int)
    if INTERPRETED:
        return candidates(kernel, block_d, like.element_size(), INTERPRETER)[0]
    index = like.get_device()
    choices = _choices(index)
    name = _name(kernel, *case, tma, rows)
    found = choices.get(name)
    if found is None:
        fitting = candidates(kernel, block_d, like.element_size(), Device.of(index), tma=tma, rows=rows)
        if os.environ.get("KEXPERT_KERNELS_TUNE") == "0" or torch.cuda.is_current_stream_capturing():
            return fitting[0]
        _compile(fitting, launch)
        found = choices.choose(name, fitting, launch)
    return found


@functools.cache
def _name(kernel: str, *case: object) -> str:
    """Return the key of a choice in the cache. Memoized, because every call of a kernel needs it."""
    return " ".join(map(str, (kernel, *case)))


def _compile(configurations: Sequence[Configuration], launch: Launch) -> None:
    """Compile in parallel: each takes seconds, mostly outside Python. Errors are ignored here and met when timing."""
    with ThreadPoolExecutor(os.cpu_count()) as pool, triton.AsyncCompileMode(pool, ignore_errors=True):
        for configuration in configurations:
            launch(configuration, warmup=True)


@functools.cache
def _choices(index: int) -> Choices:
    return Choices(cache_file(Device.of(index)), lambda run: triton.testing.do_bench(run, warmup=10, rep=40))


def cache_file(device: Device) -> Path:
    """Return the file of the choices for a device; its name depends on triton's version and these sources."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    key = hashlib.blake2b(triton.__version__.encode() + sources, digest_size=6).hexdigest()
    return home / "kexpert" / "kernels" / f"{re.sub(r'[^A-Za-z0-9]+', '-', device.name)}-{key}.json"
