"""``python -m kexpert_kernels.benchmark``: attention on the current device, compared with other implementations.

Writes ``benchmark.json`` and plots into a folder. Every row is a measurement of this run. A measurement that could not
run, for lack of time, memory or support, has no row; a line under ``left_out`` gives the reason.
``--device cpu --quick`` runs a few tiny shapes through Triton's interpreter, which shows only that the script works.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
import triton
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from kexpert_kernels import attention_interface
from kexpert_kernels.benchmark_report import OURS, draw, summary
from kexpert_kernels.decode_attention import decode_attention
from kexpert_kernels.flash_attention import flash_attention

Attention = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """The sizes of one call of attention; ``d`` is the head dimension."""

    batch: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    d: int
    causal: bool

    @property
    def flops(self) -> float:
        """Operations of the two products of the forward pass; half of them if causal."""
        return 4 * self.batch * self.heads * self.queries * self.keys * self.d / (2 if self.causal else 1)

    def tensors(self, device: str, dtype: torch.dtype, learning: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return random q, k and v, stored (batch, length, heads, d) like the output of a model's projections."""
        sizes = (self.queries, self.heads), (self.keys, self.key_heads), (self.keys, self.key_heads)
        q, k, v = (torch.randn(self.batch, *size, self.d, device=device, dtype=dtype).transpose(1, 2) for size in sizes)
        return q.requires_grad_(learning), k.requires_grad_(learning), v.requires_grad_(learning)

    @property
    def elements_read(self) -> int:
        """Number of elements in the keys and values."""
        return 2 * self.batch * self.key_heads * self.keys * self.d

    def cached(self, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return random q, k and v, stored (batch, heads, length, d) like a model's key cache."""
        sizes = (self.heads, self.queries), (self.key_heads, self.keys), (self.key_heads, self.keys)
        q, k, v = (torch.randn(self.batch, *size, self.d, device=device, dtype=dtype) for size in sizes)
        return q, k, v


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """The measurements of a run: the whole table on a GPU, a few tiny shapes in the interpreter."""

    device: str
    dtype: torch.dtype
    attention: list[AttentionShape]
    decode: list[AttentionShape]
    decode_bytes: int  # bytes of keys and values in one cycle of decoding; more than the L2 cache holds
    model: dict[str, int]
    prompt: int
    new_tokens: int
    train: tuple[int, int]  # batch, length


def gpu_plan() -> BenchmarkPlan:
    """16k tokens and 2,048 channels throughout, as in the FlashAttention papers; the most important lengths first."""
    shapes = [AttentionShape(2, 8, 8, 512, 512, 64, causal) for causal in (False, True)]
    for length in (4096, 16384, 512, 8192, 2048, 1024):
        for d in (128, 64):
            for causal in (True, False):
                shapes.append(AttentionShape(16384 // length, 2048 // d, 2048 // d, length, length, d, causal))
                if length == 4096:
                    shapes.append(AttentionShape(16384 // length, 2048 // d, 512 // d, length, length, d, causal))
    decode = [
        AttentionShape(batch, 32, key_heads, 1, keys, d, False)
        for d in (128, 64)
        for keys in (16384, 4096, 1024)
        for batch, key_heads in ((1, 8), (1, 32), (16, 8))
    ]
    model = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 16, "num_attention_heads": 16,
             "num_key_value_heads": 4, "vocab_size": 32000, "max_position_embeddings": 32768}  # fmt: skip
    return BenchmarkPlan("cuda", torch.bfloat16, shapes, decode, 256 * 2**20, model, 8192, 64, (2, 4096))


def quick_plan(device: str) -> BenchmarkPlan:
    model = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
             "num_key_value_heads": 1, "vocab_size": 64, "max_position_embeddings": 64}  # fmt: skip
    shapes = [AttentionShape(1, 2, 2, 20, 20, 16, False), AttentionShape(1, 2, 1, 40, 40, 16, True)]
    decode = [AttentionShape(1, 4, 2, 1, 70, 16, False)]
    return BenchmarkPlan(device, torch.float32, shapes, decode, 2**15, model, 12, 3, (1, 20))


def eager(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Attention as the models of transformers write it."""
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.mT * q.shape[-1] ** -0.5
    if causal:
        scores = scores + _triangle(q.shape[2], k.shape[2], q.dtype, q.device)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype) @ v


@functools.lru_cache(1)
def _triangle(queries: int, keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The causal mask, which a model builds once for all its layers."""
    return torch.full((queries, keys), -torch.inf, device=device, dtype=dtype).triu(1)


def sdpa(backend: SDPBackend) -> Attention:
    def attend(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])

    return attend


def flex(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    attend, mask = _flex(q.shape, k.shape, causal, str(q.device))
    return attend(q, k, v, block_mask=mask, enable_gqa=q.shape[1] != k.shape[1])


@functools.lru_cache(1)
def _flex(q: torch.Size, k: torch.Size, causal: bool, device: str) -> tuple[Callable[..., Tensor], Any]:
    """Compile FlexAttention for one shape, which is fastest.

    Drop what was compiled before: after several shapes torch would stop compiling and silently run uncompiled code.
    """
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    torch._dynamo.reset()
    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, q[2], k[2], device) if causal else None
    return torch.compile(flex_attention, dynamic=False, fullgraph=True), mask


def ours(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    if q.shape[2] == 1:
        return decode_attention(q, k, v)[0]
    return flash_attention(q, k, v, causal=causal)[0]


IMPLEMENTATIONS: dict[str, Attention] = {
    OURS: ours,
    "eager": eager,
    "sdpa flash": sdpa(SDPBackend.FLASH_ATTENTION),
    "sdpa cudnn": sdpa(SDPBackend.CUDNN_ATTENTION),
    "sdpa efficient": sdpa(SDPBackend.EFFICIENT_ATTENTION),
    "flex": flex,
}
#: Lengths measured with FlexAttention, which is compiled for each of them; then the maximum length for eager.
FLEX_LENGTHS = (4096, 16384)
EAGER_LENGTH = 4096


@dataclass(slots=True)
class Report:
    """The measurements so far; saved after every shape, so that an interrupted run keeps its rows."""

    folder: Path
    deadline: float
    about: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def has_time(self, what: str) -> bool:
        if time.monotonic() < self.deadline:
            return True
        self.leave_out(f"{what}: time was up")
        return False

    def attempt(self, what: str, measure: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return the measurement. If it fails, record the reason and return None, so that the others still run."""
        try:
            return measure(*args, **kwargs)
        except Exception as error:
            self.leave_out(f"{what}: {_first_line(error)}")
            return None

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        rate = next((f"{row[unit]:9.1f} {unit}" for unit in ("tflops", "gbps", "tokens_per_s") if unit in row), "")
        print(f"{row['pass']:9} {row['implementation']:15} {row['what']:36} {row['ms']:9.3f} ms {rate}", flush=True)

    def save(self) -> dict[str, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        figures = summary(self.rows, self.about["ceilings"]["copy_gbps"])
        content = {**self.about, "summary": figures, "rows": self.rows, "left_out": self.left_out}
        (self.folder / "benchmark.json").write_text(json.dumps(content, indent=1) + "\n")
        return content

    def plot(self) -> None:
        """Draw the plots, if matplotlib is installed. It takes seconds, so call it once for each section."""
        try:
            draw(self.save(), self.folder)
        except ImportError as error:
            self.leave_out(f"plots: {error}")

    def leave_out(self, line: str) -> None:
        if line not in self.left_out:
            self.left_out.append(line)
            print(f"left out: {line}", flush=True)


def milliseconds(run: Callable[[], object], device: str) -> float:
    """Return the median time of many runs with a cold L2 cache; on a CPU the time of one run."""
    if device == "cuda":
        return float(triton.testing.do_bench(run, warmup=20, rep=80, return_mode="median"))
    begin = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - begin)


def graphed_milliseconds(run: Callable[[], object], device: str) -> float:
    """Return the time under CUDA graphs, without the cost of launches on the host; the cache is warm."""
    return float(triton.testing.do_bench_cudagraph(run, rep=40)) if device == "cuda" else milliseconds(run, device)


def peak_mib(run: Callable[[], object], device: str) -> float | None:
    if device != "cuda":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def ceilings(plan: BenchmarkPlan) -> dict[str, float]:
    """Measure the peak rates of the device: a product of two matrices, and a copy (bytes read and written)."""
    n, size = (8192, 2**30) if plan.device == "cuda" else (64, 2**16)
    a, b = (torch.randn(n, n, device=plan.device, dtype=plan.dtype) for _ in range(2))
    source = torch.empty(size, device=plan.device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return {
        "matmul_tflops": 2 * n**3 / milliseconds(lambda: a @ b, plan.device) / 1e9,
        "copy_gbps": 2 * size / milliseconds(lambda: target.copy_(source), plan.device) / 1e6,
    }


def suitable(shape: AttentionShape, device: str, names: Collection[str]) -> Iterator[tuple[str, Attention]]:
    for name in names:
        if device == "cpu" and name not in (OURS, "eager"):
            continue
        if name == "flex" and shape.queries not in FLEX_LENGTHS:
            continue
        if name == "eager" and shape.queries > EAGER_LENGTH:
            continue
        yield name, IMPLEMENTATIONS[name]


def measure_attention(plan: BenchmarkPlan, report: Report, names: Collection[str]) -> None:
    for shape in plan.attention:
        for name, attend in suitable(shape, plan.device, names):
            if not report.has_time(f"{name} {shape}"):
                continue
            try:
                _forward_and_backward(plan, report, shape, name, attend)
            except Exception as error:  # the other implementations must still run
                report.leave_out(f"{name} {shape}: {_first_line(error)}")
            gc.collect()
        report.save()


def _forward_and_backward(
    plan: BenchmarkPlan, report: Report, shape: AttentionShape, name: str, attend: Attention
) -> None:
    q, k, v = shape.tensors(plan.device, plan.dtype, learning=True)
    still = [x.detach() for x in (q, k, v)]
    out = attend(q, k, v, shape.causal)
    grad = torch.randn_like(out)

    def forward() -> Tensor:
        return attend(*still, shape.causal)

    def backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(out, (q, k, v), grad, retain_graph=True)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(attend(q, k, v, shape.causal), (q, k, v), grad)

    gqa = f" kv{shape.key_heads}" if shape.key_heads != shape.heads else ""
    what = f"b{shape.batch} h{shape.heads}{gqa} s{shape.queries} d{shape.d} {'causal' if shape.causal else 'full'}"
    passes = ("forward", forward, forward, shape.flops), ("backward", backward, both, 2.5 * shape.flops)
    for kind, run, with_forward, flops in passes:
        ms = report.attempt(f"{kind} {name} {shape}", milliseconds, run, plan.device)
        if ms is None:
            continue
        rate = flops / ms / 1e9
        row = {"pass": kind, "implementation": name, "what": what, **asdict(shape), "ms": ms, "tflops": rate}
        if kind == "forward" and shape.queries <= 1024:
            graphed = report.attempt(f"graphed {name} {shape}", graphed_milliseconds, run, plan.device)
            row |= {} if graphed is None else {"graphed_ms": graphed}
        peak = report.attempt(f"memory of {kind} {name} {shape}", peak_mib, with_forward, plan.device)
        report.add(**row, share=rate / report.about["ceilings"]["matmul_tflops"], peak_mib=peak)


def measure_decode(plan: BenchmarkPlan, report: Report) -> None:
    """Measure decoding, replayed as a CUDA graph; GB/s counts only the bytes of keys and values.

    It cycles through several sets of keys, more than the L2 cache holds, so that each set is read from memory.
    """
    for shape in plan.decode:
        moved = shape.elements_read * plan.dtype.itemsize
        sets = [shape.cached(plan.device, plan.dtype) for _ in range(1 + plan.decode_bytes // moved)]
        for name, attend in IMPLEMENTATIONS.items():
            if name == "flex" or (plan.device == "cpu" and name not in (OURS, "eager")):
                continue
            if not report.has_time(f"decode {name} {shape}"):
                continue
            try:
                with torch.no_grad():
                    ms = graphed_milliseconds(lambda: [attend(*x, False) for x in sets], plan.device) / len(sets)  # noqa: B023
                    memory = peak_mib(lambda: attend(*sets[0], False), plan.device)  # noqa: B023
            except Exception as error:
                report.leave_out(f"decode {name} {shape}: {_first_line(error)}")
                continue
            rate = moved / ms / 1e6
            what = f"b{shape.batch} h{shape.heads} kv{shape.key_heads} s{shape.keys} d{shape.d}"
            report.add(**{"pass": "decode"}, implementation=name, what=what, **asdict(shape), ms=ms, gbps=rate,
                       share=rate / report.about["ceilings"]["copy_gbps"], peak_mib=memory)  # fmt: skip
    report.save()


def measure_model(plan: BenchmarkPlan, report: Report) -> None:
    """Measure a Llama with random weights: generation after a long prompt, and whole training steps."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    attention_interface.register()
    configuration = LlamaConfig(**plan.model, use_cache=True, bos_token_id=None, eos_token_id=None, pad_token_id=0)
    with torch.device(plan.device):  # a CPU takes a minute to draw a billion numbers
        model = AutoModelForCausalLM.from_config(configuration, dtype=plan.dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    prompt = torch.randint(1, plan.model["vocab_size"], (1, plan.prompt), device=plan.device)
    batch = torch.randint(1, plan.model["vocab_size"], plan.train, device=plan.device)

    def generate(count: int) -> None:
        model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, do_sample=False)

    def step() -> None:
        model(input_ids=batch, labels=batch, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    for name in (OURS, "sdpa", "eager"):
        model.set_attn_implementation(name)
        runs = (
            ("prompt", lambda: generate(1), plan.prompt, f"{plan.prompt} tokens"),
            ("generate", lambda: generate(plan.new_tokens), plan.new_tokens, f"{plan.new_tokens} after {plan.prompt}"),
            ("train", step, batch.numel(), "batch {} of {}".format(*plan.train)),
        )
        for kind, run, tokens, what in runs:
            if not report.has_time(f"{kind} {name}"):
                continue
            model.train(kind == "train")
            try:
                if plan.device == "cuda":
                    run()
                ms = min(_synchronized(run, plan.device) for _ in range(3 if plan.device == "cuda" else 1))
                rate = 1e3 * tokens / ms
                report.add(**{"pass": kind}, implementation=name, what=what, ms=ms, tokens_per_s=rate,
                           peak_mib=peak_mib(run, plan.device))  # fmt: skip
            except Exception as error:
                report.leave_out(f"{kind} {name}: {_first_line(error)}")
    report.save()


def _synchronized(run: Callable[[], object], device: str) -> float:
    begin = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - begin)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


def about(plan: BenchmarkPlan) -> dict[str, Any]:
    gpu = torch.cuda.get_device_properties(0) if plan.device == "cuda" else None
    return {
        "device": gpu.name if gpu else "Triton's interpreter on the CPU: times mean nothing",
        "capability": f"{gpu.major}.{gpu.minor}" if gpu else None,
        "dtype": str(plan.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "cuda": torch.version.cuda,
        "flops": "4 x batch x heads x queries x keys x d, half if causal; backward 2.5 times that",
        "peak_mib": "in addition to the inputs; for a backward pass together with the forward pass before it",
        "ceilings": ceilings(plan),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m kexpert_kernels.benchmark", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="a few tiny shapes")
    parser.add_argument("--out", type=Path, default=Path("build/kernels"), help="folder for the JSON and the plots")
    parser.add_argument("--minutes", type=float, default=7.5, help="stop after this time and keep what was measured")
    options = parser.parse_args(arguments)
    if options.device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        parser.error("--device cpu needs TRITON_INTERPRET=1 in the environment")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device")
    if options.device == "cpu" and not options.quick:
        parser.error("--device cpu needs --quick: the interpreter takes hours for real shapes")
    torch.manual_seed(0)
    plan = quick_plan(options.device) if options.quick else gpu_plan()
    begin = time.monotonic()
    report = Report(options.out, 0.0, about(plan))
    # FlexAttention compiles longest and comes last; each section leaves some time for those after it.
    plain = [name for name in IMPLEMENTATIONS if name != "flex"]
    for share, section, measure in (
        (0.6, "attention", functools.partial(measure_attention, names=plain)),
        (0.75, "decode", measure_decode),
        (0.95, "model", measure_model),
        (1.0, "flex", functools.partial(measure_attention, names=["flex"])),
    ):
        report.deadline = begin + 60 * options.minutes * share
        try:
            measure(plan, report)
        except Exception as error:
            report.leave_out(f"{section}: {_first_line(error)}")
        report.about["seconds"] = round(time.monotonic() - begin, 1)
        report.plot()
    for name, figure in summary(report.rows, report.about["ceilings"]["copy_gbps"]).items():
        print(f"{name}: {'not measured' if figure is None else f'{figure:.2f}'}")
    print(f"{len(report.rows)} rows, {len(report.left_out)} left out: {options.out / 'benchmark.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
