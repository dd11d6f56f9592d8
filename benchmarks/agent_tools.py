"""The tools of ``kexpert mcp`` on a kernel tree: how long each takes, and what it takes to answer a review's questions.

    python -m benchmarks.agent_tools --tree DIR [--questions]

A real process is asked over stdio by the SDK's client, one call at a time. Times are those of the client. Without
``--questions`` each tool is asked about the names below, twice; the second round counts, and
the second of two starts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.mcp_client import Agent, command, connected
from tests.support.waiting import eventually

QUESTIONS = Path(__file__).with_name("review_questions.toml")
_FUNCTIONS = (
    "vfs_read", "kmalloc", "kfree", "schedule", "tcp_v4_rcv", "ext4_file_read_iter", "mutex_lock", "do_sys_openat2",
    "kref_put", "netif_rx", "dev_queue_xmit", "alloc_pages", "submit_bio", "blk_mq_submit_bio", "wake_up_process",
    "copy_process", "mark_page_accessed", "d_instantiate", "btrfs_sync_file", "xfs_file_read_iter", "usb_submit_urb",
    "pci_enable_device", "i2c_transfer", "queue_work_on",
)  # fmt: skip
_RECORDS = (
    "list_head", "kref", "file", "inode", "dentry", "page", "folio", "sk_buff", "net_device", "task_struct", "bio",
    "request_queue", "super_block", "file_operations", "mutex", "spinlock", "device", "pci_dev", "usb_device", "sock",
    "rq", "vm_area_struct", "mm_struct", "timer_list",
)  # fmt: skip
_SYMBOLS = (
    "runqueues", "init_task", "PF_MEMALLOC", "FMODE_NOWAIT", "PAGE_SHIFT", "page.flags", "sk_buff.truesize",
    "CONFIG_SMP", "GFP_KERNEL", "jiffies_64", "system_wq", "init_net", "HZ", "current", "ETH_P_IP", "EAGAIN",
    "tcp_prot", "file_operations.open", "net_device.netdev_ops", "TASK_RUNNING", "trace_sched_switch", "sys_read",
    "container_of", "list_for_each_entry",
)  # fmt: skip
_OPERATIONS = (
    "file_operations.read_iter", "file_operations.open", "super_operations.drop_inode", "net_device_ops.ndo_open",
    "inode_operations.lookup", "proto.sendmsg", "address_space_operations.writepages", "vm_operations_struct.fault",
    "pci_driver.probe", "platform_driver.probe", "dev_pm_ops.suspend", "block_device_operations.open",
    "irq_chip.irq_mask", "usb_driver.probe", "i2c_driver.probe", "file_operations.poll", "ethtool_ops.get_drvinfo",
    "tty_operations.write", "snd_pcm_ops.trigger", "drm_driver.open", "xattr_handler.get", "dentry_operations.d_hash",
    "seq_operations.show", "kernel_param_ops.set",
)  # fmt: skip
_OPTIONS = (
    "SMP", "PREEMPT_RT", "EXT4_FS", "SLUB", "NET", "INET", "PCI", "USB", "BTRFS_FS", "XFS_FS", "MODULES", "KASAN",
    "LOCKDEP", "NUMA", "HUGETLBFS", "CGROUPS", "BPF", "DEBUG_FS", "TRACING", "I2C", "DRM", "SND", "NFS_FS", "CIFS",
)  # fmt: skip
_QUERIES = (
    "write out and wait on a file range", "wake up all waiters of a queue", "allocate a socket buffer",
    "free a page table", "register a network device", "map a bio to a request", "parse mount options",
    "drop a reference on an inode", "send a tcp reset", "read a block bitmap", "enable a clock", "request an interrupt",
    "copy data from user space", "find a free inode", "start a dma transfer", "suspend a device", "flush the tlb",
    "migrate a page", "reclaim memory of a cgroup", "check permissions of a path", "add a timer", "walk a radix tree",
    "compute a checksum", "set the mac address",
)  # fmt: skip
_PATTERNS = (
    r"refcount_dec_and_lock\(", r"GFP_NOWAIT", r"spin_lock_irqsave\(&dev->lock", r"kvfree_rcu",
    r"smp_mb__before_atomic",
    r"copy_from_user\(&\w+, arg", r"list_splice_tail_init", r"WRITE_ONCE\(sk->", r"rcu_assign_pointer\(dev->",
    r"mod_delayed_work\(", r"cancel_delayed_work_sync\(&", r"dma_map_single\(", r"BUG_ON\(in_interrupt",
    r"lockdep_assert_held_write", r"seqcount_\w+_init", r"percpu_ref_tryget_live", r"iov_iter_revert",
    r"wait_event_killable", r"kmap_local_page", r"static_branch_unlikely\(&cpuset", r"synchronize_srcu_expedited",
    r"invalidate_mapping_pages", r"xa_cmpxchg", r"blk_mq_quiesce_queue",
)  # fmt: skip
_DIFF = """\
--- a/{path}
+++ b/{path}
@@ -{line},3 +{line},4 @@
 {text}
