"""Texts for parameters and members that are true by their type and name alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kexpert.core.c.declarators import CType
from kexpert.features.kerneldoc.declaration import Parameter, bare_type

#: What a value of a type is, whatever its name. Without qualifiers.
_BY_TYPE = {
    "struct file *": "the open file",
    "struct inode *": "the inode",
    "struct dentry *": "the directory entry",
    "struct super_block *": "the super block",
    "struct vm_area_struct *": "the virtual memory area",
    "struct vm_fault *": "the page fault",
    "struct mm_struct *": "the address space",
    "struct address_space *": "the mapping of the file",
    "struct page *": "the page",
    "struct folio *": "the folio",
    "struct kiocb *": "the I/O control block",
    "struct iov_iter *": "the I/O buffers",
    "struct seq_file *": "the file to print to",
    "struct task_struct *": "the task",
    "struct rq *": "the run queue",
    "struct device *": "the device",
    "struct device_driver *": "the driver",
    "struct device_node *": "the node of the device tree",
    "struct device_attribute *": "the sysfs attribute",
    "struct kobject *": "the kernel object",
    "struct kobj_attribute *": "the sysfs attribute",
    "struct platform_device *": "the platform device",
    "struct pci_dev *": "the PCI device",
    "struct pci_bus *": "the PCI bus",
    "struct usb_interface *": "the USB interface",
    "struct usb_device *": "the USB device",
    "struct urb *": "the USB request block",
    "struct i2c_client *": "the I2C client",
    "struct i2c_adapter *": "the I2C adapter",
    "struct spi_device *": "the SPI device",
    "struct net_device *": "the network device",
    "struct net *": "the network namespace",
    "struct sk_buff *": "the socket buffer",
    "struct sock *": "the socket",
    "struct socket *": "the socket",
    "struct msghdr *": "the message",
    "struct napi_struct *": "the NAPI context",
    "struct work_struct *": "the work item",
    "struct timer_list *": "the timer",
    "struct hrtimer *": "the timer",
    "struct tasklet_struct *": "the tasklet",
    "struct rcu_head *": "the RCU head of the object",
    "struct kref *": "the reference count",
    "struct notifier_block *": "the notifier block",
    "struct bio *": "the block I/O",
    "struct request *": "the block request",
    "struct request_queue *": "the request queue",
    "struct gendisk *": "the disk",
    "struct block_device *": "the block device",
    "struct clk_hw *": "the clock's hardware handle",
    "struct clk *": "the clock",
    "struct regmap *": "the register map",
    "struct gpio_chip *": "the GPIO controller",
    "struct irq_data *": "the interrupt's data",
    "struct irq_desc *": "the interrupt's descriptor",
    "struct pt_regs *": "the saved registers",
    "struct cpumask *": "the CPU mask",
    "struct snd_kcontrol *": "the mixer control",
    "struct snd_pcm_substream *": "the PCM substream",
    "struct snd_soc_dai *": "the digital audio interface",
    "struct snd_soc_component *": "the audio component",
    "struct drm_device *": "the DRM device",
    "struct drm_file *": "the DRM file",
    "struct drm_crtc *": "the CRTC",
    "struct drm_connector *": "the connector",
    "struct drm_encoder *": "the encoder",
    "struct drm_bridge *": "the bridge",
    "struct drm_plane *": "the plane",
    "struct nlattr *": "the netlink attribute",
    "struct nlattr **": "the netlink attributes, by type",
    "struct netlink_ext_ack *": "where errors are reported to user space",
    "struct ethtool_cmd *": "the link settings",
    "struct ctl_table *": "the sysctl table",
    "struct attribute *": "the attribute",
    "struct list_head *": "the list head",
    "spinlock_t *": "the lock",
    "struct mutex *": "the lock",
    "gfp_t": "allocation flags",
    "va_list": "the arguments of the format",
    "pm_message_t": "the power management event",
    "loff_t *": "the file position",
}  # fmt: skip
#: What a value of a name is, where its words do not say it. Only names that mean one thing in the kernel.
_BY_NAME = {
    "irq": "the interrupt number", "cpu": "the CPU number", "nid": "the memory node", "pid": "the process ID",
    "fd": "the file descriptor", "ppos": "the file position", "fmt": "the format, as of printf()", "id": "the ID",
    "argc": "the number of arguments", "argv": "the arguments", "nr": "the number", "ret": "the result",
    "bufsz": "the size of the buffer", "buflen": "the length of the buffer", "np": "the node of the device tree",
}  # fmt: skip
_WORDS = {
    "addr": "address", "arg": "argument", "args": "arguments", "attr": "attribute", "attrs": "attributes",
    "buf": "buffer", "bufs": "buffers", "cb": "callback", "cfg": "configuration", "chan": "channel", "clk": "clock",
    "cmd": "command", "cnt": "count", "config": "configuration", "conf": "configuration", "conn": "connection",
    "ctl": "control", "ctrl": "control", "ctx": "context", "cur": "current", "curr": "current", "desc": "descriptor",
    "dest": "destination", "dev": "device", "dir": "directory", "dst": "destination", "elem": "element", "err": "error",
    "ext": "extension", "ev": "event", "evt": "event", "freq": "frequency", "fn": "function", "func": "function",
    "hdr": "header", "hw": "hardware", "idx": "index", "info": "information", "init": "initial", "len": "length",
    "lvl": "level", "max": "maximum", "mem": "memory", "min": "minimum", "msg": "message", "msgs": "messages",
    "msk": "mask", "mux": "multiplexer", "num": "number", "off": "offset", "offs": "offset", "ops": "operations",
    "param": "parameter", "params": "parameters", "pkt": "packet", "pos": "position", "prev": "previous",
    "prio": "priority", "priv": "private data", "prop": "property", "ptr": "pointer", "pwr": "power", "reg": "register",
    "regs": "registers", "req": "request", "res": "resource", "resp": "response", "sec": "section", "seq": "sequence",
    "sig": "signal", "src": "source", "stat": "status", "stats": "statistics", "str": "string", "sz": "size",
    "tbl": "table", "tmp": "temporary value", "val": "value", "vals": "values", "var": "variable", "vec": "vector",
    "ver": "version", "vol": "volume", "wq": "work queue",
}  # fmt: skip
_COUNTS = ("nr", "num", "n", "no", "cnt", "count", "len", "size", "max", "min")
_RECORD_SUFFIX = re.compile(r"_(?:t|s|st|struct)\Z")
_SPLIT = re.compile(r"_+|(?<=[a-z])(?=[A-Z])")


def factual_text(parameter: Parameter, use: str = "", is_member: bool = False) -> str:
    """A text that holds for any value of this type and name.

    ``use``: what the function does with it ("passed to foo()"), added where the name alone would say little.
    """
    name, of = parameter.name, parameter.type
    if name == "...":
        return "the further arguments"
    leaf = name.rpartition(".")[2]
    words = words_of(leaf)
    if of is None:
        known = _BY_NAME.get(leaf, "") or (f"the {words}" if len(words) > 2 else "an argument")
        return _with_use(known, use)
    text = bare_type(of)
    if text in _BY_TYPE:
        return _BY_TYPE[text]
    if _is_function(of):
        returned = of.returned()
        gives = f", returns ``{returned.text}``" if returned is not None and returned.text != "void" else ""
        what = "operation" if is_member else "callback"
        return f"{what}{'' if words in (what, 'function', 'fn') else ': ' + words}{gives}"
    if text == "bool":
        return _with_use(f"whether {words}" if len(words) > 2 else "true or false", use)
    if of.keyword and of.tag:
        return _record_text(of, words)
    return _with_use(_BY_NAME.get(leaf, "") or _scalar_text(leaf, words, of), use)


def _with_use(text: str, use: str) -> str:
    return f"{text}, {use}" if use else text


def enumerator_texts(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """"LEVEL_LOW = 3" of an enum -> "low (``3``)": the words after the common beginning, and the value as written."""
    shared = 0
    if len(names) > 1:
        shared = min(len(name) for name in names)
        shared = next((at for at in range(shared) if len({name[at] for name in names}) > 1), shared)
        shared = names[0].rfind("_", 0, shared) + 1
    texts = []
    counted: int | None = 0  # the next value where none is written; None if it is not known
    for name, value in zip(names, values, strict=True):
        if value:
            counted = int(value, 0) if re.fullmatch(r"-?(?:0x[\da-fA-F]+|[1-9]\d*|0)", value) else None
        shown = value if value and len(value) <= 30 else "" if counted is None else str(counted)
        words = expanded(name[shared:].lower()) or name
        texts.append(f"{words} (``{shown}``)" if shown else words)
        counted = None if counted is None else counted + 1
    return texts


def expanded(name: str) -> str:
    """The words of a name, short forms written out, in their order."""
    return " ".join(_WORDS.get(part, part) for part in _SPLIT.split(name) if part)


def words_of(name: str) -> str:
    """The words of a name, short forms written out: "dst_addr" -> "destination address"."""
    parts = [part for part in _SPLIT.split(name) if part]
    if len(parts) > 1 and parts[0] in ("p", "pp"):
        parts = parts[1:]
    if len(parts) > 1 and parts[0] in ("nr", "num", "n", "no"):
        return "number of " + " ".join(_WORDS.get(part, part) for part in parts[1:])
    if len(parts) > 1 and parts[-1] in ("cnt", "count"):
        return "number of " + " ".join(_WORDS.get(part, part) for part in parts[:-1])
    return " ".join(_WORDS.get(part, part) for part in parts) or name


def _is_function(of: CType) -> bool:
    return any(step.startswith("(") for step in of.derived)


def _record_text(of: CType, words: str) -> str:
    """``struct foo_bar *x`` -> "the struct foo_bar"; the words of the name too where they say more."""
    tag = f"&{of.keyword} {of.tag}"
    if "[]" in of.derived:
        return f"array of {tag}"
    if of.derived == ("*",):
        said = set(words.split())
        is_new = len(words) > 3 and not said & set(words_of(of.tag).split()) and of.tag not in words
        return f"the {words}, a {tag}" if is_new else f"the {tag}"
    if of.derived[:2] == ("*", "*"):
        return f"pointer to a {tag} pointer"
    return f"the {words}, a {tag}" if len(words) > 1 else f"a {tag}"


def _scalar_text(leaf: str, words: str, of: CType) -> str:
    text = bare_type(of)
    if words.startswith("number of "):
        return words
    if text == "void *":
        return f"the {words}" if len(words) > 2 else "opaque pointer"
    if "[]" in of.derived:
        return f"array of ``{of.base}``: {words}"
    if of.derived[:1] == ("*",) and of.base not in ("char", "const char"):
        return f"the {words}, a pointer to ``{_RECORD_SUFFIX.sub('_t', of.base)}``"
    if of.base in ("char", "const char") and of.derived == ("*",):
        return f"the {words}, a string"
    if len(leaf) <= 2:
        return f"``{text}`` value"
    if words == leaf:
        return f"the {words} (``{text}``)"
    return f"the {words}"
