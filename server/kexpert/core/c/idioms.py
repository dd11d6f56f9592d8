"""Macros that define symbols, such as ``DEFINE_MUTEX(lock)`` and ``SYSCALL_DEFINE3(open, …)``.

The table maps a macro to the kind of symbol that it defines, the argument (0-based) that names it, and the form of the
name. Macros that are not in the table are matched by the kernel's naming habits (``DEFINE_…``, ``…_ATTR_RO``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kexpert.core.symbols import Flag, Kind


@dataclass(frozen=True, slots=True)
class Idiom:
    """The symbols that a macro defines. ``names`` are templates in which ``{}`` is the argument."""

    kind: Kind
    argument: int = 0
    names: tuple[str, ...] = ("{}",)
    flags: Flag = Flag.IDIOM
    uses: tuple[Using, ...] = ()


@dataclass(frozen=True, slots=True)
class Using:
    """A function or table that the macro takes: ``{}_show`` of argument 0, as the member ``show`` of a struct."""

    argument: int
    template: str
    struct: str
    member: str


def _variables(*macros: str) -> dict[str, Idiom]:
    return dict.fromkeys(macros, Idiom(Kind.VARIABLE))


def _attribute(struct: str, argument: int, *members: str, form: str = "{}_") -> tuple[Using, ...]:
    return tuple(Using(argument, form + member, struct, member) for member in members)


_GROUPS = (Using(0, "{}_attrs", "attribute_group", "attrs"),)

_TABLE: dict[str, Idiom] = {
    **_variables(
        "LIST_HEAD", "HLIST_HEAD", "LLIST_HEAD", "ATOMIC_NOTIFIER_HEAD", "BLOCKING_NOTIFIER_HEAD",
        "RAW_NOTIFIER_HEAD", "SRCU_NOTIFIER_HEAD", "SIMPLE_DEV_PM_OPS", "UNIVERSAL_DEV_PM_OPS",
        "DEFINE_SIMPLE_DEV_PM_OPS", "DEFINE_RUNTIME_DEV_PM_OPS", "DEFINE_NOIRQ_DEV_PM_OPS",
        "RADIX_TREE", "EXPORT_SIMPLE_DEV_PM_OPS", "EXPORT_GPL_SIMPLE_DEV_PM_OPS",
        "EXPORT_RUNTIME_DEV_PM_OPS", "EXPORT_GPL_RUNTIME_DEV_PM_OPS",
    ),
    "DEFINE_SHOW_ATTRIBUTE": Idiom(
        Kind.VARIABLE, 0, ("{}_fops", "{}_open"), uses=(Using(0, "{}_show", "seq_operations", "show"),)
    ),
    "DEFINE_SHOW_STORE_ATTRIBUTE": Idiom(
        Kind.VARIABLE, 0, ("{}_fops", "{}_open"),
        uses=(Using(0, "{}_show", "seq_operations", "show"), Using(0, "{}_write", "file_operations", "write")),
    ),
    "DEFINE_SEQ_ATTRIBUTE": Idiom(
        Kind.VARIABLE, 0, ("{}_fops", "{}_open"), uses=(Using(0, "{}_sops", "seq_file", "op"),)
    ),
    "DEFINE_PROC_SHOW_ATTRIBUTE": Idiom(
        Kind.VARIABLE, 0, ("{}_proc_ops", "{}_open"), uses=(Using(0, "{}_show", "seq_operations", "show"),)
    ),
    "ATTRIBUTE_GROUPS": Idiom(Kind.VARIABLE, 0, ("{}_groups", "{}_group"), uses=_GROUPS),
    "__ATTRIBUTE_GROUPS": Idiom(Kind.VARIABLE, 0, ("{}_groups",)),
    "BIN_ATTRIBUTE_GROUPS": Idiom(
        Kind.VARIABLE, 0, ("{}_groups", "{}_group"), uses=(Using(0, "{}_attrs", "attribute_group", "bin_attrs"),)
    ),
    "TRACE_EVENT": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "TRACE_EVENT_FN": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "TRACE_EVENT_FN_COND": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "TRACE_EVENT_CONDITION": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "TRACE_EVENT_SYSCALL": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "DECLARE_EVENT_CLASS": Idiom(Kind.TRACEPOINT, 0, ("{}",)),
    "DECLARE_TRACE": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "DECLARE_TRACE_CONDITION": Idiom(Kind.TRACEPOINT, 0, ("trace_{}",)),
    "DEFINE_EVENT": Idiom(Kind.TRACEPOINT, 1, ("trace_{}",)),
    "DEFINE_EVENT_PRINT": Idiom(Kind.TRACEPOINT, 1, ("trace_{}",)),
    "DEFINE_EVENT_FN": Idiom(Kind.TRACEPOINT, 1, ("trace_{}",)),
    "DEFINE_EVENT_CONDITION": Idiom(Kind.TRACEPOINT, 1, ("trace_{}",)),
    "module_param": Idiom(Kind.MODULE_PARAM),
    "module_param_named": Idiom(Kind.MODULE_PARAM),
    "module_param_unsafe": Idiom(Kind.MODULE_PARAM),
    "module_param_named_unsafe": Idiom(Kind.MODULE_PARAM),
    "module_param_array": Idiom(Kind.MODULE_PARAM),
    "module_param_array_named": Idiom(Kind.MODULE_PARAM),
    "module_param_string": Idiom(Kind.MODULE_PARAM),
    "module_param_cb": Idiom(Kind.MODULE_PARAM),
    "module_param_call": Idiom(Kind.MODULE_PARAM),
    "module_param_hw": Idiom(Kind.MODULE_PARAM),
    "module_param_hw_array": Idiom(Kind.MODULE_PARAM),
    "core_param": Idiom(Kind.MODULE_PARAM),
    "core_param_cb": Idiom(Kind.MODULE_PARAM),
}

#: Macros with the forms _RO, _WO and _RW: the prefix of what they define, its struct, the argument that names its
#: functions, and the members that read and write.
_ATTRIBUTES = (
    (r"SENSOR_DEVICE_ATTR(?:_2)?", "sensor_dev_attr", "sensor_device_attribute", 1, ("show", "store")),
    (r"DEVICE_ATTR(?:_ADMIN)?", "dev_attr", "device_attribute", 0, ("show", "store")),
    (r"BIN_ATTR(?:_ADMIN)?", "bin_attr", "bin_attribute", 0, ("read", "write")),
    (r"BUS_ATTR", "bus_attr", "bus_attribute", 0, ("show", "store")),
    (r"CLASS_ATTR", "class_attr", "class_attribute", 0, ("show", "store")),
    (r"DRIVER_ATTR", "driver_attr", "driver_attribute", 0, ("show", "store")),
)
#: The last habit may mislead: ``DECLARE_EWMA(rssi, 10, 8)`` declares functions.
_GUESS = Idiom(Kind.VARIABLE)
#: Of these it is right, and there are many.
_PLAIN = re.compile(
    r"(?:DEFINE|DECLARE)_(?:MUTEX|\w*SPINLOCK|RWLOCK|IDA|IDR|RATELIMIT_STATE|SEMAPHORE|TIMER|KFIFO\w*|HASHTABLE|BITMAP"
    r"|WAIT_QUEUE_HEAD|COMPLETION|RWSEM|WORK|DELAYED_WORK|TASKLET\w*|SRCU|STATIC_SRCU|STATIC_KEY\w*|STATIC_CALL\w*)"
)
#: Naming habits, tried in order for macros that are not in the table.
_HABITS: tuple[tuple[re.Pattern[str], Idiom], ...] = (
    (re.compile(r"EXPORT_(?:PER_CPU_)?SYMBOL\w*|EXPORT_STATIC_CALL\w*"), Idiom(Kind.EXPORT)),
    (re.compile(r"EXPORT_TRACEPOINT_SYMBOL\w*"), Idiom(Kind.EXPORT, 0, ("trace_{}",))),
    (re.compile(r"SYSCALL_DEFINE\d|SYSCALL32_DEFINE\d|SYSCALL_DEFINE_MAYBE\d|KSYSCALL_DEFINE\d"),
     Idiom(Kind.SYSCALL, 0, ("sys_{}",))),
    (re.compile(r"COMPAT_SYSCALL\w*_DEFINE\d"), Idiom(Kind.SYSCALL, 0, ("compat_sys_{}",))),
    (re.compile(r"\w*initcall(?:_sync)?|module_init|module_exit|__exitcall|(?:module|builtin)_\w*driver\w*"),
     Idiom(Kind.INITCALL)),
    (re.compile(r"DEFINE_(?:\w+_)?PER_CPU\w*"), Idiom(Kind.VARIABLE, 1, flags=Flag.IDIOM | Flag.PER_CPU)),
    (re.compile(r"DECLARE_(?:\w+_)?PER_CPU\w*"), Idiom(Kind.DECLARATION, 1, flags=Flag.IDIOM | Flag.PER_CPU)),
    (re.compile(r"DECLARE_STATIC_(?:KEY|CALL)\w*"), Idiom(Kind.DECLARATION)),
    *(
        (re.compile(macro + suffix), Idiom(Kind.VARIABLE, 0, (f"{name}_{{}}",), uses=_attribute(struct, at, *members)))
        for macro, name, struct, at, (reads, writes) in _ATTRIBUTES
        for suffix, members in (("_RO", (reads,)), ("_WO", (writes,)), ("_RW", (reads, writes)))
    ),
    (re.compile(r"SENSOR_DEVICE_ATTR(?:_2)?(?:_RO|_RW|_WO)?"), Idiom(Kind.VARIABLE, 0, ("sensor_dev_attr_{}",))),
    (re.compile(r"IIO_DEVICE_ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("iio_dev_attr_{}",))),
    (re.compile(r"IIO_CONST_ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("iio_const_attr_{}",))),
    (re.compile(r"DEVICE_\w*ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("dev_attr_{}",))),
    (re.compile(r"(?:BIN|BINARY)_ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("bin_attr_{}",))),
    (re.compile(r"BUS_ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("bus_attr_{}",))),
    (re.compile(r"CLASS_ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("class_attr_{}",))),
    (re.compile(r"DRIVER_ATTR\w*"), Idiom(Kind.VARIABLE, 0, ("driver_attr_{}",))),
    (re.compile(r"BPF_CALL_\d"), Idiom(Kind.FUNCTION)),
    (re.compile(r"(?:DEFINE|DECLARE)_TRACE\w*|(?:DEFINE|DECLARE)_HOOK"), Idiom(Kind.TRACEPOINT, 0, ("trace_{}",))),
    (re.compile(r"DECLARE_\w+|DEFINE_(?!TEST)\w+|\w+_ATTR(?:_RO|_RW|_WO)?"), _GUESS),
)  # fmt: skip


@lru_cache(maxsize=8192)
def idiom_of(macro: str) -> Idiom | None:
    """The symbols that a top-level call of ``macro`` defines; None if it defines nothing known."""
    known = _TABLE.get(macro)
    if known:
        return known
    for pattern, idiom in _HABITS:
        if pattern.fullmatch(macro):
            return idiom
    return None


@lru_cache(maxsize=8192)
def declares_as_known(macro: str) -> bool:
    """True if what ``idiom_of`` says of a macro is certain, so that its definition need not be read."""
    if _PLAIN.fullmatch(macro):
        return True
    return idiom_of(macro) not in (None, _GUESS) or macro in _TABLE
