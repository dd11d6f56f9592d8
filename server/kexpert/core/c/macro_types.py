"""The types of variables that macros declare: ``LIST_HEAD(todo)`` declares a ``struct list_head``."""

from __future__ import annotations

import re

from kexpert.core.c.declarators import CType, read_parameter
from kexpert.core.c.tokens import Tokens

#: Macros that declare a variable, possibly a local one: its type, and the argument (0-based) that names it.
LOCAL_MACROS: dict[str, tuple[str, int]] = {
    "LIST_HEAD": ("struct list_head", 0),
    "HLIST_HEAD": ("struct hlist_head", 0),
    "LLIST_HEAD": ("struct llist_head", 0),
    "DECLARE_BITMAP": ("unsigned long []", 0),
    "DECLARE_COMPLETION": ("struct completion", 0),
    "DECLARE_COMPLETION_ONSTACK": ("struct completion", 0),
    "DECLARE_WAITQUEUE": ("struct wait_queue_entry", 0),
    "DECLARE_WAIT_QUEUE_HEAD": ("struct wait_queue_head", 0),
    "DECLARE_WAIT_QUEUE_HEAD_ONSTACK": ("struct wait_queue_head", 0),
    "DECLARE_RWSEM": ("struct rw_semaphore", 0),
    "DECLARE_WORK": ("struct work_struct", 0),
    "DECLARE_DELAYED_WORK": ("struct delayed_work", 0),
    "DECLARE_TASKLET": ("struct tasklet_struct", 0),
    "DECLARE_HASHTABLE": ("struct hlist_head []", 0),
    "DEFINE_HASHTABLE": ("struct hlist_head []", 0),
    "DEFINE_WAIT": ("struct wait_queue_entry", 0),
    "DEFINE_WAIT_BIT": ("struct wait_bit_queue_entry", 0),
    "DEFINE_WAIT_FUNC": ("struct wait_queue_entry", 0),
    "DEFINE_MUTEX": ("struct mutex", 0),
    "DEFINE_SPINLOCK": ("spinlock_t", 0),
    "DEFINE_RAW_SPINLOCK": ("raw_spinlock_t", 0),
    "DEFINE_RWLOCK": ("rwlock_t", 0),
    "DEFINE_SEMAPHORE": ("struct semaphore", 0),
    "DEFINE_IDA": ("struct ida", 0),
    "DEFINE_IDR": ("struct idr", 0),
    "DEFINE_XARRAY": ("struct xarray", 0),
    "DEFINE_XARRAY_ALLOC": ("struct xarray", 0),
    "DEFINE_TIMER": ("struct timer_list", 0),
    "DEFINE_RATELIMIT_STATE": ("struct ratelimit_state", 0),
    "DEFINE_SRCU": ("struct srcu_struct", 0),
    "DEFINE_STATIC_SRCU": ("struct srcu_struct", 0),
    "DEFINE_STATIC_KEY_FALSE": ("struct static_key_false", 0),
    "DEFINE_STATIC_KEY_TRUE": ("struct static_key_true", 0),
    "BLOCKING_NOTIFIER_HEAD": ("struct blocking_notifier_head", 0),
    "ATOMIC_NOTIFIER_HEAD": ("struct atomic_notifier_head", 0),
    "RAW_NOTIFIER_HEAD": ("struct raw_notifier_head", 0),
}
_IDIOM_TYPES = (
    (re.compile(r"SENSOR_DEVICE_ATTR_2\w*"), "struct sensor_device_attribute_2"),
    (re.compile(r"SENSOR_DEVICE_ATTR\w*"), "struct sensor_device_attribute"),
    (re.compile(r"DEVICE_\w*ATTR\w*"), "struct device_attribute"),
    (re.compile(r"DRIVER_ATTR\w*"), "struct driver_attribute"),
    (re.compile(r"BUS_ATTR\w*"), "struct bus_attribute"),
    (re.compile(r"CLASS_ATTR\w*"), "struct class_attribute"),
    (re.compile(r"BIN_ATTR\w*"), "struct bin_attribute"),
    (re.compile(r"\w*DEV_PM_OPS"), "struct dev_pm_ops"),
    (re.compile(r"DEFINE_\w*(?:SHOW|SEQ)\w*ATTRIBUTE"), "struct file_operations"),
)
_PER_CPU = re.compile(r"(?:DEFINE|DECLARE)_(?:\w+_)?PER_CPU\w*")


def macro_type(tokens: Tokens) -> CType | None:
    """The type of the variable that the macro call at token 0 defines; None if unknown."""
    at = 0
    while tokens.is_word(at) and tokens[at + 1] != "(":
        at += 1
    macro = tokens[at]
    if macro in LOCAL_MACROS:
        base = LOCAL_MACROS[macro][0]
        return CType(base.removesuffix(" []"), ("[]",) if base.endswith("[]") else ())
    if _PER_CPU.fullmatch(macro):
        arguments = tokens.commas(at + 2, tokens.past(at + 1) - 1)
        declared = read_parameter(tokens, *arguments[0]) if arguments else None
        return declared.type if declared else None
    return next((CType(text) for pattern, text in _IDIOM_TYPES if pattern.fullmatch(macro)), None)
