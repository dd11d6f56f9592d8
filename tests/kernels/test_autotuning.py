"""The candidate configurations of a device, and the cache of choices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from triton import OutOfResources

from kexpert_kernels import autotuning
from kexpert_kernels.autotuning import Choices, Configuration, Device, bucket, cache_file, candidates, shared_memory

#: Shared memory that a block can have, from the CUDA programming guide's table of compute capabilities.
DEVICES = [
    Device("A100", (8, 0), 163 * 1024),
    Device("RTX 3090", (8, 6), 99 * 1024),
    Device("L4", (8, 9), 99 * 1024),
    Device("H200", (9, 0), 227 * 1024),
    Device("B200", (10, 0), 227 * 1024),
    Device("RTX 5090", (12, 0), 99 * 1024),
    Device("GB10", (12, 1), 99 * 1024),
]
KERNELS = ["forward", "backward_keys", "backward_queries", "decode"]
A, B, C = (Configuration(16 * n, 16) for n in (1, 2, 3))


@pytest.mark.parametrize("device", DEVICES, ids=lambda d: d.name)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("block_d", [16, 32, 64, 128, 256])
def test_candidates_fit_the_device(device: Device, kernel: str, block_d: int) -> None:
    offered = candidates(kernel, block_d, 2, device, tma=True)
    assert len(offered) >= 2
    assert all(shared_memory(kernel, c, block_d, 2, device.capability) <= device.shared_memory for c in offered)
    assert device.capability >= (9, 0) or not any(c.tma for c in offered)


def test_the_default_uses_no_descriptors_and_fits_in_fp32() -> None:
    assert not any(candidates(kernel, 128, 2, DEVICES[3], tma=True)[0].tma for kernel in KERNELS)
    small = DEVICES[1]
    for kernel in KERNELS:
        default = candidates(kernel, 128, 4, small)[0]
        assert shared_memory(kernel, default, 128, 4, small.capability) <= small.shared_memory


@pytest.mark.parametrize("device", DEVICES, ids=lambda d: d.name)
@pytest.mark.parametrize("block_d", [64, 128, 256])
def test_decoding_with_the_maximum_of_rows_fits(device: Device, block_d: int) -> None:
    offered = candidates("decode", block_d, 2, device, rows=64)
    assert {c.block_m for c in offered} == {64}
    assert all(shared_memory("decode", c, block_d, 2, device.capability) <= device.shared_memory for c in offered)


def test_lengths_of_different_classes_are_tuned_separately() -> None:
    assert len({bucket(length) for length in (50, 600, 5000, 16384)}) == 4
    assert bucket(8193) == bucket(100_000)


def test_descriptors_are_candidates_only_for_tensors_they_can_read() -> None:
    assert any(c.tma for c in candidates("forward", 128, 2, DEVICES[3], tma=True))
    assert not any(c.tma for c in candidates("forward", 128, 2, DEVICES[3], tma=False))


class Stopwatch:
    """Return a fixed time for each configuration, and record the launches."""

    def __init__(self, times: dict[Configuration, float]) -> None:
        self.times = times
        self.launched: list[Configuration] = []

    def launch(self, configuration: Configuration) -> None:
        self.launched.append(configuration)
        if configuration not in self.times:
            raise OutOfResources(300_000, 101_376, "shared memory")

    def measure(self, run: object) -> float:
        run()  # type: ignore[operator]
        return self.times[self.launched[-1]]


def test_the_fastest_is_chosen_once_and_shared_by_processes(tmp_path: Path) -> None:
    clock = Stopwatch({A: 3.0, B: 1.0, C: 2.0})
    path = tmp_path / "deep" / "choices.json"
    assert Choices(path, clock.measure).choose("forward 64", [A, B, C], clock.launch) == B
    later = Choices(path, clock.measure)
    assert later.get("forward 64") == B
    assert later.get("forward 128") is None
    assert clock.launched == [A, B, C]


def test_concurrent_choices_of_another_process_are_kept(tmp_path: Path) -> None:
    clock = Stopwatch({A: 1.0, B: 2.0})
    path = tmp_path / "choices.json"
    one, other = Choices(path, clock.measure), Choices(path, clock.measure)
    one.choose("one", [A, B], clock.launch)
    other.choose("other", [B, A], clock.launch)
    assert Choices(path, clock.measure).get("one") == Choices(path, clock.measure).get("other") == A


def test_a_configuration_that_fails_is_not_chosen(tmp_path: Path) -> None:
    clock = Stopwatch({C: 2.0})
    assert Choices(tmp_path / "choices.json", clock.measure).choose("case", [A, B, C], clock.launch) == C


@pytest.mark.parametrize("text", ["", "{", "[]", '{"case": {"block_m": 1}}', '{"case": 3}'])
def test_a_damaged_file_is_ignored_and_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "choices.json"
    path.write_text(text)
    clock = Stopwatch({A: 1.0, B: 2.0})
    choices = Choices(path, clock.measure)
    assert choices.get("case") is None
    choices.choose("case", [A, B], clock.launch)
    assert list(json.loads(path.read_text())) == ["case"]


def test_an_unwritable_folder_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    clock = Stopwatch({A: 1.0, B: 2.0})
    assert Choices(tmp_path / "file" / "choices.json", clock.measure).choose("case", [A, B], clock.launch) == A


def test_the_cache_file_depends_on_device_and_version(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = cache_file(DEVICES[0]), cache_file(DEVICES[3])
    assert one.parent == cache_home / "kexpert" / "kernels"
    assert one != other
    monkeypatch.setattr(autotuning.triton, "__version__", "0.0")
    assert cache_file(DEVICES[0]) != one
