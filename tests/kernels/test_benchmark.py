"""The benchmark script, on shapes that the interpreter can run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from kexpert_kernels import benchmark
from kexpert_kernels.benchmark import Report
from kexpert_kernels.benchmark_report import OURS, summary

OPTIONS = ["--device", "cpu", "--quick"]


@pytest.fixture(autouse=True)
def _interpreted(device: torch.device) -> None:
    if device.type != "cpu":
        pytest.skip("on a GPU run `make bench-gpu`")


def test_a_quick_run_writes_rows_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main([*OPTIONS, "--out", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "benchmark.json").read_text())
    assert {(row["pass"], row["implementation"]) for row in written["rows"]} >= {
        (kind, name)
        for kind in ("forward", "backward", "decode", "prompt", "generate", "train")
        for name in (OURS, "eager")
    }
    assert written["left_out"] == []
    assert {path.name for path in tmp_path.glob("*.png")} == {"forward.png", "backward.png", "decode.png"}
    assert "not measured" in capsys.readouterr().out  # there is no sdpa flash on a CPU


def test_measurements_after_the_deadline_are_left_out(tmp_path: Path) -> None:
    assert benchmark.main([*OPTIONS, "--out", str(tmp_path), "--minutes", "0"]) == 0
    written = json.loads((tmp_path / "benchmark.json").read_text())
    assert written["rows"] == []
    assert all("time was up" in line for line in written["left_out"])
    assert set(written["summary"].values()) == {None}


def test_a_failed_measurement_is_named_and_has_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_inputs: object) -> torch.Tensor:
        raise RuntimeError("No available kernel.\nand more")

    monkeypatch.setattr(benchmark, "IMPLEMENTATIONS", {OURS: broken})
    plan = benchmark.quick_plan("cpu")
    report = Report(tmp_path, float("inf"), benchmark.about(plan))
    benchmark.measure_attention(plan, report, [OURS])
    benchmark.measure_decode(plan, report)
    assert report.rows == []
    assert len(report.left_out) == len(plan.attention) + len(plan.decode)
    assert all("No available kernel." in line and "and more" not in line for line in report.left_out)


def test_a_failed_graph_capture_keeps_the_plain_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> float:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(benchmark, "graphed_milliseconds", refuse)
    plan = benchmark.quick_plan("cpu")
    report = Report(tmp_path, float("inf"), benchmark.about(plan))
    benchmark.measure_attention(plan, report, ["eager"])
    assert [row["pass"] for row in report.rows] == ["forward", "backward"] * len(plan.attention)
    assert len(report.left_out) == len(plan.attention)
    assert all("capturing" in line for line in report.left_out)


def test_a_failed_backward_pass_keeps_the_forward_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_gradient: torch.Tensor) -> None:
        raise RuntimeError("no gradient here")

    def one_way(*given: Any) -> torch.Tensor:
        out = benchmark.eager(*given)
        if out.requires_grad:
            out.register_hook(refuse)
        return out

    monkeypatch.setattr(benchmark, "IMPLEMENTATIONS", {"eager": one_way})
    plan = benchmark.quick_plan("cpu")
    report = Report(tmp_path, float("inf"), benchmark.about(plan))
    benchmark.measure_attention(plan, report, ["eager"])
    assert [row["pass"] for row in report.rows] == ["forward"] * len(plan.attention)
    assert all("no gradient here" in line for line in report.left_out)


def test_ratios_compare_rows_of_the_same_shape() -> None:
    def row(kind: str, name: str, what: str, ms: float, **more: float) -> dict[str, object]:
        return {"pass": kind, "implementation": name, "what": what, "ms": ms, "causal": True, "d": 128, **more}

    what = "b1 h16 s4096 d128 causal"
    rows = [
        row("forward", OURS, what, 2.0, tflops=450.0, queries=4096),
        row("forward", "sdpa flash", what, 3.0, tflops=300.0, queries=4096),
        row("forward", "sdpa flash", "b8 h16 s512 d128 causal", 1.0, tflops=200.0, queries=512),
        row("backward", OURS, what, 4.0, tflops=300.0, queries=4096),
        row("decode", OURS, "b1 h32 kv8 s16384 d128", 0.1, gbps=3000.0, batch=1, keys=16384),
    ]
    figures = {name: figure for name, figure in summary(rows, 4000.0).items() if figure is not None}
    assert figures == {
        "times sdpa flash, forward causal, worst": 1.5,
        "tflops, forward causal d128 from 4k, worst": 450.0,
        "share of copy bandwidth, decode b1 16k, worst": 0.75,
    }


@pytest.mark.parametrize("options", [["--device", "cpu"], ["--device", "cuda"]])
def test_unusable_options_exit_with_a_usage_error(options: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        benchmark.main(options)
    assert refused.value.code == 2
