"""Tokenization and stemming for search: the words of identifiers and prose.

``folio_wait_writeback``, ``PCIeLinkUp`` and ``GEN8_PPAT_LO`` have three words each. Numbers and single letters are left
out: they do not tell what a function does. The stemmer is our own, not PyStemmer or snowballstemmer: it must map the
kernel's abbreviations and their full words to one stem, and the shipped embedder was trained on its stems.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MAX_LETTERS = 40  # longer runs are data
_LETTERS_AND_DIGITS = bytes(c if chr(c).isalnum() and c < 0x80 else 0x20 for c in range(256))
#: The words of a mixed-case run: ``HTTPServer`` -> HTTP Server, ``phyReset2`` -> phy Reset2, ``CPUs`` -> CPUs.
_CAMEL = re.compile(r"[A-Z]{2,}[a-z](?![a-z])[0-9]*|[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_NUMBER = re.compile(r"0x\w*|\d+[ul]*|\d[\da-f]*")


def split_words(text: str) -> list[str]:
    """The words of code or prose, lower-cased, in order."""
    return [word for piece in pieces(text) for word in words_of(piece)]


def pieces(text: str) -> list[bytes]:
    """The runs of ASCII letters and digits of a text: single words, or several in mixed case.

    A text has far fewer distinct runs than runs, so callers cache what they compute for each.
    """
    return text.encode("ascii", "replace").translate(_LETTERS_AND_DIGITS).split()


@lru_cache(maxsize=1 << 17)
def words_of(piece: bytes) -> tuple[str, ...]:
    """The words of one run; () for a number, a single letter or a run that is too long to be a word."""
    if not 2 <= len(piece) <= _MAX_LETTERS:
        return ()
    text = piece.decode("ascii")
    found = [text.lower()] if text.islower() or text.isupper() else [part.lower() for part in _CAMEL.findall(text)]
    return tuple(word for word in found if len(word) > 1 and not _NUMBER.fullmatch(word))


def stems(text: str) -> list[str]:
    """The stems of a text, in order. Abbreviations of the kernel have the stem of the full word."""
    return [stem(word) for word in split_words(text)]


def query_stems(text: str) -> list[str]:
    """The distinct stems of a query, in order, without stop words. A query of stop words alone keeps them."""
    words = split_words(text)
    found = list(dict.fromkeys(stem(word) for word in words if word not in STOP_WORDS))
    return found or list(dict.fromkeys(map(stem, words)))


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """The stem of a word: ``allocates``, ``allocation`` and ``alloc`` have the same one.

    Only equality of stems has a meaning: a stem need not be a word.
    """
    cut = _cut(word)
    return _SHORT.get(cut, cut)


def _cut(word: str) -> str:
    if len(word) < 4 or not word.isalpha():
        return word
    word = _singular(word)
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) >= len(ending) + 3 and not word.endswith("eed"):
            rest = word[: -len(ending)]
            if _VOWEL.search(rest):
                word = _undoubled(rest)
                break
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + 4:
            word = word[: -len(ending)] + instead
            break
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    if word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    return _undoubled(word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _undoubled(word: str) -> str:
    """Reduce a final double letter: ``mapp`` (of mapped) -> map."""
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz" else word


_VOWEL = re.compile("[aeiouy]")
#: (suffix, replacement), tried in order; at least four letters stay. ``iz`` and ``at`` remain of -izing and -ated.
_ENDINGS = (
    ("ization", ""), ("isation", ""), ("ation", ""), ("ator", ""), ("ition", ""), ("tion", "t"), ("sion", "s"),
    ("ment", ""), ("ize", ""), ("ise", ""), ("ate", ""), ("er", ""), ("or", ""), ("ion", ""), ("ity", ""),
    ("ally", ""), ("ly", ""), ("al", ""), ("able", ""), ("iz", ""), ("at", ""),
)  # fmt: skip

#: English function words.
STOP_WORDS = frozenset(
    {"an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "did", "do", "does", "for", "from", "had", "has",
     "have", "how", "if", "in", "into", "is", "it", "its", "no", "not", "of", "on", "or", "our", "should", "so", "than",
     "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "was", "we", "were",
     "what", "when", "where", "which", "while", "who", "why", "will", "with", "would", "you"}
)  # fmt: skip

#: Groups of words with one stem, separated by ``;``. The first form of each group gives the stem.
_ABBREVIATIONS = """
ack acknowledge; addr address; aggr aggregate agg; anon anonymous; app application; arch architecture; assoc
associate; async asynchronous; attr attribute; auth authenticate; avail available; bcast broadcast; bitmap bm; blk
block; buf buffer; bw bandwidth; calc calculate; cal calibrate; cap capability capable; cb callback; char character;
chan channel chnl; chk check; clk clock; clr clear; cmd command cmnd; cmp compare; cmpl complete compl; cnt count;
coef coefficient; cond condition; conf config configure configuration cfg; conn connect; conv convert conversion; cpy
copy; cred credential; csum checksum; ctl control ctrl; ctx context ctxt; cur current curr; db doorbell; dbg debug;
dealloc deallocate; decap decapsulate; decr decrement; def default dflt; deinit deinitialize; del delete; deq dequeue;
desc descriptor descr description; dev device; diag diagnostic; diff difference; dir directory; disc discovery; div
divide division divisor; drv driver; dst destination dest; dup duplicate; elem element; en enable ena; encap
encapsulate; enq enqueue; env environment; ep endpoint; err error; eth ethernet; evt event ev; exch exchange; exec
execute; ext extend extension; fb framebuffer; free freed; feat feature; filt filter; fmt format; frag fragment; freq
frequency; fs filesystem; func function fn; fw firmware; gen generate generic; grp group; gw gateway; hdl handle
handler hdlr; hdr header; hist history; hw hardware; idx index; iface interface intf; incr increment inc; info
information; init initialize initial initialised; insn instruction instr; inst instance; inval invalidate invalid; irq
interrupt intr; iter iterate iterator; kern kernel; kobj kobject; len length; lib library; lim limit; loc location
locate; lvl level; max maximum; mbox mailbox mbx; mcast multicast; mem memory; mgr manager manage management mgmt; min
minimum; mod module; mon monitor; msg message; mult multiple; mux multiplex multiplexer; mtx mutex; neigh neighbour
neighbor; net network; notif notify notifier notification; ns namespace; num number nr; obj object; ofld offload; op
operation oper; opt option; orig original; param parameter; perf performance; perm permission; phys physical; pkg
package; pkt packet; pos position; prep prepare; prev previous; prio priority; priv private; proc process; prog
program; promisc promiscuous; prop property; prot protect protection; proto protocol; ptr pointer; pub public; pwr
power; rand random; rd read; rdy ready; rec record; recalc recalculate; rect rectangle; ref reference; reg register
registration; rem remove rm; req request; res resource rsrc; rst reset; resv reserve rsv; rsp response resp; rtnl
rtnetlink; rx receive recv rcv; sb superblock; sched schedule; seg segment; sel select; sem semaphore; seq sequence;
sess session; sg scatterlist; sig signal; sock socket; src source; stat statistic; std standard; str string; svc
service; sw software; sync synchronize synchronous; sys system; sz size; tbl table; temp temperature; term terminate;
tgt target; tmo timeout; tmr timer; tnl tunnel; trig trigger; ts timestamp tstamp; tsk task; tx transmit xmit; ucast
unicast; unreg unregister dereg deregister; upd update; usr user; util utility; val value; vec vector; ver version;
virt virtual; vol volume; volt voltage; vq virtqueue; wb writeback; wdt watchdog; win window; wq workqueue; wr write
written; xfer transfer; xlate translate
"""
ABBREVIATION_GROUPS = tuple(tuple(group.split()) for group in _ABBREVIATIONS.split(";"))
_SHORT = {_cut(word): _cut(group[0]) for group in ABBREVIATION_GROUPS for word in group[1:]}