+/* one more line */
"""


def calls(tree: Path) -> dict[str, list[dict[str, Any]]]:
    """The calls of each tool."""
    functions = [{"name": name} for name in _FUNCTIONS]
    return {
        "find_function": functions,
        "find_type": [{"name": name} for name in _RECORDS],
        "find_symbol": [{"name": name} for name in _SYMBOLS],
        "find_callers": functions,
        "find_calls": functions,
        "find_callchain": functions,
        "grep_functions": [{"pattern": pattern} for pattern in _PATTERNS],
        "vgrep_functions": [{"query_text": query} for query in _QUERIES],
        "find_references": [{"name": name} for name in (*_FUNCTIONS[:12], *_SYMBOLS[:12])],
        "find_implementations": [{"name": name} for name in _OPERATIONS],
        "find_config": [{"name": name} for name in _OPTIONS],
        "struct_layout": [{"name": name} for name in _RECORDS],
        "lock_rules": functions,
        "kernel_doc": functions,
        "explain_function": functions,
        "maintainers": functions,
        "ask": [{"question": f"Which lock does {name} take?"} for name in _FUNCTIONS],
        "diff_functions": [{"diff_content": diff} for diff in _diffs(tree)],
        "indexing_status": [{}] * 24,
    }


def _diffs(tree: Path) -> list[str]:
    """Patches of one line in the middle of known files."""
    paths = ("fs/read_write.c", "mm/slub.c", "net/core/dev.c", "kernel/fork.c", "fs/ext4/file.c", "block/bio.c")
    found = []
    for path in paths:
        lines = (tree / path).read_text("utf-8", "replace").split("\n")
        for share in (0.2, 0.4, 0.6, 0.8):
            at = int(len(lines) * share)
            found.append(_DIFF.format(path=path, line=at + 1, text="\n ".join(lines[at : at + 3])))
    return found


def measure(agent: Agent, tree: Path) -> None:
    print("| tool | calls | median ms | p95 ms | worst ms | mean CPU ms | median bytes | refused |")
    print("|---|---|---|---|---|---|---|---|")
    for tool, asked in calls(tree).items():
        for arguments in asked:
            agent.call(tool, arguments)
        seconds, sizes, refused = [], [], 0
        cpu = _cpu_seconds()
        for arguments in asked:
            began = time.perf_counter()
            text, is_error = agent.call(tool, arguments)
            seconds.append(time.perf_counter() - began)
            sizes.append(len(text.encode()))
            refused += is_error
        p95 = statistics.quantiles(seconds, n=20)[-1]
        row = (statistics.median(seconds), p95, max(seconds))
        row = (*row, (_cpu_seconds() - cpu) / len(asked))
        figures = " | ".join(f"{each * 1e3:.0f}" for each in row)
        print(f"| `{tool}` | {len(asked)} | {figures} | {statistics.median(sizes):.0f} | {refused} |", flush=True)


def _cpu_seconds() -> float:
    """CPU time of the server, the only child of this process: what it does in the background counts too."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in children]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def answer_questions(agent: Agent) -> int:
    """Answer each question by its calls; the number of those that were not answered."""
    questions = tomllib.loads(QUESTIONS.read_text("utf-8"))["question"]
    wrong = total_calls = total_bytes = 0
    print("| question | calls | bytes | answered |")
    print("|---|---|---|---|")
    for question in questions:
        texts = [agent.call(tool, arguments)[0] for tool, arguments in question["calls"]]
        said = "\n".join(texts)
        missing = [part for part in question["contains"] if part not in said]
        size = len(said.encode())
        total_calls, total_bytes = total_calls + len(texts), total_bytes + size
        wrong += bool(missing)
        tools = ", ".join(f"`{tool}`" for tool, _ in question["calls"])
        print(f"| {question['text']} | {tools} | {size} | {'yes' if not missing else f'no: {missing}'} |", flush=True)
    print(f"\n{len(questions) - wrong} of {len(questions)} answered, {total_calls} calls, {total_bytes:,} bytes")
    return wrong


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--questions", action="store_true", help="answer the questions of review_questions.toml")
    args = parser.parse_args(argv)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # an installed package has its bytecode
    with connected(command(args.tree, environment)) as agent:
        agent.ask("find_function", name="vfs_read")  # files into the page cache
    began = time.perf_counter()
    with connected(command(args.tree, environment)) as agent:
        print(f"connected after {time.perf_counter() - began:.2f} s", end="", flush=True)
        agent.ask("find_function", name="vfs_read")
        print(f", first answer after {time.perf_counter() - began:.2f} s\n", flush=True)
        eventually(lambda: "Now:" not in agent.ask("indexing_status"), seconds=600)
        if args.questions:
            return min(answer_questions(agent), 1)
        measure(agent, args.tree)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
