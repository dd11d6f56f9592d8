"""Sizes of well-known types on LP64, and the value of constant expressions.

Expressions are translated to Python's and parsed by ``ast``; nothing is evaluated but integer arithmetic.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import NamedTuple


class Size(NamedTuple):
    """Size and alignment in bytes; ``exact`` is False if they depend on the configuration."""

    size: int
    align: int
    exact: bool = True


SizeOf = Callable[[str], Size | None]
Constant = Callable[[str], int | None]


def _table() -> dict[str, Size]:
    names = {
        1: "bool|_Bool|u8|s8|__u8|__s8|uint8_t|int8_t|u_char|unchar|u_int8_t|blk_status_t",
        2: "u16|s16|__u16|__s16|__le16"
        "|__be16|__sum16|uint16_t|int16_t|u_short|ushort|u_int16_t|umode_t|sa_family_t|__kernel_sa_family_t",
        4: "u32|s32|__u32|__s32|__le32|__be32|__wsum|uint32_t|int32_t"
        "|u_int|uint|u_int32_t|gfp_t|fmode_t|pid_t|uid_t|gid_t|kuid_t|kgid_t|dev_t|mode_t|atomic_t|refcount_t|__poll_t"
        "|blk_opf_t|slab_flags_t|vm_fault_t|key_serial_t|struct kref|struct refcount_struct|__kernel_pid_t",
        8: "u64|s64"
        "|__u64|__s64|__le64|__be64|__aligned_u64|uint64_t|int64_t|u_long|ulong|u_int64_t|size_t|ssize_t|ptrdiff_t"
        "|uintptr_t|intptr_t|loff_t|sector_t|blkcnt_t|dma_addr_t|phys_addr_t|resource_size_t|pgoff_t|ktime_t|time64_t"
        "|ino_t|atomic64_t|atomic_long_t|local_t|struct hlist_head|struct rb_root|struct llist_head|struct llist_node",
        16: "s128|u128",
    }
    table = {name: Size(size, size) for size, group in names.items() for name in group.split("|")}
    pairs = {
        "struct list_head": 16, "struct hlist_node": 16, "struct rb_node": 24, "struct rb_root_cached": 16,
        "struct callback_head": 16, "struct rcu_head": 16, "struct timespec64": 16, "struct hlist_bl_head": 8,
        "struct hlist_bl_node": 16, "struct hlist_nulls_head": 8, "struct hlist_nulls_node": 16,
    }  # fmt: skip
    table |= {name: Size(size, 8) for name, size in pairs.items()}
    table |= {"uuid_t": Size(16, 1), "guid_t": Size(16, 1)}
    # Debug options, lockdep and PREEMPT_RT enlarge these; the sizes are those without any of them.
    configured = {
        "spinlock_t": (4, 4), "raw_spinlock_t": (4, 4), "struct spinlock": (4, 4), "rwlock_t": (8, 4),
        "arch_spinlock_t": (4, 4), "seqcount_t": (4, 4), "seqlock_t": (8, 4), "seqcount_spinlock_t": (4, 4),
        "struct mutex": (32, 8), "struct rw_semaphore": (40, 8), "struct semaphore": (24, 8),
        "wait_queue_head_t": (24, 8), "struct wait_queue_head": (24, 8), "struct swait_queue_head": (24, 8),
        "struct completion": (32, 8), "struct work_struct": (32, 8), "struct timer_list": (40, 8),
        "struct delayed_work": (88, 8), "struct hrtimer": (64, 8), "struct xarray": (16, 8), "struct kobject": (64, 8),
        "struct idr": (24, 8), "struct ida": (16, 8),
    }  # fmt: skip
    return table | {name: Size(size, align, False) for name, (size, align) in configured.items()}


#: Type -> size. Sizes that depend on the configuration are not exact.
KNOWN = _table()


def well_known(base: str) -> Size | None:
    """The size of a well-known type, approximate where it depends on the configuration."""
    return KNOWN.get(base)


_BUILTIN_WORDS = frozenset(
    ["unsigned", "signed", "__signed__", "int", "long", "short", "char", "float", "double", "__int128"]
)
POINTER = Size(8, 8)


def builtin(base: str) -> Size | None:
    """The size of a built-in type of C, its words in any order; None for any other type."""
    words = base.split()
    if not set(words) <= _BUILTIN_WORDS:
        return None
    size = 1 if "char" in words else 2 if "short" in words else 4
    if "__int128" in words or ("double" in words and "long" in words):
        size = 16
    elif "long" in words or "double" in words:
        size = 8
    return Size(size, size)


_C_TOKEN = re.compile(
    r"\s*(?:(?P<int>0[xX][0-9a-fA-F]+|\d+)[uUlL]*(?!\w)|(?P<name>[A-Za-z_]\w*)(?P<call>\s*\()?"
    r"|(?P<op><<|>>|[-+*/%|&^~()]))"
)
_SIZEOF = re.compile(r"\b(sizeof|__alignof__|_Alignof|__alignof)\s*\(([^()]*)\)")
_OPERATORS: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.floordiv,
    ast.Mod: operator.mod, ast.BitOr: operator.or_, ast.BitAnd: operator.and_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}  # fmt: skip
_MAX_EXPRESSION_CHARS = 300


def evaluate(expression: str, size_of: SizeOf, constant: Constant) -> int | None:
    """The value of a constant expression of C; None if unknown. ``constant`` is asked for names, and for the whole
    where it is more than arithmetic."""
    if len(expression) > _MAX_EXPRESSION_CHARS:
        return None
    if "sizeof" in expression or "lignof" in expression:
        expression = _SIZEOF.sub(lambda match: _measured(match, size_of), expression)
    found = _arithmetic(expression, constant)
    return constant(expression) if found is None and not expression.isidentifier() else found


def _measured(match: re.Match[str], size_of: SizeOf) -> str:
    """The number that ``sizeof(type)`` or an alignment is; as it was if that is not known."""
    size = size_of(" ".join(match[2].split()))
    if size is None or not size.exact:
        return match[0]
    return str(size.size if match[1] == "sizeof" else size.align)


def _arithmetic(expression: str, constant: Constant) -> int | None:
    tokens: list[str] = []
    at, text = 0, expression.strip()
    while at < len(text):
        match = _C_TOKEN.match(text, at)
        if match is None:
            return None
        at = match.end()
        value: int | None
        if match["int"]:
            digits = match["int"]
            octal = digits[0] == "0" and digits.isdigit() and len(digits) > 1
            if octal and re.search("[89]", digits):
                return None
            value = int(digits, 8 if octal else 0)
        elif match["name"]:
            if match["call"]:
                return None
            value = 64 if match["name"] in ("BITS_PER_LONG", "__BITS_PER_LONG") else constant(match["name"])
        else:
            tokens.append(match["op"])
            continue
        if value is None:
            return None
        tokens.append(str(value))
    try:
        return _value(ast.parse(" ".join(tokens), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value < 1 << 64:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd | ast.Invert):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else ~value if isinstance(node.op, ast.Invert) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.LShift | ast.RShift) and not 0 <= right < 64:
            raise ValueError(right)
        value = _OPERATORS[type(node.op)](left, right)
        if abs(value) >= 1 << 64:
            raise ValueError(value)
        return value
    raise ValueError(node)
